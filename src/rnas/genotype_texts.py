"""Genotypes as other programs print them, read without running anything.

    Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ...], normal_concat=range(2, 6), reduce=..., ...)
    |nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|

The first is how DARTS and its descendants print and publish theirs: pairs of an operation and the node that it reads,
two for each node, and the nodes that the output concatenates. The second is the notation of NAS-Bench-201. Either may
stand in a text with other words around it, a log or a Python file, as long as it holds one genotype only.

Nothing here needs torch.
"""

from __future__ import annotations

import ast
import re
from reprlib import repr as short
from typing import Any

from rnas.errors import GenotypeError
from rnas.genotype import MOST_INPUTS, MOST_NODES, NOTATIONS, Cell, Edge, Genotype, Notation
from rnas.spaces import darts
from rnas.spaces.nasbench201 import parse_genotype

__all__ = ["holds_print", "is_print", "read_print"]

#: Bounded, so that no text makes the search for it slow.
CALL = re.compile(r"(?:\b(\w{1,64})\s{0,9}=\s{0,9})?(?:\b\w{1,64}\.)?\bGenotype\(")
GROUP = r"\|(?:[^\s|+]+~\d+\|)+"
CELL_STRING = re.compile(rf"{GROUP}(?:\+{GROUP})*")

#: The fields in the order of DARTS's named tuple.
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
EDGES_PER_NODE = 2
INPUTS = 2
#: Characters of a printed genotype.
LONGEST = 2**16
#: Brackets in brackets: the call, a list, a list in it, a pair.
DEEPEST = 4


def is_print(source: str) -> bool:
    """Whether a text is a printed genotype rather than a path."""
    return bool(CALL.match(source.lstrip()) or source.lstrip().startswith("|"))


def holds_print(text: str) -> bool:
    """Whether the content of a file has a printed genotype in it rather than JSON."""
    return not text.lstrip().startswith("{") and bool(CALL.search(text) or CELL_STRING.search(text))


def read_print(text: str) -> Genotype:
    """The only genotype that a text holds, in one of the two notations.

    Raises:
        GenotypeError: if there is none or several, or it is malformed; the message names the cell.
    """
    found: dict[Genotype, None] = {}
    if calls := list(CALL.finditer(text)):
        names = [call[1] or "one without a name" for call in calls]
        for call in calls:
            found[read_call(text[call.end() : call.end() + LONGEST])] = None
            if len(found) > 1:
                break
    else:
        names = list(dict.fromkeys(CELL_STRING.findall(text))) or [text.strip()]
        found |= dict.fromkeys(map(parse_genotype, names[:2]))
    if len(found) > 1:
        raise GenotypeError(f"holds several genotypes ({short(names)}), expected one: keep the one that you mean")
    return next(iter(found))


def read_call(text: str) -> Genotype:
    """A genotype from the text behind ``Genotype(``."""
    try:
        call = ast.parse(f"Genotype({arguments(text)})", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise GenotypeError(f"expected Genotype(normal=[(operation, node), ...], ...), got {short(text)}") from error
    if not isinstance(call, ast.Call) or len(call.args) > len(FIELDS):
        raise GenotypeError(f"expected the fields {', '.join(FIELDS)}, got {short(text)}")
    fields = dict(zip(FIELDS, map(value, call.args), strict=False))
    fields |= {word.arg or "**": value(word.value) for word in call.keywords}
    kinds = [name for name in fields if not name.endswith("_concat")]
    for name in fields:
        if name not in (*kinds, *(f"{kind}_concat" for kind in kinds)):
            raise GenotypeError(f"{short(name)}: there is no such cell")
    cells = {kind: cell(fields[kind], fields.get(f"{kind}_concat"), f"cell {short(kind)}") for kind in kinds}
    return Genotype(cells, space=darts.NAME)


def arguments(text: str) -> str:
    """The text up to the bracket that closes the one before it.

    A sign that no printed genotype has is refused, so that nothing but lists is parsed, and those not deep.
    """
    depth = 1
    for position, sign in enumerate(text):
        depth += (sign in "([") - (sign in ")]")
        if depth == 0:
            return text[:position]
        if depth > DEEPEST or not (sign.isalnum() or sign in "_ \t\r\n()[],='\""):
            break
    raise GenotypeError(f"expected Genotype(normal=[(operation, node), ...], ...), got {short(text[:200])}")


def value(node: ast.expr) -> Any:
    """A number, a text, a list, or a range as a list."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, str):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [value(item) for item in node.elts]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        items = [value(item) for item in node.args]
        if node.func.id == "list" and len(items) == 1 and isinstance(items[0], list):
            return items[0]
        if node.func.id == "range" and 1 <= len(items) <= 3 and all(isinstance(item, int) for item in items):
            numbers = range(*items) if items[2:] != [0] else range(0)
            # Of a longer one the beginning says as much: that it is too long.
            return list(numbers[: MOST_INPUTS + MOST_NODES + 1])
    raise GenotypeError(f"expected lists of (operation, node) and of nodes, got {short(ast.unparse(node))}")


def cell(edges: Any, concat: Any, where: str) -> Cell:
    """A cell from its pairs, two a node, and its output's nodes."""
    if not isinstance(edges, list) or any(
        not isinstance(pair, list) or list(map(type, pair)) != [str, int] for pair in edges
    ):
        raise GenotypeError(f"{where}: expected a list of (operation, node), got {short(edges)}")
    if not isinstance(concat, list) or any(type(node) is not int for node in concat):
        raise GenotypeError(f"{where}: expected its concat to be a list of nodes, got {short(concat)}")
    count, rest = divmod(len(edges), EDGES_PER_NODE)
    if rest or not edges:
        raise GenotypeError(f"{where}: expected two edges for each node, got {len(edges)} edges")
    last = INPUTS + count - 1
    if concat and max(concat) < last:
        # Nothing reads the last node but the output: more or fewer than two edges a node look like this.
        raise GenotypeError(
            f"{where}: {len(edges)} edges, two for each node, make the nodes {INPUTS} to {last}, "
            f"but its concat ends with {max(concat)}"
        )
    pairs = [Edge(op, source) for op, source in edges]
    nodes = tuple(tuple(pairs[start : start + EDGES_PER_NODE]) for start in range(0, len(pairs), EDGES_PER_NODE))
    try:
        return Cell(nodes=nodes, concat=tuple(concat), inputs=INPUTS)
    except GenotypeError as error:
        raise GenotypeError(f"{where}, {error}") from error


NOTATIONS.append(Notation(is_print, holds_print, read_print))
