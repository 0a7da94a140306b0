"""Plug-ins: their names are known to every command, runs keep them, and what is missing is told in one line."""

from __future__ import annotations

import json
import pickle
import sys
from importlib import metadata
from pathlib import Path

import pytest

import rnas
from rnas import plugins
from rnas.cli import main
from rnas.config import plain
from rnas.errors import ConfigError, RunError, UnknownNameError
from rnas.objectives import OBJECTIVES
from rnas.search import SearchConfig
from rnas.search.extending import search_config
from rnas.search.projection import SOLVERS
from rnas.search.settings import SETTINGS
from rnas.supernets.space import SPACES

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, registries: None) -> None:  # noqa: ARG001
    """A working directory of its own; what a test loads and registers is gone after it."""
    monkeypatch.chdir(tmp_path)
    forget(monkeypatch)


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
    """Searched with its own settings and resumed; without the plug-in one line says which is missing."""
    algorithm = str(EXAMPLES / "own_algorithm.py")
    search = "search --data.limit 40 --threads 1 --search.algorithm fewest_skips --search.channels 2 --search.cells 3"
    line = [*search.split(), "--search.attack.steps", "1", "--search.constraint.images", "8", "--out", "found"]
    line += ["--search.fewest_skips.draws", "9"]
    assert main([*line, "--plugin", algorithm]) == 0
    manifest = json.loads(Path("found/manifest.json").read_text())
    assert manifest["plugins"] == [algorithm]
    assert manifest["config"]["search"]["fewest_skips"] == {"draws": 9}
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
    assert drawn.count("skip_connect") <= 1  # of 16 edges with 8 choices each, the best of 9 draws


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            "--search.fewest_skips.draw 3",
            "no setting is called '--search.fewest_skips.draw'; did you mean --search.fe",
        ),
        ("--search.fewest_skips.draws x", "search.fewest_skips.draws: expected int, got 'x'"),
        (
            "--search.fewest_skips.draws 0 --search.algorithm fewest_skips",
            "search.fewest_skips.draws: expected an integer >= 1, got 0",
        ),
        (
            "--search.fewest_skips.draws 3",
            "search.fewest_skips.draws: expected its default, 10, where search.algorithm is 'rnas' and not "
            "'fewest_skips', got 3",
        ),
    ],
)
def test_own_settings_are_checked_as_all_others(options: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--plugin", str(EXAMPLES / "own_algorithm.py"), *options.split(), "--out", "new"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"rnas: error: {says}")
    assert output.err.count("\n") == 1
    assert not Path("new").exists()


def test_own_settings_stand_in_help_and_files_and_python(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = ["--plugin", str(EXAMPLES / "own_algorithm.py")]
    for command in ("search", "run quickstart", "benchmark fewest_skips", "reproduce figure2"):
        with pytest.raises(SystemExit):
            main([*command.split()[:1], *plugin, "--help"])
        assert "--search.fewest_skips.draws DRAWS" in capsys.readouterr().out
    Path("mine.yaml").write_text("search: {algorithm: fewest_skips, fewest_skips: {draws: 7}}\n")
    with pytest.raises(SystemExit):
        main(["search", *plugin, "--config", "mine.yaml", "--print_config"])
    assert "fewest_skips:\n    draws: 7\n" in capsys.readouterr().out
    config = search_config(algorithm="fewest_skips", fewest_skips=SETTINGS["fewest_skips"](draws=5))
    assert plain(config)["fewest_skips"] == {"draws": 5}
    assert pickle.loads(pickle.dumps(config)) == config
    assert "fewest_skips" not in plain(search_config(algorithm="rnas"))
    assert plain(SearchConfig(algorithm="fewest_skips"))["fewest_skips"] == {"draws": 10}


def test_an_algorithm_named_as_a_group_of_settings_gets_none() -> None:
    write(
        "mine_named.py",
        "import dataclasses\nfrom rnas.search.algorithm import ALGORITHMS, Algorithm\n"
        "Config = dataclasses.make_dataclass('Config', [('a', int, 1)], frozen=True)\n"
        "@ALGORITHMS.register('constraint', settings=Config)\nclass Mine(Algorithm):\n    pass\n",
    )
    plugins.load(["mine_named.py"])
    with pytest.raises(ConfigError, match=r"search\.constraint is taken"):
        search_config()


def test_a_space_of_ones_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Searched, resumed, trained, evaluated, measured, exported and reported, all from one module."""
    plugin = ["--plugin", str(EXAMPLES / "own_space.py")]
    small = ["--data.limit", "40", "--threads", "1"]
    search = "--search.space two_layers --search.channels 4 --search.cells 2 --search.epochs 1 --search.warmup_epochs 0"
    search += " --search.batch_size 10 --search.attack.steps 1 --search.constraint.images 8 --search.size_limit 60%"
    search += " --search.constraint.max_iterations 1"
    assert main(["search", *plugin, *small, *search.split(), "--out", "found"]) == 0
    document = json.loads(Path("found/genotype.json").read_text())
    assert document["space"] == "two_layers"
    Path("found/results.json").unlink()  # made again from the checkpoint
    assert main(["search", "--resume", "found", *plugin]) == 0
    assert json.loads(Path("found/results.json").read_text())["operations"] == ["skip_connect", "conv_3x3", "conv_5x5"]
    train = "--training.epochs 1 --training.batch_size 20 --training.attack.steps 1 --network.channels 4 --out trained"
    genotype = ["--network.genotype", "found/genotype.json"]
    assert main(["train", *plugin, *small, *genotype, *train.split()]) == 0
    assert type(rnas.load("trained")).__name__ == "TwoLayersNetwork"
    assert len(list(rnas.load("trained").get_submodule("cells").children())) == 8  # as published, for none was named
    evaluate = ["--evaluation.attacks", "fgsm", "--evaluation.images", "10", "--threads", "1"]
    assert main(["evaluate", "trained", *plugin, *evaluate]) == 0
    assert main(["export", "trained", *plugin]) == 0
    assert main(["report", "found"]) == 0
    capsys.readouterr()
    dropped = ["--training.cells.drop_path", "0.2", "--search.space", "two_layers", "--out", "new"]
    assert main(["run", "quickstart", *plugin, *dropped]) == 2
    assert "where search.space is two_layers" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        forget(patch)
        patch.delitem(SPACES._items, "two_layers")
        with pytest.raises(UnknownNameError, match=r"no search space is called 'two_layers'.*needs its --plugin"):
            rnas.load("trained")
        assert main(["train", *genotype, "--out", "other"]) == 2
        told = capsys.readouterr().err
        assert told.startswith("rnas: error: found/genotype.json: no search space is called 'two_layers'")
        assert told.endswith("one of your own needs its --plugin\n")


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
