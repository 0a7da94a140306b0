"""Which column of a data set holds the images and which the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datasets import ClassLabel, Image, Value

from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["find_columns"]

INTEGERS = ("int", "uint")
#: Types whose values may be labels too; null is that of a column in which no row has one.
PLAIN = (*INTEGERS, "float", "bool", "string", "large_string", "null")


def find_columns(
    features: Mapping[str, Any], image_column: str | None, label_column: str | None, origin: str
) -> tuple[str, str]:
    """The names of the image and the label column.

    Without a name given, the image column is the only one of images, and the label column the only one of classes or,
    if there are several, the one called "label" or else "fine_label". Whole numbers, texts and truth values are labels
    too in a column that is named or, where there are no classes, in one called "label".

    Args:
        features: a data set's columns.
        image_column: a name that overrides the search.
        label_column: a name that overrides the search.
        origin: the folder or hub id, for the errors.

    Raises:
        DataError: if there is no such column or no single one; the message lists the columns.
    """
    return (
        _choose(features, image_column, "image", _holds_images, ("image", "img"), origin),
        _choose(features, label_column, "label", _holds_labels, ("label", "fine_label"), origin),
    )


def _is_image(feature: Any) -> bool:
    """Whether a column surely holds encoded images: declared so, or the hub's struct of bytes and path."""
    return isinstance(feature, Image) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"})


def _holds_images(name: str, feature: Any, named: bool) -> bool:
    binary = isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")
    return _is_image(feature) or (binary and (named or name in ("image", "img")))


def _holds_labels(name: str, feature: Any, named: bool) -> bool:
    plain = isinstance(feature, Value) and feature.dtype.startswith(PLAIN if named else INTEGERS)
    return isinstance(feature, ClassLabel) or (plain and (named or name == "label"))


def _choose(
    features: Mapping[str, Any],
    given: str | None,
    kind: str,
    fits: Callable[[str, Any, bool], bool],
    preferred: tuple[str, ...],
    origin: str,
) -> str:
    columns = ", ".join(features)
    if given is not None:
        if given not in features:
            raise DataError(f"{origin}: no {kind} column {given!r} (columns: {columns})")
        if not fits(given, features[given], True):
            expected = "encoded images" if kind == "image" else "classes, integers or texts"
            raise DataError(f"{origin}: expected {expected} in the {kind} column {given!r}, it is {features[given]}")
        return given
    candidates = [name for name, feature in features.items() if fits(name, feature, False)]
    if not candidates and kind in features and fits(kind, features[kind], True):
        candidates = [kind]
    if not candidates:
        raise DataError(f"{origin}: found no {kind} column, name it with {kind}_column (columns: {columns})")
    chosen = candidates if len(candidates) == 1 else [name for name in preferred if name in candidates]
    if not chosen:
        raise DataError(
            f"{origin}: several {kind} columns, choose one with {kind}_column (choices: {', '.join(candidates)})"
        )
    return chosen[0]
