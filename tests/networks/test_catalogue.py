"""What `rnas zoo` shows: every network, its stored facts, the paper's numbers, its drawn cells; all without torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from rnas.cli import main
from rnas.networks import zoo
from rnas.networks.cards import published_cards
from rnas.networks.catalogue import card_sheet, card_table
from rnas.networks.published import LABELS, tables


def shown(what: object, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def test_the_list_has_a_line_for_each_network_also_in_a_narrow_terminal() -> None:
    for width in (80, 200):
        lines = shown(card_table(), width).partition("\n\n")[0].splitlines()
        for name in published_cards():
            (line,) = (line for line in lines if line.split()[:1] == [name])
            assert published_cards()[name].parameters_millions == float(line.split()[1])


def test_the_list_says_which_network_is_the_papers_rnas_l_and_which_its_rnas_h() -> None:
    assert LABELS in " ".join(shown(card_table(), 80).split())
    printed = {row["network"]: row for row in tables()["table1"]["rows"]}
    for name, label, size in (("rnas_h", "RNAS-L", 3.5), ("rnas_l", "RNAS-H", 3.2)):
        counted = published_cards()[name].parameters_millions
        assert counted is not None
        assert (printed[name]["label"], printed[name]["parameters_millions"], round(counted, 1)) == (label, size, size)
    assert "rnas_h and rnas_l" in LABELS
    assert "(3.5 and 3.2 M) they are the paper's RNAS-L and RNAS-H" in LABELS


def test_the_list_and_the_zoo_know_the_same_networks() -> None:
    published = {name for name in zoo.NETWORKS if zoo.NETWORKS[name].published or name in published_cards()}
    assert published | set(zoo.UNPUBLISHED) == set(published_cards())
    assert all(published_cards()[name].channels is None for name in zoo.UNPUBLISHED)


@pytest.mark.parametrize("name", list(published_cards()))
def test_a_sheet_shows_source_note_and_every_printed_accuracy(name: str) -> None:
    card = published_cards()[name]
    text = " ".join(shown(card_sheet(name), 4000).split())
    assert card.source in text
    assert card.note in text
    for table in tables().values():
        for row in table["rows"]:
            if row["network"] == name:
                assert all(f"{row[column]:.2f}" in text for column in ("clean", "pgd20", "autoattack") if column in row)


def test_listing_and_drawing_need_no_torch(tmp_path: Path) -> None:
    code = "import sys; from rnas.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    for arguments in (["zoo"], ["zoo", "arnas", "--out", str(tmp_path)]):
        answer = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr


@pytest.mark.usefixtures("drawn")
def test_cells_are_drawn_and_what_has_none_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "rnas_l", "--out", str(tmp_path)]) == 0
    assert main(["zoo", "vgg16", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rnas_l.png", "rnas_l.svg"]
    assert capsys.readouterr().out.count("drawn:") == 1
