"""Plug-ins: their names are known to every command, runs keep them, and what is missing is told in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rnas import plugins
from rnas.cli import main
from rnas.errors import RunError
from rnas.evaluation import ATTACKS
from rnas.networks.zoo import NETWORKS
from rnas.objectives import OBJECTIVES
from rnas.registry import Registry
from rnas.search import ALGORITHMS
from rnas.search.projection import SOLVERS

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A working directory of its own; what a test loads and registers is gone after it."""
    monkeypatch.chdir(tmp_path)
    registries: list[Registry[Any]] = [ALGORITHMS, ATTACKS, NETWORKS, OBJECTIVES, SOLVERS]
    for registry in registries:
        monkeypatch.setattr(registry, "_items", dict(registry._items))
    forget(monkeypatch)
    yield
    for name in [name for name in sys.modules if name.startswith(("mine", "own_"))]:
        del sys.modules[name]


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another process that has not loaded them."""
    monkeypatch.setattr(plugins, "ASKED", [])
    monkeypatch.setattr(plugins, "INSTALLED", [])


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize(
    "line",
    [
        ["--plugin", "a", "--plugin=b.py", "train", "--seed", "1"],
        ["train", "--seed", "1", "--plugin", "a", "--plugin", "b.py"],
        ["--plugin=a", "train", "--plugin", "b.py", "--seed", "1"],
    ],
)
def test_they_may_stand_anywhere(line: list[str]) -> None:
    assert plugins.taken(line) == (["a", "b.py"], ["train", "--seed", "1"])


@pytest.mark.parametrize("line", [["train", "--plugin"], ["--plugin=", "train"], ["--plugin", "--seed", "1"]])
def test_one_without_a_name_is_refused(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line) == 2
    assert capsys.readouterr().err == "rnas: error: --plugin: expected a module or a .py file\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("absent.py", None, "no such file"),
        ("mine_absent", None, "there is no such module"),
        ("mine_broken.py", "1 / 0\n", "ZeroDivisionError: division by zero"),
        ("mine_slip.py", "def f(:\n", "SyntaxError"),
        ("mine_ends.py", "raise SystemExit(3)\n", "main guard"),
        ("mine_needs.py", "import mine_other_package\n", "No module named 'mine_other_package'"),
        ("json.py", "", "a module is called 'json' already"),
        (
            "mine_twice.py",
            "from rnas.objectives import OBJECTIVES\nOBJECTIVES.register('trades')(None)\n",
            "'trades' is",
        ),
    ],
)
def test_what_cannot_be_loaded_costs_one_line(
    name: str, text: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        write(name, text)
    assert main(["zoo", "--plugin", name]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"rnas: error: --plugin {name}: ")
    assert says in output.err
    assert output.err.count("\n") == 1
    assert Path(name).stem not in sys.modules or name == "json.py"


def test_a_module_of_the_working_directory_and_its_file_are_loaded_once() -> None:
    write("mine_counted.py", "import json\nfrom pathlib import Path\nwith Path('log').open('a') as f: f.write('x')\n")
    plugins.load(["mine_counted", "mine_counted", "mine_counted.py"])
    assert Path("log").read_text() == "x"
    assert plugins.recorded() == {"plugins": ["mine_counted", "mine_counted.py"]}


def test_an_algorithm_of_ones_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Searched and resumed; without the plug-in one line says which is missing."""
    algorithm = str(EXAMPLES / "own_algorithm.py")
    search = "search --data.limit 40 --threads 1 --search.algorithm fewest_skips --search.channels 2 --search.cells 3"
    line = [*search.split(), "--search.attack.steps", "1", "--search.constraint.images", "8", "--out", "found"]
    assert main([*line, "--plugin", algorithm]) == 0
    manifest = json.loads(Path("found/manifest.json").read_text())
    assert manifest["plugins"] == [algorithm]
    capsys.readouterr()
    with monkeypatch.context() as patch:
        forget(patch)
        for again in (line, ["search", "--resume", "found"]):
            assert main(again) == 2
            assert capsys.readouterr().err == (
                f"rnas: error: found was made with a plug-in that is not loaded: add --plugin {algorithm}\n"
            )
    assert main(["search", "--resume", "found", "--plugin", algorithm]) == 0
    cells = json.loads(Path("found/genotype.json").read_text())["cells"]
    drawn = [edge["op"] for cell in cells.values() for node in cell["nodes"] for edge in node]
    assert drawn.count("skip_connect") <= 1  # of 16 edges with 8 choices each, the best of 10 draws


def test_a_network_an_objective_and_an_attack_of_ones_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = str(EXAMPLES / "own_network.py")
    train = "--data.limit 40 --threads 1 --training.epochs 1 --training.batch_size 20 --training.attack.steps 1 --out o"
    settings = ["--network", "three_layers", "--training.objective", "logit_pairing", *train.split()]
    assert main(["--plugin", own, "train", *settings]) == 0
    assert "logit_pairing" in OBJECTIVES
    assert main(["zoo", "three_layers", "--plugin", own]) == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        forget(patch)
        for line in (["evaluate", "o"], ["export", "o"], ["vulnerability", "o"], ["train", *settings]):
            assert main(line) == 2
            assert capsys.readouterr().err == (
                f"rnas: error: o was made with a plug-in that is not loaded: add --plugin {own}\n"
            )
    elsewhere = str(EXAMPLES / ".." / "examples" / "own_network.py")  # known by its name, wherever it lies
    evaluate = ["evaluate", "o", "--evaluation.attacks", "fgsm,corners", "--evaluation.images", "10", "--threads", "1"]
    assert main([*evaluate, "--plugin", elsewhere, "--plugin", str(EXAMPLES / "own_attack.py")]) == 0
    assert "Random corners" in capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(Path("o/results.json").read_text())["attacks"]}
    assert rows["corners"]["settings"]["corners"] == 20
    assert rows["corners"]["accuracy"] <= rows["clean"]["accuracy"]


def test_installed_ones_are_loaded_and_a_broken_one_costs_no_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write("mine_good.py", "from rnas.search.projection import SOLVERS\nSOLVERS.register('mine_good')(None)\n")
    write("mine_bad.py", "raise RuntimeError('of another version')\n")
    monkeypatch.syspath_prepend(tmp_path)
    entries = [metadata.EntryPoint(name, f"mine_{name}", "rnas.plugins") for name in ("good", "bad")]
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: entries if group == "rnas.plugins" else [])
    plugins.load_installed()
    assert "mine_good" in SOLVERS
    assert capsys.readouterr().err == (
        "rnas: warning: the installed plug-in bad (mine_bad) failed: RuntimeError: of another version\n"
    )
    assert plugins.recorded() == {"plugins_installed": ["mine_good"]}
    Path("run").mkdir()
    Path("run/manifest.json").write_text(json.dumps(plugins.recorded()))
    forget(monkeypatch)
    plugins.require(Path("run"))
    assert "mine_good" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", '{"plugins": 3}', "[" * 5000, "\xff"])
def test_a_damaged_manifest_is_for_its_readers_to_tell(text: str) -> None:
    Path("manifest.json").write_text(text, encoding="latin-1")
    plugins.require(Path())


def test_a_manifest_never_has_anything_imported() -> None:
    write("mine_harm.py", "from pathlib import Path\nPath('harm').touch()\n")
    Path("manifest.json").write_text('{"plugins": ["mine_harm.py"]}')
    with pytest.raises(RunError, match="add --plugin mine_harm"):
        plugins.require(Path())
    assert not Path("harm").exists()
