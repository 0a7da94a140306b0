"""What `rnas tune` takes: a recipe's settings, and what of them is varied."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from rnas.certification.config import CertificationSettings
from rnas.commands.config import RecipeCommand
from rnas.config import MOST_REPETITIONS, require
from rnas.data.config import DataConfig  # noqa: F401 - this and the like: the parser looks a recipe's types up here
from rnas.evaluation.config import EvaluationSettings  # noqa: F401
from rnas.executors.config import ExecutorConfig
from rnas.networks.config import NetworkConfig
from rnas.search.config import SearchConfig  # noqa: F401
from rnas.training.config import TrainingConfig  # noqa: F401
from rnas.tuning.objectives import CERTIFIED

__all__ = ["TuneCommand"]


@dataclass(frozen=True)
class TuneCommand(ExecutorConfig, RecipeCommand):
    """Repeat a recipe with other settings, trial by trial, and show which trials no other dominates.

    A space is one or more --space SETTING=RANGE: 40%..95% (whole percents), 0.01..0.2:log, 4..16:step=2,
    4/255..16/255, or values such as rnas,largest; ends without a point give whole numbers, and :points=5 takes five
    evenly spaced values. Trials train no baseline.

    Args:
        recipe: that the settings come from; on the command line the word before the settings.
        out: the study's folder; the same command again continues a killed study and repeats nothing that is finished.
        space: setting -> its range or values; a YAML file of them, too.
        objectives: what counts, by name.
        trials: how many there are to be, at least 1; more may be asked for later. A grid ends with its last point.
        sampler: who suggests: tpe, nsga2, random or grid.
        batch: trials that tpe and nsga2 suggest without knowing each other's results, at least 1: so many run at once.
        startup: trials that tpe draws at random before it learns, at least 1.
        population: trials of a generation of nsga2, at least 2.
        certification: how networks are certified where objectives such as certified/interval ask for it; they name the
            methods, and images of null takes those of the evaluation.
    """

    recipe: str = "quickstart"
    out: str = "runs/tune"
    space: dict[str, Any] = field(default_factory=dict)
    objectives: list[str] = field(default_factory=lambda: ["clean", "pgd20", "parameters"])
    trials: int = 24
    sampler: str = "tpe"
    batch: int = 1
    startup: int = 10
    population: int = 8
    certification: CertificationSettings = field(default_factory=CertificationSettings)

    def __post_init__(self) -> None:
        """Check the ranges."""
        ExecutorConfig.__post_init__(self)
        RecipeCommand.__post_init__(self)
        for key, least in {"trials": 1, "batch": 1, "startup": 1, "population": 2}.items():
            came = getattr(self, key)
            require(came >= least, key, f"an integer >= {least}", came, at_most=MOST_REPETITIONS)

        methods = self.certification.methods
        require(not methods, "certification.methods", "none: objectives name them", methods)

    def certification_settings(self) -> CertificationSettings:
        """How a trial's network is certified; by no method where no objective asks for one."""
        methods = [name.removeprefix(CERTIFIED) for name in self.objectives if name.startswith(CERTIFIED)]
        return replace(self.certification, methods=methods, images=self.certification.images or self.evaluation.images)

    def recipe_settings(self) -> dict[str, Any]:
        """What a trial takes over, by name, before its own settings."""
        return {one.name: getattr(self, one.name) for one in fields(RecipeCommand)} | {"baseline": NetworkConfig()}
