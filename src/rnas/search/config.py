"""How a search is made. The defaults are the paper's (Section 5.1), but for the metric and the bound of F.

These are relative and Gaussian because of what docs/nas_robbench_201.md found; paper-cifar10 has the paper's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from rnas.config import (
    MOST_CELLS,
    MOST_CHANNELS,
    MOST_NUMBER,
    MOST_RATE,
    MOST_REPETITIONS,
    PgdConfig,
    WeightConfig,
    plain,
    require,
)
from rnas.search.settings import own_settings

__all__ = ["ConstraintConfig", "SearchConfig", "ShortlistConfig", "parse_bound"]

#: What orders the candidates of a rung.
RULES = ("bound", "ranks", "F", "loss")

#: More would train the last candidates for eta^rungs epochs: for ever.
MOST_RUNGS = 10


def parse_bound(bound: float | str, key: str = "bound") -> tuple[float, bool]:
    """Read a bound on the vulnerability.

    Args:
        bound: H itself, or a percentage such as "50%" of F at the end of the warm-up.
        key: the setting that holds it.

    Returns:
        The number (0.5 for "50%"), and whether it is relative.

    Raises:
        ConfigError: if it is neither, not positive, or beyond all that F can be.
    """
    text = str(bound).strip()
    relative = text.endswith("%")
    try:
        value = float(text.removesuffix("%")) / (100 if relative else 1)
    except ValueError:
        value = math.nan
    expected = f"H > 0 such as 1e-4 (at most {MOST_NUMBER:g}), or a percentage such as 50%"
    require(0 < value <= MOST_NUMBER, key, expected, bound)
    return value, relative


def parse_share(text: str) -> float | None:
    """A percentage from 0% to 100% as a number in [0, 1]; None if it is none."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        return None
    return share if text.endswith("%") and 0 <= share <= 1 else None


def positive_size(limit: int | str) -> bool:
    """Whether a size limit is a positive number of parameters or a percentage in (0, 100]."""
    if isinstance(limit, int):
        return limit > 0
    return (parse_share(limit) or 0) > 0


@dataclass(frozen=True)
class ConstraintConfig:
    """The bound on the network vulnerability (Eq. 8) and its projection (Eq. 9).

    Args:
        bound: H: a number as in the paper, or a percentage of F at the end of the warm-up, such as 50%.
        metric: how a map's deviation is measured; a name in rnas.vulnerability.metrics.METRICS.
        solver: "linearised" or "dual_ascent".
        images: how many validation images F is measured on, a fixed sample, at least 1.
        tolerance: tolerance on F / H - 1 and on the KKT residual, > 0.
        max_iterations: most iterations of a projection, at least 1; null takes T - u, the rest of an epoch.
    """

    bound: float | str = "80%"
    metric: str = "gaussian_kl"
    solver: str = "linearised"
    images: int = 128
    tolerance: float = 1e-3
    max_iterations: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        parse_bound(self.bound)
        require(self.images >= 1, "images", "an integer >= 1", self.images)
        require(0 < self.tolerance < 1, "tolerance", "a number in (0, 1)", self.tolerance)
        iterations = self.max_iterations
        require(iterations is None or iterations >= 1, "max_iterations", "an integer >= 1 or null", iterations)


@dataclass(frozen=True)
class ShortlistConfig:
    """The end of a search: its candidates race through rungs of short adversarial trainings, until one is left.

    Each candidate is trained alone, with a learning rate that ends at zero. One in `eta` goes on to the next rung, and
    is trained anew there, `eta` times as long.

    Args:
        count: candidates in the first rung, at least 1; with 1 the derived network is the answer, untrained.
        epochs: epochs of a training in the first rung, on the theta half, at least 1.
        learning_rate: highest learning rate of a training, whose schedule is one cycle, > 0.
        images: validation images on which the candidates are compared, a fixed sample, at least 1.
        rule: how the candidates of a rung are ordered: "bound", as in Eq. 8: those with a low F first, and among them
            the lowest adversarial loss; "ranks": the mean of the ranks by F and by adversarial loss; "F"; "loss".
        keep: share of the candidates that the bound on F keeps, in (0, 1], where the rule is "bound".
        metric: how F is measured; a name in rnas.vulnerability.metrics.METRICS.
        rungs: how many rungs, at least 1; with 1 the first one decides.
        eta: a rung is an `eta`-th as large as the one before, at least 2.
        generations: generations of the first rung, at least 1 and at most `count`: those after the first are mutants of
            the best candidates so far.
        least_size: least size of a candidate, in percent of the largest network within the size limit, from 0% to 100%.
        channels: channels of the first cells of a candidate, a positive even number; null for the supernet's.
        cells: cells of a candidate, as `search.cells`; null for the supernet's. Depth matters most: docs/fidelity.md.
    """

    count: int = 1
    epochs: int = 5
    learning_rate: float = 0.1
    images: int = 512
    rule: str = "bound"
    keep: float = 0.5
    metric: str = "gaussian_kl"
    rungs: int = 1
    eta: int = 3
    generations: int = 1
    least_size: str = "0%"
    channels: int | None = None
    cells: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.count >= 1, "count", "an integer >= 1", self.count, at_most=MOST_REPETITIONS)
        require(self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)
        require(self.learning_rate > 0, "learning_rate", "a number > 0", self.learning_rate, at_most=MOST_RATE)
        require(self.images >= 1, "images", "an integer >= 1", self.images)
        require(self.rule in RULES, "rule", f"one of {', '.join(RULES)}", self.rule)
        require(0 < self.keep <= 1, "keep", "a number in (0, 1]", self.keep)
        require(self.rungs >= 1, "rungs", "an integer >= 1", self.rungs, at_most=MOST_RUNGS)
        require(self.eta >= 2, "eta", "an integer >= 2", self.eta, at_most=MOST_REPETITIONS)
        most = f"an integer from 1 to count ({self.count})"
        require(1 <= self.generations <= self.count, "generations", most, self.generations)
        require(parse_share(self.least_size) is not None, "least_size", "a percentage from 0% to 100%", self.least_size)
        channels, cells = self.channels, self.cells
        even = channels is None or (channels >= 2 and channels % 2 == 0)
        require(even, "channels", "an even integer >= 2 or null", channels, at_most=MOST_CHANNELS)
        require(cells is None or cells >= 1, "cells", "an integer >= 1 or null", cells, at_most=MOST_CELLS)

    @property
    def least_share(self) -> float:
        """`least_size` as a number in [0, 1]."""
        return parse_share(self.least_size) or 0.0


