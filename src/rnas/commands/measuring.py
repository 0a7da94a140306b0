"""Settings of `rnas vulnerability`."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnas.config import ComputeConfig, Distance, PgdConfig, default_step, require
from rnas.data.config import DataChoice

__all__ = ["MeasuringAttack", "VulnerabilityCommand"]


@dataclass(frozen=True)
class MeasuringAttack:
    """PGD in the Linf ball by which feature maps are moved.

    Args:
        eps: radius of the ball, in units of images in [0, 1]; null takes that of the networks' training, 8/255 where
            none is recorded.
        step_size: length of a step, in the same units; null takes a quarter of eps.
        steps: number of steps, at least 1.
    """

    eps: Distance | None = None
    step_size: Distance | None = None
    steps: int = 20

    def __post_init__(self) -> None:
        """Check the ranges."""
        self.at(Distance("8/255"))

    def at(self, eps: Distance) -> PgdConfig:
        """The attack with nothing left open.

        Args:
            eps: where none was asked for.
        """
        eps = eps if self.eps is None else self.eps
        return PgdConfig(eps, default_step(eps) if self.step_size is None else self.step_size, self.steps)


@dataclass(frozen=True)
class VulnerabilityCommand(ComputeConfig):
    """Measure how far an attack moves the feature maps of each layer of trained networks.

    Args:
        models: run directories; on the command line they stand before the settings.
        out: the folder of vulnerability.csv and the figure; a finished measurement is not repeated.
        data: the test images.
        images: number of test images, a stratified subset, at least 2; null takes all.
        batch_size: images attacked at once, at least 2; signal_relative takes its variance in such a batch.
        attack: how the images are attacked.
        metrics: how a map's deviation is measured, names in rnas.vulnerability.METRICS; null takes the metrics of the
            networks' searches, or kl_per_position where none is recorded.
        layers: names of modules that all models have; null takes the cells, stages or convolutions of each.
    """

    models: list[str] = field(default_factory=list)
    out: str = "runs/vulnerability"
    data: DataChoice = field(default_factory=DataChoice)
    images: int | None = 512
    batch_size: int = 128
    attack: MeasuringAttack = field(default_factory=MeasuringAttack)
    metrics: list[str] | None = None
    layers: list[str] | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(bool(self.models), "models", "at least one: rnas vulnerability MODEL ...", self.models)
        require(len(set(self.models)) == len(self.models), "models", "each model once", self.models)
        require(bool(self.out), "out", "a path", self.out)
        require(self.images is None or self.images >= 2, "images", "an integer >= 2 or null", self.images)
        require(self.batch_size >= 2, "batch_size", "an integer >= 2", self.batch_size)
        metrics = self.metrics
        require(metrics is None or bool(metrics), "metrics", "at least one, or null", metrics)
        require(metrics is None or len(set(metrics)) == len(metrics), "metrics", "each metric once", metrics)
        layers = self.layers
        require(layers is None or bool(layers), "layers", "at least one, or null", layers)
        require(layers is None or len(set(layers)) == len(layers), "layers", "each layer once", layers)
