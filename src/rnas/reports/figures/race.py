"""A race as a figure: where each candidate stood in each rung, who went on and who won."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from rnas.reports.figures.layers import PlainNumbers
from rnas.reports.figures.style import INK, MUTED, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rnas.reports.races import Race

__all__ = ["race_figure"]

_FELL: Final = "#9A9A9A"
_WENT_ON: Final = "#0072B2"
_WON: Final = "#D55E00"

#: Candidates below which each dot has its number.
_FEW: Final = 13

#: Where an axis spans more than this, its powers of ten are labels enough.
_DECADE: Final = 12


def race_figure(race: Race) -> Figure | None:
    """Draw the adversarial loss over F of each candidate, a panel for each rung.

    Args:
        race: the candidates.

    Returns:
        The figure, or None where F or a loss is not recorded, or F is not positive and so has no place on the axis.
    """
    rungs = race.rungs
    placed = [racer.rungs[rung] for rung, racing in enumerate(rungs) for racer in racing]
    if not all(measures.get("F", 0) > 0 and "adversarial_loss" in measures for measures in placed):
        return None
    with style():
        figure = Figure(figsize=(0.6 + 3.0 * len(rungs), 3.1), layout="constrained")
        panels = figure.subplots(1, len(rungs), squeeze=False)[0]
        for rung, axes in enumerate(panels):
            _draw_rung(axes, race, rung)
        panels[0].set_ylabel("adversarial loss")
        figure.supxlabel("lower is better on both axes", x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def _draw_rung(axes: Axes, race: Race, rung: int) -> None:
    racing, last = race.rungs[rung], rung == len(race.rungs) - 1
    for racer in racing:
        went_on = len(racer.rungs) > rung + 1
        colour = _WON if racer.chosen else _WENT_ON if went_on else _FELL
        place = (racer.rungs[rung]["F"], racer.rungs[rung]["adversarial_loss"])
        face = colour if racer.chosen or went_on else "none"
        axes.plot(*place, marker="*" if racer.chosen else "o", markersize=11 if racer.chosen else 5.5, color=colour,
                  markerfacecolor=face, linestyle="none", zorder=3 if racer.chosen else 2)  # fmt: skip
        if len(racing) < _FEW or racer.chosen:
            axes.annotate(str(racer.number), place, (4, 4), textcoords="offset points", fontsize=7.5, color=INK)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PlainNumbers(minor_thresholds=(2, 0.5)))
    least, most = axes.get_xlim()
    axes.xaxis.set_minor_formatter(
        PlainNumbers(minor_thresholds=(2, 0.5)) if most < _DECADE * least else NullFormatter()
    )
    axes.set_xlabel(f"F, {race.metric}" if race.metric else "F")
    epochs = (race.epochs or 0) * race.eta**rung
    length = f", {epochs} epoch{'s' if epochs > 1 else ''} each" if epochs else ""
    axes.set_title(f"Rung {rung + 1}: {len(racing)}{length}")
    names = [("went on", _WENT_ON, "o", _WENT_ON)] if not last else []
    for name, colour, marker, face in (("won", _WON, "*", _WON), *names, ("fell", _FELL, "o", "none")):
        axes.plot([], [], marker=marker, color=colour, markerfacecolor=face, linestyle="none", label=name)
    axes.legend(loc="best", handletextpad=0.2)
