"""What a package exports is there; whether a type checker knows it too, mypy finds out of tests/user_script.py."""

from importlib import import_module
from pkgutil import walk_packages

import pytest

import rnas


@pytest.mark.parametrize(
    "package", ["rnas", *(module.name for module in walk_packages(rnas.__path__, "rnas.") if module.ispkg)]
)
def test_what_a_package_exports_is_there(package: str) -> None:
    module = import_module(package)
    exported = getattr(module, "__all__", [])
    assert all(getattr(module, name) is not None for name in exported)
