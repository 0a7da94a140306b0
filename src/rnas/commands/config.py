"""The settings of each command. The same keys serve the command line, a YAML file and a Python call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rnas.certification.config import CertificationSettings
from rnas.commands.measuring import VulnerabilityCommand
from rnas.config import MOST_REPETITIONS, ComputeConfig, Distance, PgdConfig, require
from rnas.data.config import DataChoice, DataConfig
from rnas.evaluation.config import EvaluationSettings
from rnas.executors.config import ExecutorConfig
from rnas.networks.config import NetworkConfig
from rnas.search.config import ConstraintConfig, SearchConfig, ShortlistConfig
from rnas.training.config import TrainingConfig

__all__ = [
    "BenchmarkCommand",
    "CertifyCommand",
    "EvaluateCommand",
    "ExportCommand",
    "JudgingCommand",
    "RecipeCommand",
    "SearchCommand",
    "TrainCommand",
    "VulnerabilityCommand",
    "ZooCommand",
]


@dataclass(frozen=True)
class RunCommand(ComputeConfig):
    """Settings of every command that makes a run directory.

    Args:
        out: the run directory; the same command again continues a killed run and repeats nothing that is finished.
        checkpoint_every: steps between two checkpoints, at least 1; one is also written at each epoch's end.
    """

    out: str
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(bool(self.out), "out", "a path", self.out)
        require(self.checkpoint_every >= 1, "checkpoint_every", "an integer >= 1", self.checkpoint_every)

    def run_settings(self) -> dict[str, Any]:
        """The settings, by name, that a run begun by this command takes over."""
        return {**self.compute_settings(), "checkpoint_every": self.checkpoint_every}


@dataclass(frozen=True)
class SearchCommand(ExecutorConfig, RunCommand):
    """Search for an architecture.

    With --workers 2 or more, or --engine ray, the candidates of a shortlist are trained several at a time.

    Args:
        out: the run directory; the same command again continues a killed run and repeats nothing that is finished.
        data: the images.
        search: the search.
    """

    out: str = "runs/search"
    data: DataConfig = field(default_factory=DataConfig)
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        ExecutorConfig.__post_init__(self)
        RunCommand.__post_init__(self)


@dataclass(frozen=True)
class BenchmarkCommand(RunCommand):
    """Repeat a search over several seeds, and look up in NAS-RobBench-201 what it finds.

    The defaults are the settings of the study in docs/nas_robbench_201.md, which a CPU can do.

    Args:
        out: the run directory; the same command again continues a killed run and repeats nothing that is finished.
        data: the images.
        search: the search, in the space nasbench201.
        table: the benchmark: its parquet file, or the JSON file of its results with meta.json beside it.
        column: the measure of robust accuracy.
        clean_column: the measure of clean accuracy.
        seeds: how many searches to run, at least 1; their seeds are seed, seed + 1, ...
    """

    out: str = "runs/benchmark"
    data: DataConfig = field(default_factory=lambda: DataConfig(source="cifar10", limit=10_000, pixels=16))
    search: SearchConfig = field(
        default_factory=lambda: SearchConfig(
            space="nasbench201",
            channels=8,
            cells=1,
            epochs=8,
            warmup_epochs=2,
            batch_size=64,
            learning_rate=0.05,
            alpha_learning_rate=0.03,
            attack=PgdConfig(step_size=Distance("4/255"), steps=2),
            constraint=ConstraintConfig(max_iterations=5),
            size_limit="40%",
            shortlist=ShortlistConfig(epochs=2),
        )
    )
    table: str | None = None
    column: str = "cifar10/val_pgd_8_acc"
    clean_column: str = "cifar10/val_acc"
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(self.seeds >= 1, "seeds", "an integer >= 1", self.seeds, at_most=MOST_REPETITIONS)


@dataclass(frozen=True)
class TrainCommand(RunCommand):
    """Train a network.

    Args:
        out: the run directory; the same command again continues a killed run and repeats nothing that is finished.
        data: the images.
        network: which network.
        training: how it is trained.
    """

    out: str = "runs/train"
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


@dataclass(frozen=True)
class JudgingCommand(ComputeConfig):
    """What every command takes that judges any models on test images.

    Args:
        out: where to write a folder for each model and one report; null writes into the models' own run directories.
        data: the test images.
    """

    out: str | None = None
    data: DataChoice = field(default_factory=DataChoice)

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(self.out != "", "out", "a path or null", self.out)


@dataclass(frozen=True)
class EvaluateCommand(ExecutorConfig, JudgingCommand):
    """Attack networks and save what became of each image.

    MODEL is a run directory; or NETWORK:weights.safetensors (or .pth), a network of the zoo; or a TorchScript (.pt) or
    torch.export (.pt2) file; or module:function, which returns a torch model, or module:model; or smoothed:0.25:MODEL,
    any of these under normal noise of deviation 0.25. A model takes images in [0, 1] and returns logits, not
    probabilities. All but run directories need --out and, where no run directory stands beside them, --data.
    TorchScript can do more than compute: name only files that you trust.

    All models must take the same test images; otherwise the command is refused. With --workers 2 or more, or --engine
    ray, several are attacked at a time.

    Args:
        evaluation: which attacks, on how many images.
        save_images: how many images of each attack to keep and to show in the report; corrupted ones are not shown.
        out: where to write a folder for each model and one report; null writes into the models' own run directories.
        data: the test images.
    """

    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    save_images: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        ExecutorConfig.__post_init__(self)
        JudgingCommand.__post_init__(self)
        require(self.save_images >= 0, "save_images", "an integer >= 0", self.save_images)


@dataclass(frozen=True)
class CertifyCommand(JudgingCommand):
    """Prove of networks' images that nothing within a distance changes their class.

    MODEL is what `rnas evaluate` takes. Of smoothed:SIGMA:MODEL the votes under noise are
    certified. What is proved and what attacks leave stands in one row, if the model was evaluated with the same --out.

    Args:
        certification: by which methods, on how many images.
        out: where to write a folder for each model and one report; null writes into the models' own run directories.
        data: the test images.
    """

    certification: CertificationSettings = field(default_factory=CertificationSettings)


@dataclass(frozen=True)
class RecipeCommand(RunCommand):
    """Run the whole chain: search, train the found network and a baseline, attack both, report.

    Args:
        out: the run directory; the same command again continues a killed run and repeats nothing that is finished.
        data: the images.
        search: the search.
        network: width and depth of the network made of the found cells; leave its name and genotype null.
        baseline: the network to compare with; null for its name and genotype leaves it out.
        training: how both are trained.
        evaluation: how both are attacked.
    """

    out: str = "runs/recipe"
    data: DataConfig = field(default_factory=DataConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    baseline: NetworkConfig = field(default_factory=lambda: NetworkConfig(name="resnet18"))
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        """Check the ranges, and that the network is left to the search."""
        super().__post_init__()
        came = self.network.name or self.network.genotype
        require(came is None, "network", "null for name and genotype: the search finds the cells", came)


@dataclass(frozen=True)
class ExportCommand:
    """Export a trained network: a torch.export program, ONNX with the extra rnas[onnx], and a model card.

    Args:
        out: the folder for the files; null for the folder export in the run directory.
    """

    out: str | None = None

    def __post_init__(self) -> None:
        """Check that there is a folder."""
        require(self.out != "", "out", "a path or null", self.out)


@dataclass(frozen=True)
class ZooCommand:
    """List all networks, or show one and draw its cells.

    Args:
        out: the folder for the drawn cells of a network, as PNG and SVG.
    """

    out: str = "runs/zoo"

    def __post_init__(self) -> None:
        """Check that there is a folder."""
        require(bool(self.out), "out", "a path", self.out)
