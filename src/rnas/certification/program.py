"""Models that can be bounded, and lower bounds of their margins on boxes of images.

What is proved is proved for real numbers: rounding in floating point is not covered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnas.certification.affine_rules import BATCH_NORMS, is_affine, takes_the_batch
from rnas.certification.boxes import Interval, box
from rnas.certification.intervals import propagate
from rnas.certification.linear import (
    Rows,
    bounded_units,
    concretise,
    lower_bounds,
    rows_at_a_time,
    step,
    tight_intervals,
)
from rnas.certification.recording import record
from rnas.certification.simplified import simplified
from rnas.certification.tape import Part, Tape
from rnas.errors import ModelError

__all__ = ["Program", "crown_ibp_margins", "crown_margins", "interval_margins", "trace"]


@dataclass(frozen=True)
class Program:
    """A model of which `trace` has found that it can be bounded. Its weights are read anew in each use.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes), in the mode in which it is.
        batch_statistics: whether batch norms may take the statistics of the batch: then those of the images
            themselves, in the middle of the balls, count as constants.
    """

    model: nn.Module
    batch_statistics: bool = False

    def tape(self, images: Tensor) -> Tape:
        """What the model does to these images."""
        tape = record(self.model, images)
        return simplified(tape, _statistics(tape, images) if self.batch_statistics else {})


def trace(model: nn.Module, image_shape: Sequence[int], *, batch_statistics: bool = False) -> Program:
    """Find out whether a model can be bounded.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes). It is run and left as it was, also its mode.
        image_shape: of one image, (C, H, W).
        batch_statistics: see `Program`.

    Raises:
        ModelError: if it takes other inputs beside the images, looks at values, draws random numbers (dropout), takes
            the statistics of the batch, mixes the images of a batch in any other way, or has an operation without a
            rule, which is named.
    """
    _check_inputs(model)
    tensor = next((tensor for tensor in model.parameters() if tensor.is_floating_point()), torch.zeros(()))
    images = torch.full((2, *image_shape), 0.5, dtype=tensor.dtype, device=tensor.device)
    with torch.no_grad():
        program = Program(model, batch_statistics)
        tape = program.tape(images)
        propagate(tape, box(images, 0.0))
        if not batch_statistics:
            _check_images_apart(tape, images)
    return program


def interval_margins(
    program: Program, images: Tensor, labels: Tensor, eps: float | Tensor, tape: Tape | None = None
) -> Tensor:
    """Lower bounds of all margins by intervals, layer by layer; the last layer and the margins are one matrix.

    Args:
        program: from `trace`.
        images: shape (N, C, H, W), in [0, 1].
        labels: shape (N,).
        eps: a radius in the maximum norm, or one for each image, shape (N,); >= 0. Boxes are cut with [0, 1].
        tape: `program.tape(images)`, for whoever asks for many eps at the same weights; None to record it.

    Returns:
        Lower bounds of z_label - z_j on the box, shape (N, classes); 0 for the label itself. They have gradients in
        weights, and in whatever else the model computes with.
    """
    tape = tape or program.tape(images)
    last = tape.nodes[tape.logits.node]
    kept = {tape.logits, *last.inputs}
    return _last_layer(tape, labels, propagate(tape, box(images, eps), kept))


def crown_ibp_margins(
    program: Program, images: Tensor, labels: Tensor, eps: float | Tensor, tape: Tape | None = None
) -> Tensor:
    """Lower bounds of all margins by linear functions, the units inside being bounded by intervals.

    Nowhere below those of `interval_margins`, with which arguments and returns are shared.
    """
    return _linear(tape or program.tape(images), images, labels, eps, propagate)


def crown_margins(
    program: Program, images: Tensor, labels: Tensor, eps: float | Tensor, tape: Tape | None = None
) -> Tensor:
    """Lower bounds of all margins by linear functions, and so are those of the units inside.

    Nowhere below those of `interval_margins`, with which arguments and returns are shared. The cost is that of a pass
    backwards for each unit that may be on or off.
    """
    return _linear(tape or program.tape(images), images, labels, eps, tight_intervals)


def _linear(
    tape: Tape,
    images: Tensor,
    labels: Tensor,
    eps: float | Tensor,
    propagation: Callable[..., dict[Part, Interval]],
) -> Tensor:
    last = tape.nodes[tape.logits.node]
    intervals = propagation(tape, box(images, eps), {tape.logits, *last.inputs, *bounded_units(tape)})
    rows = _specification(labels, tape.shape(tape.logits)[1], images)
    chunks = rows.split(rows_at_a_time(tape, images))
    linear = torch.cat([lower_bounds(tape, tape.logits, chunk, intervals) for chunk in chunks])
    # Not maximum: where one of the two overflows to what is no number, the other still holds.
    return torch.fmax(linear.T, _last_layer(tape, labels, intervals))


def _last_layer(tape: Tape, labels: Tensor, intervals: dict[Part, Interval]) -> Tensor:
    """The least margins, by the interval of what enters the last operation where that is affine."""
    last = tape.nodes[tape.logits.node]
    centre = intervals[tape.logits].centre
    constant = centre.new_zeros(centre.shape[1], len(labels))
    rows = Rows({tape.logits: _specification(labels, centre.shape[1], centre)}, constant)
    if is_affine(last):
        step(tape, last, rows, intervals)
    return concretise(rows, intervals).T


def _specification(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    """The margins as functions of the logits: shape (classes, N, classes)."""
    units = torch.eye(classes, dtype=like.dtype, device=like.device)
    return units[labels].unsqueeze(0) - units.unsqueeze(1)


def _statistics(tape: Tape, images: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
    """Mean and variance of the batch for each batch norm that takes them, with their gradients."""
    needed = tape.needed()[1:]
    if not any(node.name in BATCH_NORMS and takes_the_batch(node) for node in needed):
        return {}
    values: dict[Part, Tensor] = {Part(0): images}
    found = {}
    for node in needed:
        if node.name in BATCH_NORMS and takes_the_batch(node):
            maps, weight, bias, *_, eps = (values[leaf] if isinstance(leaf, Part) else leaf for leaf in node.arguments)
            dimensions = [0, *range(2, maps.dim())]
            variance, mean = torch.var_mean(maps, dim=dimensions, correction=0)
            found[node.index] = mean, variance
            results: Any = nn.functional.batch_norm(maps, None, None, weight, bias, True, 0.0, float(eps))
        else:
            results = node.apply(values.__getitem__)
        for place, result in enumerate([results] if isinstance(results, Tensor) else results):
            values[Part(node.index, place)] = result
    return found


def _check_inputs(model: nn.Module) -> None:
    """Refuse a model that asks for more than the images."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):  # a compiled program may have none
        return
    asked = [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    if len(asked) > 1:
        raise ModelError(f"cannot bound the model: expected one input, images, its forward takes {', '.join(asked)}")


def _check_images_apart(tape: Tape, images: Tensor) -> None:
    """Refuse a model in which an image meets the one beside it, or leaves its place in the batch.

    What is computed with an image that is not a number is none, so whatever it reaches is seen.
    """
    for spoilt in (0, 1):
        values = {Part(0): images.clone()}
        values[Part(0)][spoilt] = torch.nan
        for node in tape.nodes[1:]:
            results = node.apply(values.__getitem__)
            for place, result in enumerate([results] if isinstance(results, Tensor) else results):
                values[Part(node.index, place)] = result
                if result.numel() % 2 or not bool(result.reshape(2, -1)[1 - spoilt].isfinite().all()):
                    raise ModelError(
                        "cannot bound the model: the logits of an image depend on the images beside it, or it mixes "
                        f"their order (by {node.name})"
                    )
