"""Results in words: the radius of the attacks, what they ran with, on how many images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnas.documents import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rnas.genotype import Cell
    from rnas.run.attack_results import AttackResult
    from rnas.run.results import ModelResults

__all__ = [
    "describe_cell",
    "describe_conditions",
    "describe_distance",
    "describe_eps",
    "describe_images",
    "describe_settings",
]

_DISTANCES = ("eps", "step_size")


def describe_eps(models: Sequence[ModelResults]) -> str:
    """The radius of the attacks in words: ``"eps = 8/255"``; of models that differ in it, each one's."""
    radii = {model.name: model.eps for model in models if model.eps}
    if len(set(radii.values())) <= 1:
        return "".join(f"eps = {eps}" for eps in set(radii.values()))
    return "; ".join(f"{name}: eps = {eps}" for name, eps in radii.items())


def describe_cell(cell: Cell) -> str:
    """A cell for those who cannot see its drawing, with the drawing's names."""
    names = [f"c_(k-{cell.inputs - i})" for i in range(cell.inputs)] + [f"node {i}" for i in range(len(cell.nodes))]
    return ", ".join(
        f"{names[index]} is " + (" plus ".join(f"{edge.op} of {names[edge.source]}" for edge in edges) or "unused")
        for index, edges in enumerate(cell.nodes, start=cell.inputs)
    )


def describe_conditions(models: Sequence[ModelResults]) -> tuple[str, ...]:
    """The words beside each model's name: its data, image size and eps, as far as the models differ in them.

    Returns:
        For each model words such as ``"cifar10, 32 x 32 pixels, eps = 8/255"``; empty where all are alike.
    """
    kinds = [
        [model.data for model in models],
        ["" if model.size is None else f"{model.size[0]} x {model.size[1]} pixels" for model in models],
        [f"eps = {model.radius}" if model.eps else "" for model in models],
    ]
    # What an older file does not record is no difference.
    told = [kind for kind in kinds if len(set(kind) - {""}) > 1]
    return tuple(", ".join(filter(None, words)) for words in zip(*told, strict=True)) if told else ("",) * len(models)


def describe_distance(value: float, digits: int = 6) -> str:
    """A distance between images, in grey levels where it is a whole number of them: ``"8/255"``; else in few digits."""
    levels = value * 255
    # Differences of float32 images miss a whole level by up to 1e-5 of one.
    if 0 < levels <= 64 and abs(levels - round(levels)) < 1e-4:
        return f"{round(levels)}/255"
    return f"{value:.{digits}g}"


def describe_images(result: AttackResult, of: int | None = None) -> str:
    """How many images were attacked: ``"64 of 256 images"``, ``"60 images, each corrupted 55 times"``.

    Args:
        result: what is described.
        of: how many there are; named only where fewer were attacked.
    """
    members = len(result.parts) or 1
    images = result.images // members
    subset = f" of {of}" if of is not None and images < of else ""
    return f"{images}{subset} images" + (f", each corrupted {members} times" if result.parts else "")


def describe_settings(settings: Mapping[str, Any]) -> str:
    """An attack's settings as words, without the number of images, which stands beside the accuracy.

    Distances are in grey levels where they are whole ones: ``"eps 8/255"``.
    """
    words = []
    for key, value in settings.items():
        if key == "images":
            continue
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        if isinstance(value, list):
            shown = " and ".join(", ".join(map(str, value)).rsplit(", ", 1))
        if key in _DISTANCES and is_number(value):
            shown = describe_distance(float(value))
        if key == "attacked":
            words.append(_seen(str(value), "the second model" if "from" in settings else "the model"))
        else:
            words.append(f"{key.replace('_', ' ')} {shown}")
    return ", ".join(words)


def _seen(value: str, model: str) -> str:
    """What an attack was made on, in words: "prepared" is the folded copy, "model: REASON" the model itself."""
    kind, _, reason = value.partition(": ")
    if kind == "prepared":
        return f"on a folded copy of {model}"
    return f"on {model} itself" + (f" ({reason})" if reason else "")
