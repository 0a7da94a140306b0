"""The direction of the arrows in docs/design: which room may see which."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import rnas

SOURCES = Path(rnas.__file__).parent
MODULES = sorted(SOURCES.rglob("*.py"))


@cache
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


#: Rooms, or modules, and what they must not see.
FORBIDDEN = {
    "run": ["data", "networks", "models", "search", "training", "evaluation", "reports"],
    "data": ["networks", "models", "supernets", "search", "training", "evaluation"],
    "networks": ["models", "supernets", "search", "training", "evaluation"],
    "models": ["search", "training", "evaluation"],
    "supernets": ["models", "search", "training", "evaluation"],
    "hypergradients": ["data", "networks", "models", "supernets", "search", "training", "evaluation"],
    "vulnerability": ["data", "networks", "models", "supernets", "search", "training", "evaluation"],
    "training": ["search", "evaluation"],
    "evaluation": ["networks", "models", "supernets", "search", "training"],
    "tabular": ["data", "networks", "models", "supernets", "search", "training", "evaluation"],
    "reports": ["data", "networks", "models", "search", "training", "evaluation"],
}


def see(room: str, package: str) -> list[str]:
    """The modules of a room (a folder, or a module's own path) that import a package."""
    return [
        str(path.relative_to(SOURCES))
        for path in MODULES
        if path.relative_to(SOURCES).parts[0] == room
        and any(name == package or name.startswith(f"{package}.") for name in imports(path))
    ]


def test_only_who_stands_above_sees_the_command_line_and_the_recipes() -> None:
    rooms = {path.relative_to(SOURCES).parts[0] for path in MODULES}
    for room in rooms - {"cli.py", "__main__.py"}:
        assert see(room, "rnas.cli") == []
    for room in rooms - {"cli.py", "surface.py", "commands", "studies", "recipes"}:
        assert see(room, "rnas.commands") == []
        assert see(room, "rnas.studies") == []
        assert see(room, "rnas.recipes") == []


def test_arrows_between_rooms_point_one_way() -> None:
    for room, others in FORBIDDEN.items():
        for other in others:
            assert see(room, f"rnas.{other}") == [], f"{room} must not see {other}"


def test_attacks_stand_alone() -> None:
    strangers = {name for path in MODULES if path.parent.name == "attacks" for name in imports(path)}
    assert not [name for name in strangers if name.startswith("rnas") and "rnas.attacks" not in name]


def test_configurations_and_reports_come_without_torch() -> None:
    for room in ("reports", "genotype.py", "errors.py", "registry.py"):
        assert see(room, "torch") == []
    settings = [SOURCES / "search" / f"{name}.py" for name in ("settings", "extending", "listing")]
    for path in (*SOURCES.rglob("config.py"), SOURCES / "spaces" / "darts.py", *settings):
        assert not [name for name in imports(path) if name.partition(".")[0] == "torch"], path


def test_modules_stay_one_idea_long() -> None:
    assert not [path for path in MODULES if path.name == "utils.py"]
    assert not [path for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 300]


def name_of(path: Path) -> str:
    """The name of a module, or of a package: "rnas.run.files", "rnas.run"."""
    parts = ("rnas", *path.relative_to(SOURCES).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next one and the last one the first; empty if there are none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) in (["b", "c", "b"], ["c", "b", "c"])
    modules = {name_of(path): path for path in MODULES}
    faces = {name for name, path in modules.items() if path.name == "__init__.py"}
    # A package's face is imported with each of its modules; what it takes from them is nobody's way around.
    arrows = {name: (imports(path) & modules.keys()) - {name} for name, path in modules.items()}
    assert circle({name: seen - faces for name, seen in arrows.items() if name not in faces}) == []


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """What a function takes, without the object that it belongs to."""
    taken = function.args
    rest = [more for more in (taken.vararg, taken.kwarg) if more is not None]
    names = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *rest)]
    return [name for name in names if name not in ("self", "cls")]


def test_functions_take_at_most_ten_parameters() -> None:
    found = {
        f"{name_of(path)}.{node.name}": len(parameters(node))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert found["rnas.evaluation.evaluator.evaluate"] == 10
    assert {name: count for name, count in found.items() if count > 10} == {}
