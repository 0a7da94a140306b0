"""What a package exports is there; whether a type checker knows it too, mypy finds out of tests/user_script.py."""

import re
from importlib import import_module
from inspect import getdoc, signature
from pkgutil import walk_packages

import pytest

import rnas
from rnas import surface
from rnas.errors import ConfigError


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
