"""What a search algorithm is: steps on a shared state. The loop decides when each is called."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from rnas.data import DataConfig, ImageDataset
from rnas.executors.registry import Execute
from rnas.genotype import Genotype
from rnas.registry import Lookup
from rnas.run.directory import Run
from rnas.search.config import SearchConfig
from rnas.search.relaxations import MIXTURE, Relaxation, rival
from rnas.search.settings import SETTINGS, own_settings
from rnas.supernets.base import CellSupernet, SupernetAt
from rnas.supernets.space import SearchSpace
from rnas.training.optimiser import WeightOptimiser

__all__ = ["ALGORITHMS", "Algorithm", "Batch", "Preparation", "SearchState", "SupernetAlgorithm"]

#: Moments of Adam on alpha, as in DARTS; the paper gives the rate and the decay only.
ALPHA_BETAS = (0.5, 0.999)


class Batch(NamedTuple):
    """Images in [0, 1], shape (N, C, H, W), their labels (N,), and the step's source of randomness."""

    images: Tensor
    labels: Tensor
    generator: torch.Generator

    def noise(self) -> torch.Generator:
        """A generator that goes on from where the batch's is, and leaves that one there: the same noise every time."""
        return self.generator.clone_state()


@dataclass
class SearchState:
    """All that a search changes, and what a checkpoint keeps.

    Args:
        space: where it searches.
        supernet: its weights are theta.
        alpha: architecture parameters, a leaf tensor of shape (kinds, edges, operations).
        theta_optimiser: SGD on theta.
        alpha_optimiser: Adam on alpha.
        bound: H as a number; None until a relative bound is fixed at the end of the warm-up.
        epoch: the epoch to go on with.
        iteration: the iteration in it.
        passes: forward passes through the supernet so far.
        extra: tensors that the algorithm alone keeps, by name, on alpha's device; `SupernetAlgorithm.begin` puts them
            there.
    """

    space: SearchSpace
    supernet: CellSupernet
    alpha: Tensor
    theta_optimiser: WeightOptimiser
    alpha_optimiser: torch.optim.Adam
    bound: float | None = None
    epoch: int = 0
    iteration: int = 0
    passes: int = 0
    extra: dict[str, Tensor] = field(default_factory=dict)

    def network(self, weights: Tensor) -> SupernetAt:
        """The supernet at given weights of its operations, shape as alpha's."""
        view = SupernetAt(self.supernet, weights)
        view.register_forward_hook(self.count_pass)
        return view

    def folded(self, weights: Tensor) -> nn.Module:
        """The same in evaluation mode, prepared for the many passes of an attack."""
        view = self.supernet.folded(weights)
        view.register_forward_hook(self.count_pass)
        return view

    def count_pass(self, *_: object) -> None:
        """A forward hook."""
        self.passes += 1

    def save(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {
            "supernet": self.supernet.state_dict(),
            "alpha": self.alpha.detach(),
            "theta_optimiser": self.theta_optimiser.state(),
            "alpha_optimiser": self.alpha_optimiser.state_dict(),
            "bound": self.bound,
            "epoch": self.epoch,
            "iteration": self.iteration,
            "passes": self.passes,
            "extra": {name: tensor.detach() for name, tensor in self.extra.items()},
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from `save`; raises `RunError` where the supernet has changed since."""
        self.supernet.restore(saved["supernet"])
        self.set_alpha(saved["alpha"])
        with torch.no_grad():
            for name, tensor in saved.get("extra", {}).items():
                self.extra[name].copy_(tensor)
        self.theta_optimiser.restore(saved["theta_optimiser"])
        self.alpha_optimiser.load_state_dict(saved["alpha_optimiser"])
        self.bound, self.passes = saved["bound"], saved["passes"]
        self.epoch, self.iteration = saved["epoch"], saved["iteration"]

    def set_alpha(self, value: Tensor) -> None:
        """Overwrite alpha in place, so that its optimiser keeps its moments."""
        with torch.no_grad():
            self.alpha.copy_(value)


@dataclass(frozen=True)
class Preparation:
    """With what candidates can be trained and measured before the search ends.

    Args:
        data: the images; its training half is the theta half.
        sample: validation images without augmentation, (N, C, H, W), their labels, and the noise that belongs to them.
        run: the search's run directory; its seed decides everything random.
        augmentation: crop and flip.
        device: where to compute.
        checkpoint_every: steps between two checkpoints.
        execute: does independent trainings; None for one after another, in the processes of the search.
    """

    data: ImageDataset
    sample: Batch
    run: Run
    augmentation: DataConfig
    device: torch.device | str
    checkpoint_every: int
    execute: Execute | None = None


class Algorithm(abc.ABC):
    """A search algorithm. Register a subclass in `ALGORITHMS` to make it available by name.

    Args:
        config: settings of the search.
        sample: a fixed sample of validation images.
    """

    def __init__(self, config: SearchConfig, sample: Batch) -> None:
        self.config = config
        #: The settings that the algorithm was registered with, as they were given; None if it was without.
        self.own = own_settings(config)
        self.sample = sample
        #: What trains the supernet before candidates are chosen; None where nothing needs its weights.
        self.trainer: SupernetAlgorithm | None = None
        #: Whether candidates are trained alone, and measured as in a race, before there is one.
        self.trains_candidates = False

    @classmethod  # noqa: B027 - most can do all
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:
        """Refuse what the algorithm cannot do, before anything is trained.

        Args:
            config: settings of the search.
            space: the one that they name.

        Raises:
            ConfigError: the message begins with a setting.
        """

    def supernet(self, space: SearchSpace) -> Callable[..., CellSupernet]:
        """The class, or another callable, that makes the supernet in a space."""
        return space.supernet if self.trainer is None else self.trainer.supernet(space)

    def prepare(self, state: SearchState, search: Preparation) -> None:  # noqa: B027 - most need nothing
        """Find out what `candidate` needs, once the supernet is trained, if there is one.

        A killed search comes here again: what took long has to be read from files in the run's folder.
        """

    @abc.abstractmethod
    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        """A genotype to end with.

        Args:
            state: the search at its end.
            index: 0 for the one that the search ends with by itself, 1, 2, ... for others beside it.
            at_most: the size limit in parameters, or None.
            generator: on the CPU, the candidate's own source of randomness.
        """


Kind = TypeVar("Kind", bound=type[Algorithm])


class SupernetAlgorithm(Algorithm):
    """An algorithm that trains a supernet: alternating steps on theta and alpha, and a constraint at an epoch's end.

    The loop logs what the steps return: plain numbers by name.
    """

    #: How alpha weighs the operations of the supernet.
    relaxation: ClassVar[Relaxation] = MIXTURE
    #: Whether there are steps on alpha; if not, all epochs are spent on the weights, as in a warm-up.
    trains_alpha: ClassVar[bool] = True
    #: Whether it needs a supernet whose operations are modules: to hook them, or to differentiate its passes twice.
    needs_modules: ClassVar[bool] = False

    def __init__(self, config: SearchConfig, sample: Batch) -> None:
        super().__init__(config, sample)
        self.trainer = self

    def supernet(self, space: SearchSpace) -> Callable[..., CellSupernet]:
        return space.path_supernet if self.relaxation.sparse or self.needs_modules else space.supernet

    def begin(self, state: SearchState, generator: torch.Generator) -> None:
        """Add to a fresh state what the algorithm alone keeps.

        Args:
            state: where nothing has been trained yet.
            generator: on the CPU, the source of what is random in it.
        """

    def architecture(self, state: SearchState) -> list[Tensor]:
        """The leaf tensors that a step on alpha trains; alpha is the first."""
        return [state.alpha]

    def weights(
        self,
        state: SearchState,  # noqa: ARG002
        architecture: Sequence[Tensor],
        generator: torch.Generator,
        *,
        smooth: bool = False,
    ) -> Tensor:
        """The weights of the operations in one step, of alpha's shape.

        Args:
            state: the search.
            architecture: values of the tensors of `architecture`, in which the weights are differentiable.
            generator: decides what is random in them.
            smooth: whether they have to be a smooth function, as a constraint can be linearised on.
        """
        return (self.relaxation.smooth_weights if smooth else self.relaxation.weights)(architecture[0], generator)

    @abc.abstractmethod
    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """One step on the weights, with a batch of the theta half."""

    @abc.abstractmethod
    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:
        """One step on alpha, with a batch of the alpha half, and the theta half's for a virtual step on the weights."""

    @abc.abstractmethod
    def vulnerability(self, state: SearchState) -> float:
        """F at the present state, on the fixed sample."""

    def end_warmup(self, state: SearchState) -> None:
        """Fix whatever depends on the warmed-up supernet."""

    def end_epoch(self, state: SearchState) -> dict[str, Any]:  # noqa: ARG002
        """Do what is due after the last step of an epoch, also in the warm-up; returns what to log."""
        return {}

    def constrain(self, state: SearchState, iterations: int) -> dict[str, Any]:  # noqa: ARG002
        """Bring alpha back into the feasible set, in at most so many iterations; empty where there is no constraint."""
        return {}

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        alpha = state.alpha.detach().cpu()
        return state.space.derive(rival(alpha, generator) if index else alpha, at_most)


class Algorithms(Lookup[type[Algorithm]]):
    """The algorithms by name, with the settings that belong to one alone."""

    def register(self, name: str, *, settings: type[Any] | None = None) -> Callable[[Kind], Kind]:
        """Decorate an algorithm to make it available as `name`.

        Args:
            name: what to call it.
            settings: a frozen dataclass in which every setting has a type, a default and a line under Args: it is
                ``search.<name>.*`` on the command line and in files, and the algorithm's `own`.

        Raises:
            ConfigError: if the name is taken.
        """

        def add(kind: Kind) -> Kind:
            self.add(name, kind, module=kind.__module__)
            if settings is not None:
                SETTINGS.add(name, settings, module=kind.__module__)
            return kind

        return add


ALGORITHMS = Algorithms("search algorithm", "rnas.search.catalogue")
