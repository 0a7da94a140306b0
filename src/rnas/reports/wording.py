"""Results in words: the radius of the attacks, what they ran with, on how many images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnas.reports.documents import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rnas.reports.results import ModelResults

__all__ = ["describe_eps", "describe_settings"]

_DISTANCES = ("eps", "step_size")


def describe_eps(models: Sequence[ModelResults]) -> str:
    """The radius of the attacks in words: ``"eps = 8/255"``; of models that differ in it, each one's."""
    radii = {model.name: model.eps for model in models if model.eps}
    if len(set(radii.values())) <= 1:
        return "".join(f"eps = {eps}" for eps in set(radii.values()))
    return "; ".join(f"{name}: eps = {eps}" for name, eps in radii.items())


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
            levels = float(value) * 255
            if 0 < levels <= 64 and abs(levels - round(levels)) < 1e-6:
                shown = f"{round(levels)}/255"
        words.append(f"{key.replace('_', ' ')} {shown}")
    return ", ".join(words)
