"""F of trained networks, as `rnas vulnerability` measured it: beside the accuracies, and which network has more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnas.reports.layers import CONSTANT_WORDS, layers_of, mean_vulnerability, metrics_of, read_layers
from rnas.reports.wording import describe_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rnas.reports.layers import LayerRow
    from rnas.run.contents import Part

__all__ = ["Measurement", "measurement"]


@dataclass(frozen=True)
class Measurement:
    """What was measured of some trained networks.

    Args:
        name: how the page calls the measurement.
        settings: the images and the attack, in words.
        models: names, in order.
        table: metric -> F of each model (Eq. 6) under it; None where the metric says nothing of its layers.
        words: which of several networks has the higher F by each metric; which F a constant channel decides.
    """

    name: str
    settings: str
    models: tuple[str, ...]
    table: Mapping[str, tuple[float | None, ...]]
    words: tuple[str, ...]


def measurement(part: Part, searched: Collection[str] = ()) -> Measurement:
    """Read a finished measurement.

    Args:
        part: the folder of one.
        searched: names of the networks that searches found, which looked for a low F.

    Raises:
        RunError: if its table is missing or damaged.
    """
    rows = read_layers(part.path / "vulnerability.csv")
    models = tuple(dict.fromkeys(row.model for row in rows))
    table = {
        metric: tuple(mean_vulnerability(layers_of(rows, model, metric)) for model in models)
        for metric in metrics_of(rows)
    }
    words = tuple(
        text for metric, values in table.items() if (text := compare(metric, models, values, searched)) is not None
    )
    words += tuple(
        f"{row.metric}: the F of {row.model} says nothing of its other channels: in {row.layer} {CONSTANT_WORDS}."
        for row in rows
        if row.constant
    )
    return Measurement(part.name, _settings(part, rows), models, table, words)


def compare(
    metric: str, models: Sequence[str], values: Sequence[float | None], searched: Collection[str] = ()
) -> str | None:
    """Which of several networks has the higher F, in words; None where there are not two numbers.

    Args:
        metric: how F was measured.
        models: names.
        values: F of each.
        searched: names of the networks that searches found.
    """
    found = sorted(
        [(value, model) for model, value in zip(models, values, strict=True) if value is not None], key=lambda x: x[0]
    )
    if len(found) < 2:
        return None
    (low, least), (high, most) = found[0], found[-1]
    if high == low:
        return f"{metric}: all have the same F, {high:.3g}."
    degree = "higher" if len(found) == 2 else "highest"
    times = f", {high / low:.3g} times as high" if low > 0 else ""
    words = f"{metric}: {most} has the {degree} F, {high:.3g} against {low:.3g} of {least}{times}"
    if most in searched and least not in searched:
        return f"{words}: by this measure the searched network is the more vulnerable one."
    if least in searched and most not in searched:
        return f"{words}: by this measure the searched network is the less vulnerable one."
    return f"{words}."


def _settings(part: Part, rows: Sequence[LayerRow]) -> str:
    """The images and the attack; the manifest says them, and the number of layers is counted."""
    attack = part.setting("attack")
    images = part.setting("images")
    known: dict[str, Any] = attack if isinstance(attack, dict) else {}
    words = ["PGD", describe_settings(known)]
    if isinstance(images, int):
        words.append(f"at most {images} test images")
    layers = {model: len({row.layer for row in rows if row.model == model}) for model in {row.model for row in rows}}
    counted = ", ".join(f"{model} {layers[model]}" for model in dict.fromkeys(row.model for row in rows))
    return ", ".join(filter(None, words)) + f"; layers: {counted}"
