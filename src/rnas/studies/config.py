"""Settings of `rnas reproduce`, and its budgets: complete configurations, one YAML file each in this folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rnas.commands.config import RunCommand
from rnas.config import PgdConfig, require
from rnas.data.config import DataConfig
from rnas.evaluation.config import EvaluationSettings
from rnas.executors.config import ExecutorConfig
from rnas.named_files import file_names, named_file
from rnas.networks.config import NetworkConfig
from rnas.objectives.config import UNATTACKED
from rnas.search.config import SearchConfig, parse_bound
from rnas.training.config import TrainingConfig

__all__ = ["LayersConfig", "ReproduceCommand", "SourcesConfig", "budget_file", "budget_names"]


@dataclass(frozen=True)
class SourcesConfig:
    """Where the images of the paper's three data sets come from, each a source as --data of `rnas train` takes it.

    Args:
        cifar10: images that are used as CIFAR-10.
        cifar100: images that are used as CIFAR-100.
        svhn: images that are used as SVHN.
        limit: number of training images to keep of each, stratified over the classes; null keeps all.
        pixels: height and width to which larger images are reduced by averaging; null keeps them as they are.
    """

    cifar10: str = "cifar10"
    cifar100: str = "cifar100"
    svhn: str = "svhn"
    limit: int | None = None
    pixels: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("cifar10", "cifar100", "svhn"):
            require(bool(getattr(self, name)), name, "a name, a hub id or a path", getattr(self, name))
            self.of(name)

    def of(self, name: str) -> DataConfig:
        """The images of a data set of the paper: "cifar10", "cifar100" or "svhn"."""
        return DataConfig(source=getattr(self, name), limit=self.limit, pixels=self.pixels)


@dataclass(frozen=True)
class LayersConfig:
    """How Figure 1 measures the layers of a network.

    Args:
        images: number of test images, a stratified subset, at least 2; null takes all.
        metric: how a map's deviation is measured; a name in rnas.vulnerability.metrics.METRICS.
        attack: how the images are attacked.
    """

    images: int | None = 512
    metric: str = "kl_per_position"
    attack: PgdConfig = field(default_factory=lambda: PgdConfig(steps=20))

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.images is None or self.images >= 2, "images", "an integer >= 2 or null", self.images)


@dataclass(frozen=True)
class ReproduceCommand(ExecutorConfig, RunCommand):
    """Repeat a table or a figure of the paper: table1 to table4, figure1 to figure3.

    The same command again continues a killed study: finished runs are not repeated. Studies of one budget share their
    runs in one folder. --budget NAME (smoke, short, paper) sets all that follows; each value can be overridden.

    Args:
        out: the folder of the CSV file and the figure of each study, and of all runs in its folder runs.
        budget: smoke (tiny networks on digits, minutes on a CPU), short (15 epochs) or paper (300 epochs).
        networks: which of the study's networks to train now, by their names in the zoo; empty for all.
        bounds: figure3: the bounds H on the vulnerability; numbers, or percentages of F at the end of the warm-up.
        data: the images.
        network: width and depth of all networks; null for the published ones.
        search: the searches of figure2 and figure3; in figure3 each with its bound.
        training: how networks are trained; standard training takes all of it but the objective.
        evaluation: how networks are attacked; a study runs only the attacks that it shows.
        layers: how figure1 measures.
    """

    out: str = "runs/reproduce-paper"
    budget: str = "paper"
    networks: list[str] = field(default_factory=list)
    bounds: list[float | str] = field(default_factory=lambda: [4e-4, 2e-4, 1e-4, 5e-5, 2.5e-5])
    data: SourcesConfig = field(default_factory=SourcesConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    layers: LayersConfig = field(default_factory=LayersConfig)

    def __post_init__(self) -> None:
        """Check the ranges, and that the networks are left to the study."""
        RunCommand.__post_init__(self)
        ExecutorConfig.__post_init__(self)
        budget_file(self.budget)
        require(len(set(self.networks)) == len(self.networks), "networks", "each network once", self.networks)
        require(bool(self.bounds), "bounds", "at least one", self.bounds)
        texts = [str(bound) for bound in self.bounds]
        require(len(set(texts)) == len(texts), "bounds", "each bound once", texts)
        for bound in self.bounds:
            parse_bound(bound, "bounds")
        came = self.network.name or self.network.genotype
        require(came is None, "network", "null for name and genotype: the study names its networks", came)
        adversarial = self.training.objective not in UNATTACKED
        require(adversarial, "training.objective", "an adversarial one, such as pgd_at", self.training.objective)


def budget_names() -> list[str]:
    """The budgets that exist."""
    return file_names("rnas.studies")


def budget_file(name: str) -> Path:
    """The file of a budget.

    Raises:
        UnknownNameError: if there is no such budget; the message lists them.
    """
    return named_file("rnas.studies", name, "budget: no budget")
