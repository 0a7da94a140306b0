"""What reaches a terminal: one short line without control characters."""

from pathlib import Path

import pytest

from rnas.cli import fail, main
from rnas.terminal import MOST, one_line, printable, shorten

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b1m\u202egnp.exe\x7f\r"


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    shown = printable(f"a{ESCAPES}\udcffz\u00e9\U0001f600")
    assert shown.isprintable()
    assert shown.startswith("a\\x1b[2J")
    assert shown.endswith("\\x7f\\r\\udcffz\u00e9\U0001f600")


@pytest.mark.parametrize("length", [0, 5, 120, 121, 10_000])
def test_a_long_text_keeps_its_ends(length: int) -> None:
    text = "".join(chr(97 + place % 26) for place in range(length))
    short = shorten(text)
    assert len(short) <= 120
    assert short == text or (text.startswith(short.partition("...")[0]) and text.endswith(short.partition("...")[2]))


def test_a_line_keeps_its_beginning_and_its_advice() -> None:
    line = one_line(f"training.epochs: expected int,\n got {'9' * 10_000!r}; see --help")
    assert line.startswith("training.epochs: expected int, got '999")
    assert line.endswith("9'; see --help")
    assert len(one_line("word " * 1000)) <= MOST


def test_errors_are_one_line_of_at_most_500_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(f"out: {ESCAPES}\n{'x ' * 2000}") == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert len(line) <= MOST + 1
    assert line.removesuffix("\n").isprintable()


@pytest.mark.parametrize("folder", [f"a{ESCAPES.replace('/', '')}", "[bold]a[red]"])
def test_names_of_folders_are_printed_escaped(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(folder).mkdir()
    assert main(["report", folder]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rnas: error: ")
    assert error.removesuffix("\n").isprintable()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (["train", "--out", "a\udcff"], "--out"),
        (["train", "--out=a\udcff"], "--out"),
        (["train", "--out", "a\0b"], "--out"),
        (["report", "a\udcff"], "report"),
        (["evaluate", "a\0b"], "evaluate"),
        (["a\udcff"], "command"),
    ],
)
def test_text_that_no_path_can_be_is_refused(line: list[str], key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line) == 2
    assert capsys.readouterr().err.startswith(f"rnas: error: {key}: expected text in UTF-8 without NUL, got ")


def test_nul_in_a_file_of_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text('out: "a\\0b"\n')
    assert main(["train", "--config", str(path)]) == 2
    assert "out: expected text in UTF-8 without NUL, got 'a\\x00b'" in capsys.readouterr().err
