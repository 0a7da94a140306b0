"""Certified accuracy against the radius, and above it what attacks left: the robust accuracy lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnas.reports.figures.palette import MODEL_COLOURS, MODEL_MARKERS
from rnas.reports.figures.style import MUTED, drawable, style
from rnas.reports.wording import describe_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from rnas.run.certificate_results import CertificateResult
    from rnas.run.results import ModelResults

__all__ = ["certificates_figure"]

NORMS = {"Linf": "within an L-infinity ball", "L2": "within an L2 ball"}


def certificates_figure(models: Sequence[ModelResults]) -> Figure | None:
    """Draw a panel for each norm; a colour for each model.

    Args:
        models: any.

    Returns:
        The figure; None if nothing is certified. Solid lines are proved, dashed ones are what attacks leave, dotted
        ones mark the radius at which accuracies are told. Of several methods the best of each image is drawn, the
        others thinly.
    """
    certified = [model for model in models if model.certificates]
    norms = [norm for norm in NORMS if any(row.norm == norm for model in certified for row in model.certificates)]
    if not norms:
        return None
    with style():
        figure = Figure(figsize=(4.6 * len(norms) + 0.4, 3.6), layout="constrained")
        panels = figure.subplots(1, len(norms), squeeze=False, sharey=True)[0]
        for norm, axes in zip(norms, panels, strict=True):
            for index, model in enumerate(certified):
                _draw(axes, [row for row in model.certificates if row.norm == norm], index, filled=len(certified) == 1)
            axes.set_title(NORMS[norm])
            axes.set_xlabel("radius, in units of images in [0, 1]")
            axes.set_xlim(left=0)
            axes.set_ylim(0, 100)
        panels[0].set_ylabel("share of images, %")
        handles = [Line2D([], [], color=MODEL_COLOURS[index % len(MODEL_COLOURS)]) for index in range(len(certified))]
        labels = [drawable(model.name) for model in certified]
        handles += [Line2D([], [], color=MUTED, linestyle=line) for line in ("-", "--")]
        figure.legend(handles, [*labels, "proved", "left by attacks"], loc="outside upper left", ncols=4)
    return figure


def _draw(axes: Axes, rows: Sequence[CertificateResult], index: int, *, filled: bool) -> None:
    """The curves of one model in one norm, and where nobody knows, filled."""
    colour = MODEL_COLOURS[index % len(MODEL_COLOURS)]
    for row in rows:
        best = row is rows[-1]  # "any" comes last
        radii, shares = zip(*row.curve, strict=True) if row.curve else ((), ())
        axes.plot(radii, [100 * value for value in shares], color=colour, linewidth=2.0 if best else 0.8)
        if best:
            axes.axvline(row.eps, color=MUTED, linestyle=":", linewidth=1)
            axes.annotate(
                describe_distance(row.eps, 4),
                (row.eps, 100),
                xytext=(3, -9),
                textcoords="offset points",
                fontsize=7.5,
                color=MUTED,
            )
        if best and row.bracket is not None and row.bracket.curve:
            radii, left = zip(*row.bracket.curve, strict=True)
            axes.plot(radii, [100 * value for value in left], color=colour, linestyle="--")
            marker = MODEL_MARKERS[index % len(MODEL_MARKERS)]
            axes.plot([row.eps], [100 * row.bracket.attacked], marker, color=colour, markersize=5, fillstyle="none")
            if filled and row.bracket.images == row.images:
                lower, upper = ([100 * value for value in values] for values in (shares, left))
                axes.fill_between(radii, lower, upper, color=colour, alpha=0.10, linewidth=0)
