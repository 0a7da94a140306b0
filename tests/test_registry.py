"""Registries, and the import rule that keeps the command line fast."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnas.errors import ConfigError, UnknownNameError, nearest
from rnas.registry import Named, Registry


def test_lookup_and_errors() -> None:
    registry = Registry[int]("number")
    registry.register("seven")(7)
    assert registry["seven"] == 7
    assert list(registry) == ["seven"]
    with pytest.raises(ValueError, match="'seven' is registered already"):
        registry.register("seven")(8)
    with pytest.raises(UnknownNameError) as caught:
        registry["sevn"]
    assert str(caught.value) == "no number is called 'sevn'; did you mean 'seven'? (choices: seven)"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package "shop" whose registry lies in its `registry`, and which registers "apple" in a file of its own."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "registry": "from rnas.registry import Registry\nFRUIT = Registry('fruit', 'shop.catalogue')\n",
        "apples": "from shop.registry import FRUIT\n@FRUIT.register('apple')\ndef apple(): ...\n",
        "catalogue": "import shop.apples\n",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.mark.usefixtures("shop")
def test_a_catalogue_is_imported_when_its_registry_is_first_read() -> None:
    fruit: Registry[object] = importlib.import_module("shop.registry").FRUIT
    assert "shop.apples" not in sys.modules
    assert list(fruit) == ["apple"]
    assert "shop.apples" in sys.modules
    assert len(fruit) == 1


@pytest.mark.usefixtures("shop")
def test_what_comes_from_elsewhere_comes_after_ours() -> None:
    """So that a name that is taken is told where it is taken, and ours stand first."""
    fruit: Registry[object] = importlib.import_module("shop.registry").FRUIT
    with pytest.raises(ConfigError, match="the fruit 'apple' is registered already"):
        fruit.register("apple")(test_what_comes_from_elsewhere_comes_after_ours)
    fruit.register("pear")(test_what_comes_from_elsewhere_comes_after_ours)
    assert list(fruit) == ["apple", "pear"]


@pytest.mark.usefixtures("shop")
def test_one_of_ours_may_be_imported_alone() -> None:
    importlib.import_module("shop.apples")
    assert "shop.catalogue" not in sys.modules
    assert list(importlib.import_module("shop.registry").FRUIT) == ["apple"]


def test_half_a_registry_is_none(shop: Path) -> None:
    (shop / "catalogue.py").write_text("import shop.apples\nimport shop.absent\n")
    fruit: Registry[object] = importlib.import_module("shop.registry").FRUIT
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match=r"shop\.absent"):
            fruit["apple"]


def test_a_class_is_made_for_each_of_its_names() -> None:
    named = Named[object]("thing")

    @named.register("one", "two")
    class Thing:
        def __init__(self, name: str) -> None:
            self.name = name

    assert [vars(named[name])["name"] for name in named] == ["one", "two"]


def test_the_choice_that_a_reader_of_papers_means_comes_first() -> None:
    names = ["darts_v1", "p_darts", "rnas_l", "rnas_h", "vgg16", "resnet18"]
    for given, meant in (("RNAS-L", "rnas_l"), ("VGG16", "vgg16"), ("DARTS", "darts_v1"), ("P-DARTS", "p_darts")):
        assert nearest(given, names).startswith(f"; did you mean {meant!r}? (choices: ")
    for given in ("", "-", "transformer"):
        assert nearest(given, names).startswith(" (choices: ")


def test_import_leaves_torch_alone() -> None:
    code = "import sys, rnas, rnas.genotype, rnas.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
