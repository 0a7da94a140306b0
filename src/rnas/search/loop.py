"""The only bilevel loop: warm-up, alternation, constraint, checkpoints, log. Algorithms supply the steps.

A step's batches, augmentation and attacks are functions of the seed and the step alone, so a killed search that is
opened again ends with the genotype, metrics and weights of an uninterrupted one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from safetensors.torch import save

import rnas.search.rnas  # noqa: F401 - registers the algorithm
from rnas.data import Batches, DataConfig, ImageDataset, halves, stratified_subset
from rnas.errors import DataError, DivergenceError
from rnas.genotype import Genotype
from rnas.progress import reporting
from rnas.runs import Run
from rnas.search.algorithm import ALGORITHMS, ALPHA_BETAS, Algorithm, Batch, SearchState
from rnas.search.config import SearchConfig
from rnas.seeding import derive
from rnas.spaces import darts
from rnas.supernets.derive import derive_genotype, mean_none_weight
from rnas.supernets.fused import FusedSupernet
from rnas.training.optimiser import WeightOptimiser

__all__ = ["ALGORITHMS", "search"]


def search(
    data: ImageDataset,
    config: SearchConfig,
    run: Run,
    *,
    augmentation: DataConfig | None = None,
    device: torch.device | str = "cpu",
    checkpoint_every: int = 100,
) -> Genotype:
    """Search for an architecture, or go on where a killed search stopped.

    Writes metrics.jsonl, splits.json, alpha.safetensors, results.json and genotype.json into the run.

    Args:
        data: the images; the test set is not looked at. Half of the training images train theta, half alpha.
        config: algorithm, supernet, optimisers, constraint.
        run: the open run directory; its seed decides everything random.
        augmentation: crop and flip; None for the data set's own.
        device: where to search.
        checkpoint_every: iterations between two checkpoints; one is also written at each epoch's end.

    Returns:
        The derived genotype.

    Raises:
        DataError: if there are too few images to split.
        UnknownNameError: if there is no such algorithm, metric or solver.
        DivergenceError: if a loss or F is no longer finite; names the last good checkpoint.
    """
    seed = run.manifest["seed"]
    if len(data.train) < 4:
        raise DataError(
            f"{data.name}: a search needs at least 4 training images, two in each half; there are {len(data.train)}"
        )
    theta_half, alpha_half = halves(data.train.labels, derive(seed, "halves"))
    # Positions among the training images, as `load` gives them; the test set has positions of its own.
    run.write_json(
        "splits.json",
        {
            "data": data.fingerprint,
            "train_images": len(data.train),
            "test_images": len(data.test),
            "theta": theta_half.tolist(),
            "alpha": alpha_half.tolist(),
        },
    )
    train, validation = data.train.select(theta_half).to(device), data.train.select(alpha_half).to(device)
    augmentation = augmentation or DataConfig()
    padding, flip = augmentation.padding_for(data.size[0]), augmentation.flip_for(data.flip)
    batches = {
        name: Batches(half, config.batch_size, seed=derive(seed, name), padding=padding, flip=flip)
        for name, half in (("theta", train), ("alpha", validation))
    }
    count = min(config.constraint.images, len(validation))
    sample = validation.select(stratified_subset(validation.labels, count, derive(seed, "sample")))
    noise = torch.Generator(device).manual_seed(derive(seed, "sample noise"))
    algorithm = ALGORITHMS[config.algorithm](config, Batch(sample.floats(), sample.labels, noise))

    iterations = len(batches["theta"])
    unconstrained = max(1, min(iterations, round(config.unconstrained_fraction * iterations)))
    projection_iterations = config.constraint.max_iterations
    if projection_iterations is None:
        # Algorithm 1 gives the projection the rest of the epoch; where rounding leaves none, it still gets one.
        projection_iterations = 0 if config.unconstrained_fraction == 1 else max(1, iterations - unconstrained)
    state = initial_state(data, config, iterations, unconstrained, seed=seed, device=device)
    if (saved := run.load_checkpoint()) is not None:
        state.restore(saved)

    def batch(half: str, step: int) -> Batch:
        generator = torch.Generator(device).manual_seed(derive(seed, half, "step", step))
        return Batch(*batches[half].at(step), generator)

    total = config.epochs * iterations
    shown: dict[str, Any] = {}
    with reporting(f"searching {run.path.name}", total, start=state.epoch * iterations + state.iteration) as progress:
        while state.epoch < config.epochs:
            epoch, step = state.epoch, state.epoch * iterations + state.iteration
            warm = epoch < config.warmup_epochs
            with run.step(step):
                if epoch == config.warmup_epochs and state.iteration == 0:
                    algorithm.end_warmup(state)
                    check_bound(state.bound)
                # Algorithm 1: Phase I is theta steps; Step 1 of Phase II alternates; Step 2 projects.
                phase = "warmup" if warm else "search"
                values = algorithm.theta_step(state, batch("theta", step))
                run.log("theta", step=step, epoch=epoch, phase=phase, **values)
                shown |= {"phase": phase, "loss": values["loss"], "accuracy": values["accuracy"]}
                if not warm:
                    run.log("alpha_step", step=step, epoch=epoch, **algorithm.alpha_step(state, batch("alpha", step)))
                state.iteration += 1
                if state.iteration == (iterations if warm else unconstrained):
                    shown |= end_epoch(algorithm, state, run, step, 0 if warm else projection_iterations)
                    state.epoch, state.iteration = epoch + 1, 0
            done = state.epoch * iterations + state.iteration
            if state.iteration == 0 or (step + 1) % checkpoint_every == 0:
                run.save_checkpoint(state.save())
            progress.update(done, **shown)
    return write_results(algorithm, state, config, run)


def check_bound(bound: float | None) -> None:
    """Refuse a bound that nothing can meet: a percentage of an F that is 0 or no longer finite."""
    if bound is not None and not (math.isfinite(bound) and bound > 0):
        raise DivergenceError(f"expected H > 0, got {bound}: F at the end of the warm-up is 0 or not finite")


def initial_state(
    data: ImageDataset,
    config: SearchConfig,
    iterations: int,
    unconstrained: int,
    *,
    seed: int,
    device: torch.device | str,
) -> SearchState:
    """Fresh weights, a fresh alpha and their optimisers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "supernet"))
        supernet = FusedSupernet(
            data.num_classes, channels=config.channels, cells=config.cells, in_channels=data.channels
        )
    supernet.normalise.fit(data.train.images)
    supernet = supernet.to(device)
    generator = torch.Generator().manual_seed(derive(seed, "alpha"))
    alpha = supernet.initial_alpha(generator).to(device).requires_grad_()
    theta_steps = config.warmup_epochs * iterations + (config.epochs - config.warmup_epochs) * unconstrained
    return SearchState(
        supernet=supernet,
        alpha=alpha,
        theta_optimiser=WeightOptimiser(supernet, config, theta_steps),
        alpha_optimiser=torch.optim.Adam(
            [alpha], lr=config.alpha_learning_rate, betas=ALPHA_BETAS, weight_decay=config.alpha_weight_decay
        ),
    )


