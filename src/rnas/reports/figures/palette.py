"""Colours: one for each operation and each kind of operation, the same in every figure.

The hues are those of Okabe and Ito (2008), which people with the common colour deficiencies tell apart. Operations of
one kind share a hue's neighbourhood (convolutions blue to purple, pooling orange, identity green, none grey), so that
a cell coloured by kind and a curve coloured by operation speak the same language.
"""

from __future__ import annotations

import zlib
from typing import Final, Literal

__all__ = [
    "KINDS",
    "KIND_COLOURS",
    "MODEL_COLOURS",
    "MODEL_MARKERS",
    "operation_colour",
    "operation_kind",
    "operation_line",
]

KINDS: Final = ("convolution", "pooling", "identity", "none", "other")
KIND_COLOURS: Final = {
    "convolution": "#0072B2",
    "pooling": "#D55E00",
    "identity": "#009E73",
    "none": "#8C8C8C",
    "other": "#4D4D4D",
}
MODEL_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#4D4D4D", "#56B4E9")
MODEL_MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X")

_OPERATION_COLOURS: Final = {
    "none": "#8C8C8C",
    "max_pool_3x3": "#D55E00",
    "avg_pool_3x3": "#E69F00",
    "skip_connect": "#009E73",
    "sep_conv_3x3": "#0072B2",
    "sep_conv_5x5": "#56B4E9",
    "dil_conv_3x3": "#CC79A7",
    "dil_conv_5x5": "#882E72",
    "nor_conv_1x1": "#56B4E9",
    "nor_conv_3x3": "#0072B2",
}
# For operations of other spaces; which one is taken depends on the name alone, so it is the same in every figure.
_SPARE_COLOURS: Final = {
    "convolution": ("#332288", "#5289C7", "#AE76A3", "#1965B0"),
    "pooling": ("#A35200", "#F1932D"),
    "identity": ("#117733", "#4EB265"),
    "none": ("#8C8C8C",),
    "other": ("#4D4D4D", "#777733"),
}


def operation_kind(name: str) -> str:
    """The kind of an operation, from its name: one of `KINDS`.

    Args:
        name: for example ``"sep_conv_3x3"``; names of spaces that this package does not know are judged by their parts.
    """
    words = name.lower()
    if "conv" in words:
        return "convolution"
    if "pool" in words:
        return "pooling"
    if "skip" in words or "identity" in words:
        return "identity"
    if words in ("none", "zero", "zeroize"):
        return "none"
    return "other"


def operation_colour(name: str) -> str:
    """The colour of an operation as ``"#rrggbb"``."""
    if name in _OPERATION_COLOURS:
        return _OPERATION_COLOURS[name]
    spare = _SPARE_COLOURS[operation_kind(name)]
    return spare[zlib.crc32(name.encode()) % len(spare)]


def operation_line(name: str) -> Literal["-", "--", ":"]:
    """The line style of an operation's curve, a second mark beside its colour: dilated or absent ones are broken."""
    if operation_kind(name) == "none":
        return ":"
    return "--" if name.startswith("dil_") else "-"
