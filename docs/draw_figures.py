"""Take the figures of Start and Concepts from runs, and draw the published cells.

python docs/draw_figures.py runs/quickstart runs/race
"""

import shutil
import sys
from pathlib import Path

from rnas.networks.cards import known_cards
from rnas.reports import draw_genotype, report

FIGURES = Path(__file__).parent / "figures"
#: A figure of the site -> the figure of a run, in its folder.
QUICKSTART = {
    "start-accuracy": "figures/accuracy",
    "quickstart-cells": "figures/cells",
    "concepts-alpha": "figures/alpha_normal",
    "concepts-bound": "figures/vulnerability",
    "concepts-vulnerability": "vulnerability/vulnerability",
}
RACE = {"concepts-race": "figures/race"}


def main(quickstart: str, race: str) -> None:
    """Copy what two reports have drawn."""
    for run, names in ((quickstart, QUICKSTART), (race, RACE)):
        folder = report(Path(run)).parent
        for ours, theirs in names.items():
            shutil.copy(folder / f"{theirs}.svg", FIGURES / f"{ours}.svg")
    genotype = known_cards()["darts_v2"].genotype
    assert genotype is not None
    draw_genotype(genotype, title="darts_v2", path=FIGURES / "concepts-darts-v2.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
