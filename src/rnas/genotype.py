"""A genotype: the discrete architecture that a search ends with, and its file format.

A cell is a directed acyclic graph. Its first `inputs` nodes are outputs of earlier cells; each further node is the
sum of its incoming edges, an operation applied to an earlier node; the cell's output concatenates the nodes in
`concat` (design of NASNet, Zoph et al. 2018, and DARTS, Liu et al. 2019). A genotype names one cell of each kind that
a network stacks: "normal" and "reduce" in the DARTS space.

Nothing here needs torch; which operations exist is a matter of the space that builds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import Repr
from typing import Any

from rnas.documents import parse_json, text_of
from rnas.errors import GenotypeError, RunError
from rnas.run.files import MEBIBYTE, read_bytes

__all__ = ["NOTATIONS", "Cell", "Edge", "Genotype", "Notation"]

#: Far above every published cell, and few enough that no file keeps a computer busy for minutes.
MOST_INPUTS = 8
MOST_NODES = 32
MOST_EDGES = 256
MOST_KINDS = 64
LONGEST_NAME = 64

#: Values of others in our messages: any length in one line.
_short = Repr()
_short.maxstring = _short.maxother = 80


@dataclass(frozen=True)
class Edge:
    """An operation applied to the output of an earlier node.

    Args:
        op: name of the operation, for example ``"sep_conv_3x3"``.
        source: index of the node that it reads.
    """

    op: str
    source: int


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        nodes: the incoming edges of each intermediate node; node k of this tuple has index ``inputs + k``.
        concat: indices of the nodes that form the output, in order.
        inputs: number of input nodes; 2 in the DARTS space.

    Raises:
        GenotypeError: if it has no input, an edge reads a node that does not come before its own, `concat` names no
            such node, or it is larger than any cell should be.
    """

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]
    inputs: int = 2

    def __post_init__(self) -> None:
        """Check that the edges form an acyclic graph."""
        if self.inputs < 1:
            raise GenotypeError(f"a cell needs at least one input node, got {_short.repr(self.inputs)}")
        for what, count, most in (
            ("input nodes", self.inputs, MOST_INPUTS),
            ("nodes", len(self.nodes), MOST_NODES),
            ("edges", sum(map(len, self.nodes)), MOST_EDGES),
            ("nodes in concat", len(self.concat), MOST_INPUTS + MOST_NODES),
        ):
            if count > most:
                raise GenotypeError(f"expected at most {most} {what}, got {_short.repr(count)}")
        for index, edges in enumerate(self.nodes, start=self.inputs):
            for number, edge in enumerate(edges):
                if len(edge.op) > LONGEST_NAME:
                    raise GenotypeError(
                        f"node {index}, edge {number}: expected an operation's name of at most {LONGEST_NAME} "
                        f"characters, got {_short.repr(edge.op)}"
                    )
                if not 0 <= edge.source < index:
                    raise GenotypeError(
                        f"node {index}, edge {number}: {edge.op!r} reads node {_short.repr(edge.source)}, "
                        f"expected an earlier node (0 to {index - 1})"
                    )
        if not self.concat:
            raise GenotypeError("concat is empty: a cell needs at least one output node")
        for node in self.concat:
            if not 0 <= node < self.inputs + len(self.nodes):
                raise GenotypeError(
                    f"concat names node {_short.repr(node)}, the cell has 0 to {self.inputs + len(self.nodes) - 1}"
                )


