"""All search algorithms with a line and a source each, for help.

Of ours they are read from the texts of the files that the catalogue names, for importing these takes torch; plug-ins
have been imported by then.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["describe_algorithms"]

FOLDER = Path(__file__).parent


def describe_algorithms() -> list[str]:
    """A line for each algorithm: its name, the first sentence of its file's docstring, and its source."""
    lines = dict(ours()) | dict(plugged())
    width = max(map(len, lines))
    return [f"{name:{width}}  {line}" for name, line in lines.items()]


def ours() -> Iterator[tuple[str, str]]:
    """Name and description of the algorithms in this folder, in the order of the catalogue."""
    for statement in ast.parse((FOLDER / "catalogue.py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import):
            file = FOLDER / f"{statement.names[0].name.rpartition('.')[2]}.py"
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for name in registered(tree):
                yield name, described(ast.get_docstring(tree) or "")


def registered(tree: ast.Module) -> Iterator[str]:
    """The names under which a file's classes are registered as algorithms."""
    for one in tree.body:
        for call in one.decorator_list if isinstance(one, ast.ClassDef) else []:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "ALGORITHMS.register":
                yield ast.literal_eval(call.args[0])


def plugged() -> Iterator[tuple[str, str]]:
    """Name and description of the algorithms that plug-ins have brought."""
    module = sys.modules.get("rnas.search.algorithm")
    algorithms = {} if module is None else module.ALGORITHMS
    for name in algorithms:
        kind = algorithms[name]
        if not kind.__module__.startswith(f"{__package__}."):
            yield name, described(inspect.cleandoc(kind.__doc__ or ""), kind.__module__)


def described(text: str, source: str = "") -> str:
    """The first sentence of a docstring with its source: the link of the first reference, or its first line."""
    sentence = re.split(r"(?<=\.)\s", text.partition("\n")[0])[0]
    references = text.partition("\nReferences:\n")[2].partition("\n\n")[0]
    link = re.search(r"https?://[^\s)]+", references)
    source = link[0] if link else references.strip().partition("\n")[0] or source
    return f"{sentence} ({source})" if source else sentence
