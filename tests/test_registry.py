"""Registries, and the import rule that keeps the command line fast."""

import subprocess
import sys

import pytest

from rnas.errors import UnknownNameError, nearest
from rnas.registry import Registry


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


def test_the_choice_that_a_reader_of_papers_means_comes_first() -> None:
    names = ["darts_v1", "p_darts", "rnas_l", "rnas_h", "vgg16", "resnet18"]
    for given, meant in (("RNAS-L", "rnas_l"), ("VGG16", "vgg16"), ("DARTS", "darts_v1"), ("P-DARTS", "p_darts")):
        assert nearest(given, names).startswith(f"; did you mean {meant!r}? (choices: ")
    for given in ("", "-", "transformer"):
        assert nearest(given, names).startswith(" (choices: ")


def test_import_leaves_torch_alone() -> None:
    code = "import sys, rnas, rnas.genotype, rnas.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
