"""The direction of the arrows in docs/design: which room may see which."""

import ast
from pathlib import Path

import pytest

import rnas

SOURCES = Path(rnas.__file__).parent
MODULES = sorted(SOURCES.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Names of the modules that a file imports, at any depth of its code; those for type checking only left out."""
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sees(path: Path, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imports(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_arrows_point_one_way(path: Path) -> None:
    room = path.relative_to(SOURCES).parts[0]
    if room not in ("cli.py", "__main__.py"):
        assert not sees(path, "rnas.cli")
    if room not in ("commands.py", "recipes", "__init__.py"):
        assert not sees(path, "rnas.recipes")
    if room == "attacks":
        assert not [name for name in imports(path) if name.startswith("rnas") and "rnas.attacks" not in name]
    if room == "folding.py":
        assert not sees(path, "rnas")
    if room in ("reports", "genotype.py", "errors.py", "registry.py", "config.py") or path.name == "config.py":
        assert not sees(path, "torch")
    if str(path).endswith("spaces/darts.py"):
        assert not sees(path, "torch")
    forbidden = {
        "data": ["networks", "supernets", "search", "training", "evaluation"],
        "networks": ["supernets", "search", "training", "evaluation"],
        "supernets": ["search", "training", "evaluation"],
        "hypergradients": ["data", "networks", "supernets", "search", "training", "evaluation"],
        "training": ["search", "evaluation"],
        "evaluation": ["networks", "supernets", "search", "training"],
        "reports": ["data", "networks", "search", "training", "evaluation"],
    }
    for other in forbidden.get(room, []):
        assert not sees(path, f"rnas.{other}"), f"{room} must not see {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_modules_stay_one_idea_long(path: Path) -> None:
    assert path.name != "utils.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
