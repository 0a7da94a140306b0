"""Who uses the package from Python is told of a wrong name or argument by a type checker, before anything runs."""

import re
import subprocess
import sys
from importlib import import_module
from inspect import getdoc, signature
from pathlib import Path
from pkgutil import walk_packages

import pytest

import rnas
from rnas import surface
from rnas.errors import ConfigError

ROOT = Path(__file__).parents[1]

#: A user's script. Lines that end with "# wrong" must be refused, all others accepted.
SCRIPT = """
import rnas
from rnas.commands import SearchCommand, run_search
from rnas.evaluation import EvaluationSettings, evaluate
from rnas.recipes import TrainCommand
from rnas.search import SearchConfig
from rnas.vulnerability import network_vulnerability

search = SearchConfig(algorithm="rnas", channels=2, cells=3)
SearchConfig(algoritm="rnas")  # wrong
SearchConfig(nonsense=3)  # wrong
SearchConfig(channels="two")  # wrong
rnas.search.SearchConfig(algoritm="rnas")  # wrong
rnas.search.SearchConfg()  # wrong
rnas.sarch  # wrong
found = run_search(SearchCommand(out="runs/search", search=search))
run_search(search)  # wrong
rnas.Genotype.load(found / "genotype.json").edges  # wrong
network = rnas.load(found)
data = rnas.data.load("digits")
images, labels = data.test.floats(), data.test.labels
adversarial = rnas.attacks.pgd_linf(network, images, labels, eps=0.1, step_size=0.025, steps=20)
rnas.attacks.pgd_linf(network, images, labels, epsilon=0.1)  # wrong
network_vulnerability(network, ["stages.0"], images, adversarial) + 1.0
evaluation = evaluate(network, images, labels, attacks=["fgsm"], eps=0.1, settings=EvaluationSettings(batch_size=32))
evaluate(network, images, labels, attack=["fgsm"])  # wrong
evaluation.table().append("text")  # wrong
TrainCommand(out="runs/train", training=rnas.training.TrainingConfig(epochs=3))
TrainCommand(epochs=3)  # wrong
path = rnas.search("digits", out="runs/a", epochs=2, settings=search)
rnas.search("digits", epoch=2)  # wrong
rnas.search(epochs="two")  # wrong
rnas.search.ALGORITHMS["rnas"]
rnas.search.nonsense  # wrong
trained = rnas.train(path, epochs=3, eps="8/255")
rnas.train(path, attacks=["fgsm"])  # wrong
rnas.evaluate(trained, attacks=["fgsm"], images=10)["fgsm"].accuracy + 1.0
rnas.evaluate(rnas.zoo.build("resnet18", 10), "cifar10").accuracy  # wrong
rnas.certify(trained, methods=["interval"]).table()
rnas.certify(trained, attacks=["fgsm"])  # wrong
rnas.report("runs").parent
rnas.zoo.biuld("resnet18", 10)  # wrong
"""


def test_a_type_checker_knows_every_name(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    refused = {int(line) for line in re.findall(r"^script\.py:(\d+): error", checked.stdout, re.MULTILINE)}
    wrong = {number for number, line in enumerate(SCRIPT.splitlines(), 1) if line.endswith("# wrong")}
    assert refused == wrong, checked.stdout + checked.stderr


def test_the_package_search_is_also_the_command() -> None:
    """Called by its name, imported from as before, and told by both of its faces in the same words."""
    from rnas.search import SearchConfig
    from rnas.search.config import SearchConfig as Original

    assert rnas.search.SearchConfig is SearchConfig is Original
    assert signature(rnas.search) == signature(surface.search)
    with pytest.raises(ConfigError, match="epochs: expected an integer >= 1"):
        rnas.search(epochs=0)


@pytest.mark.parametrize("name", ["search", "train", "evaluate", "certify", "report", "load"])
def test_every_argument_of_the_short_names_is_told(name: str) -> None:
    function = surface.search if name == "search" else getattr(rnas, name)
    text = getdoc(function) or ""
    told = re.findall(r"^ {4}(\w+): ", text.partition("Args:\n")[2].partition("\nReturns:")[0], re.MULTILINE)
    assert told == list(signature(function).parameters)
    assert "Raises:" in text


@pytest.mark.parametrize(
    "package", ["rnas", *(module.name for module in walk_packages(rnas.__path__, "rnas.") if module.ispkg)]
)
def test_what_a_package_exports_is_there(package: str) -> None:
    module = import_module(package)
    exported = getattr(module, "__all__", [])
    assert all(getattr(module, name) is not None for name in exported)