@dataclass(frozen=True)
class SearchConfig(WeightConfig):
    """Settings of a search; those of the optimiser of theta are in `WeightConfig`.

    Args:
        algorithm: "rnas", the paper's Algorithm 1, or another: the end of ``rnas search --help`` says what each does.
        space: where it searches: "darts" as in the paper, or "nasbench201", where every cell's accuracy is known.
        channels: channels of the supernet's first cells (C), a positive even number.
        cells: number of cells, at least 3 in the space darts; in nasbench201 the number in each of three stages.
        epochs: passes over the half of the training images that trains the weights, at least 1.
        warmup_epochs: how many of these epochs train only the weights (Phase I).
        unconstrained_fraction: u / T, the part of an epoch's iterations before the projection, in (0, 1].
        hypergradient: the gradient of the validation objective in alpha: "first_order", or "unrolled" through one step
            on the weights (four times the passes).
        alpha_learning_rate: learning rate of the architecture parameters (Adam), > 0.
        alpha_weight_decay: weight decay of the architecture parameters, >= 0.
        attack: the PGD of adversarial training, of the validation objective, and of F.
        constraint: the bound on the vulnerability.
        size_limit: most parameters of the found network in the space's published form (darts: 20 cells, 36 channels;
            nasbench201: 5 cells a stage, 16 channels): a number, a percentage such as 50% of the space's largest, or
            null for any size.
        shortlist: the race between several candidates at the end.
    """

    algorithm: str = "rnas"
    space: str = "darts"
    channels: int = 16
    cells: int = 8
    epochs: int = 60
    warmup_epochs: int = 15
    unconstrained_fraction: float = 0.8
    hypergradient: str = "first_order"
    alpha_learning_rate: float = 6e-4
    alpha_weight_decay: float = 1e-3
    attack: PgdConfig = field(default_factory=PgdConfig)
    constraint: ConstraintConfig = field(default_factory=ConstraintConfig)
    size_limit: int | str | None = None
    shortlist: ShortlistConfig = field(default_factory=ShortlistConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(
            self.channels >= 2 and self.channels % 2 == 0,
            "channels",
            "an even integer >= 2",
            self.channels,
            at_most=MOST_CHANNELS,
        )
        require(self.cells >= 1, "cells", "an integer >= 1", self.cells, at_most=MOST_CELLS)
        limit = "a number of parameters > 0, a percentage such as 50%, or null"
        require(self.size_limit is None or positive_size(self.size_limit), "size_limit", limit, self.size_limit)
        require(self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)
        require(self.warmup_epochs >= 0, "warmup_epochs", "an integer >= 0", self.warmup_epochs)
        # By its full name: the default of warmup_epochs may be what no longer fits.
        most = f"at most search.epochs ({self.epochs})"
        require(self.warmup_epochs <= self.epochs, "warmup_epochs", most, self.warmup_epochs)
        fraction = self.unconstrained_fraction
        require(0 < fraction <= 1, "unconstrained_fraction", "a number in (0, 1]", fraction)
        require(
            self.alpha_learning_rate > 0,
            "alpha_learning_rate",
            "a number > 0",
            self.alpha_learning_rate,
            at_most=MOST_RATE,
        )
        require(self.alpha_weight_decay >= 0, "alpha_weight_decay", "a number >= 0", self.alpha_weight_decay)

    def plain(self) -> dict[str, Any]:
        """As YAML and JSON write it: of algorithms' own settings those of the chosen one."""
        values = {one.name: plain(getattr(self, one.name)) for one in fields(SearchConfig)}
        own = own_settings(self)
        return values if own is None else values | {self.algorithm: plain(own)}