def end_epoch(
    algorithm: Algorithm, state: SearchState, run: Run, step: int, projection_iterations: int
) -> dict[str, float]:
    """Project, then log where the epoch ended; returns what to show."""
    if projection_iterations and (projection := algorithm.constrain(state, projection_iterations)):
        run.log("projection", step=step, epoch=state.epoch, **projection)
    value = algorithm.vulnerability(state)
    if not math.isfinite(value):
        raise DivergenceError(f"the vulnerability is not finite: F = {value}")
    ratio = None if state.bound is None else value / state.bound
    run.log("vulnerability", step=step, epoch=state.epoch, F=value, H=state.bound, ratio=ratio)
    weights = state.alpha.detach().softmax(dim=-1).cpu()
    run.log(
        "alpha",
        step=step,
        epoch=state.epoch,
        none=mean_none_weight(state.alpha),
        probabilities={kind: weights[index].tolist() for index, kind in enumerate(darts.KINDS)},
    )
    return {"F": value} if ratio is None else {"F": value, "F/H": ratio}


def write_results(algorithm: Algorithm, state: SearchState, config: SearchConfig, run: Run) -> Genotype:
    """Derive the genotype and write what the search ended with."""
    genotype = derive_genotype(state.alpha)
    run.write("alpha.safetensors", save({"alpha": state.alpha.detach().cpu()}))
    run.write_json(
        "results.json",
        {
            "algorithm": config.algorithm,
            "H": state.bound,
            "F": algorithm.vulnerability(state),
            "metric": config.constraint.metric,
            "solver": config.constraint.solver,
            "none": mean_none_weight(state.alpha),
            "operations": list(darts.OPERATIONS),
            "passes": state.passes,
        },
    )
    run.write("genotype.json", genotype.to_json())
    return genotype