@dataclass(frozen=True)
class Genotype:
    """The cells of an architecture, by kind. Immutable and hashable; equal genotypes hash equal.

    Args:
        cells: pairs of a kind ("normal", "reduce", ...) and its cell, in any order, or a mapping.
        space: the search space that builds its network, by name; None where that is not known, as of files of before
            they said it. The cells alone decide what is equal.

    Raises:
        GenotypeError: if there is no cell, one kind twice, more kinds than any network should have, or a name that is
            none.
    """

    cells: tuple[tuple[str, Cell], ...]
    space: str | None = field(default=None, compare=False)

    def __init__(self, cells: Mapping[str, Cell] | tuple[tuple[str, Cell], ...], space: str | None = None) -> None:
        pairs = tuple(sorted(cells.items() if isinstance(cells, Mapping) else cells, key=lambda pair: pair[0]))
        kinds = [kind for kind, _ in pairs]
        if not pairs or len(set(kinds)) != len(kinds):
            raise GenotypeError(f"expected cells of distinct kinds, got {_short.repr(kinds)}")
        if len(kinds) > MOST_KINDS or max(map(len, kinds)) > LONGEST_NAME:
            raise GenotypeError(
                f"expected at most {MOST_KINDS} kinds of cell with names of at most {LONGEST_NAME} characters, "
                f"got {len(kinds)}: {_short.repr(kinds)}"
            )
        if space is not None and not 0 < len(space) <= LONGEST_NAME:
            raise GenotypeError(
                f"space: expected a name of at most {LONGEST_NAME} characters, got {_short.repr(space)}"
            )
        object.__setattr__(self, "cells", pairs)
        object.__setattr__(self, "space", space)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cell, sorted."""
        return tuple(kind for kind, _ in self.cells)

    def __getitem__(self, kind: str) -> Cell:
        for name, cell in self.cells:
            if name == kind:
                return cell
        raise GenotypeError(f"the genotype has no {kind!r} cell, only {', '.join(self.kinds)}")

    def to_json(self) -> str:
        """The genotype as the text of a JSON file; `from_json` reads it back."""
        return json.dumps(self.to_document(), indent=1) + "\n"

    def to_document(self) -> dict[str, Any]:
        """The genotype as JSON values."""
        return ({} if self.space is None else {"space": self.space}) | self.cells_document()

    def cells_document(self) -> dict[str, Any]:
        """The cells alone as JSON values: what a run is known by, also one of before files named the space."""
        return {
            "cells": {
                kind: {
                    "inputs": cell.inputs,
                    "nodes": [[{"op": edge.op, "from": edge.source} for edge in node] for node in cell.nodes],
                    "concat": list(cell.concat),
                }
                for kind, cell in self.cells
            }
        }

    @property
    def fingerprint(self) -> str:
        """A hash of the cells, the same in every version; hexadecimal."""
        return hashlib.sha256((json.dumps(self.cells_document(), indent=1) + "\n").encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """Read a genotype from JSON text.

        Raises:
            GenotypeError: if the text is not JSON or not a genotype; the message names the cell, node and edge.
        """
        try:
            document = parse_json(text, "the genotype")
        except RunError as error:
            raise GenotypeError(str(error)) from error
        cells = _get(document, "cells", dict, "genotype")
        space = None if document.get("space") is None else _get(document, "space", str, "genotype")
        return cls({kind: _read_cell(cell, f"cell {_short.repr(kind)}") for kind, cell in cells.items()}, space)

    @classmethod
    def load(cls, source: Path | str) -> Genotype:
        """Read a genotype in any form in which one is kept or printed.

        Args:
            source: a JSON file as `to_json` writes it; a text file with one genotype as DARTS or NAS-Bench-201 print
                it (see `rnas.genotype_texts`); a run directory that holds one; or such a print itself, as a string.

        Raises:
            GenotypeError: if there is none, or it is malformed; the message begins with its path.
        """
        for notation in NOTATIONS:
            if notation.is_print(str(source)):
                return notation.read_print(str(source))
        path = _find_file(Path(source))
        try:
            text = text_of(read_bytes(path, limit=MEBIBYTE), str(path))
            read = next((notation.read_print for notation in NOTATIONS if notation.holds_print(text)), cls.from_json)
            return read(text)
        except (OSError, RunError) as error:
            raise GenotypeError(str(error)) from error
        except GenotypeError as error:
            raise GenotypeError(f"{path}: {error}") from error


@dataclass(frozen=True)
class Notation:
    """How other programs print a genotype.

    Args:
        is_print: whether a text is such a print rather than a path.
        holds_print: whether the content of a file has one in it rather than JSON.
        read_print: the only genotype that a text holds; raises GenotypeError if there is none or several.
    """

    is_print: Callable[[str], bool]
    holds_print: Callable[[str], bool]
    read_print: Callable[[str], Genotype]


#: What `Genotype.load` reads besides JSON; `rnas.genotype_texts` adds itself, which `import rnas` imports.
NOTATIONS: list[Notation] = []


def _find_file(path: Path) -> Path:
    """The file that holds the genotype of a path: itself, or the one in a run directory.

    Raises:
        GenotypeError: if there is none; where folders of a run's stages hold some, the message names them.
    """
    try:
        if path.exists() and not path.is_dir():
            return path
        if not path.exists():
            raise GenotypeError(
                f"{_short_path(path)}: no such genotype file; expected a genotype.json, a run directory that holds "
                "one, Genotype(normal=[...], ...) or |op~0|+|op~0|op~1|+..."
            )
        # A recipe's search is one of its stages.
        for inside in (path / "genotype.json", path / "search" / "genotype.json"):
            if inside.is_file():
                return inside
        others = sorted(str(file.parent) for file in path.glob("*/genotype.json"))
    except OSError as error:
        raise GenotypeError(f"{_short_path(path)}: cannot be read ({error.strerror})") from error
    hint = f"; did you mean {' or '.join(others[:3])}?" if others else ""
    raise GenotypeError(f"{path}: the folder holds no genotype.json{hint}")


def _short_path(path: Path) -> str:
    """A path for a message; a printed genotype that was taken for one may be long."""
    text = " ".join(str(path).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def _get(document: Any, key: str, kind: type, where: str) -> Any:
    """The value of a key, checked to be of a type."""
    if not isinstance(document, dict) or key not in document:
        raise GenotypeError(f"{where}: expected an object with the key {key!r}")
    value = document[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise GenotypeError(f"{where}: {key!r} should be {kind.__name__}, is {type(value).__name__}")
    return value


def _read_cell(document: Any, where: str) -> Cell:
    listed = _get(document, "nodes", list, where)
    inputs = _get(document, "inputs", int, where) if "inputs" in document else 2
    nodes = []
    for index, edges in enumerate(listed, start=inputs):
        if not isinstance(edges, list):
            raise GenotypeError(f"{where}, node {index}: expected a list of edges, got {type(edges).__name__}")
        nodes.append(tuple(_read_edge(edge, f"{where}, node {index}, edge {i}") for i, edge in enumerate(edges)))
    concat = _get(document, "concat", list, where)
    if not all(isinstance(node, int) and not isinstance(node, bool) for node in concat):
        raise GenotypeError(f"{where}: 'concat' should hold node indices, holds {_short.repr(concat)}")
    try:
        return Cell(nodes=tuple(nodes), concat=tuple(concat), inputs=inputs)
    except GenotypeError as error:
        raise GenotypeError(f"{where}, {error}") from error


def _read_edge(document: Any, where: str) -> Edge:
    return Edge(op=_get(document, "op", str, where), source=_get(document, "from", int, where))
