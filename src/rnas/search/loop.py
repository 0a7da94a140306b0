"""The only bilevel loop: warm-up, alternation, constraint, checkpoints, log; then the choice of the found network.

Algorithms supply the steps.

A step's batches, augmentation and attacks are functions of the seed and the step alone, so a killed search that is
opened again ends with the genotype, metrics and weights of an uninterrupted one. Several processes (`rnas.parallel`)
end with those of one, up to the order of sums. They share the batches of the steps; the fixed sample, on which F is
defined, each of them sees whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from rnas import parallel
from rnas.data import Batches, DataConfig, ImageDataset, LabelledImages, halves, stratified_subset
from rnas.errors import DataError, DivergenceError
from rnas.executors.registry import Execute
from rnas.genotype import Genotype
from rnas.progress import reporting
from rnas.run.directory import Run
from rnas.run.search_results import SearchResults
from rnas.search.algorithm import ALGORITHMS, ALPHA_BETAS, Algorithm, Batch, Preparation, SearchState, SupernetAlgorithm
from rnas.search.config import SearchConfig
from rnas.search.race import Race
from rnas.search.refusals import NOT_FINITE, check_bound, check_maps
from rnas.seeding import derive
from rnas.supernets.space import SPACES
from rnas.training.advice import advise_weights
from rnas.training.optimiser import WeightOptimiser

__all__ = ["search"]


def search(
    data: ImageDataset,
    config: SearchConfig,
    run: Run,
    *,
    augmentation: DataConfig | None = None,
    device: torch.device | str = "cpu",
    checkpoint_every: int = 100,
    execute: Execute | None = None,
) -> Genotype:
    """Search for an architecture, or go on where a killed search stopped.

    Writes metrics.jsonl, splits.json, alpha.safetensors, results.json and genotype.json into the run, and a folder for
    each candidate of a shortlist.

    Args:
        data: the images; the test set is not looked at. Half of the training images train theta, half alpha.
        config: algorithm, supernet, optimisers, constraint, size limit, shortlist.
        run: the open run directory; its seed decides everything random.
        augmentation: crop and flip; None for the data set's own.
        device: where to search.
        checkpoint_every: iterations between two checkpoints; one is also written at each epoch's end.
        execute: does the trainings of candidates (`rnas.executors`); None for one after another.

    Returns:
        The found genotype.

    Raises:
        DataError: if there are too few images to split, or they have one pixel, which F cannot measure.
        UnknownNameError: if there is no such algorithm, space, metric or solver.
        ConfigError: if no network of the space is within the size limit, or has so few cells.
        DivergenceError: if a loss or F is no longer finite; names the last good checkpoint.
    """
    seed = run.manifest["seed"]
    if len(data.train) < 4:
        raise DataError(
            f"{data.name}: a search needs at least 4 training images, two in each half; there are {len(data.train)}"
        )
    SPACES[config.space].check_cells(config.cells)
    ALGORITHMS[config.algorithm].check(config, SPACES[config.space])
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
    batch_size = min(config.batch_size, len(train), len(validation))
    batches = {
        name: Batches(half, batch_size, seed=derive(seed, name), padding=padding, flip=flip)
        for name, half in (("theta", train), ("alpha", validation))
    }
    sample = fixed_sample(validation, config.constraint.images, seed, "sample")
    algorithm = ALGORITHMS[config.algorithm](config, sample)
    check_maps(data, algorithm)
    state = initial_state(data, config, algorithm, len(batches["theta"]), seed=seed, device=device)
    if algorithm.trainer is not None:
        optimise(algorithm.trainer, state, batches, run, checkpoint_every=checkpoint_every)
    preparation = Preparation(
        data=replace(data, train=train),
        sample=fixed_sample(validation, config.shortlist.images, seed, "shortlist"),
        run=run,
        augmentation=augmentation,
        device=device,
        checkpoint_every=checkpoint_every,
        execute=execute,
    )
    algorithm.prepare(state, preparation)
    genotype, candidates = Race(algorithm, state, preparation).run()
    run.write_tensors("alpha.safetensors", {"alpha": state.alpha})
    ended = replace(results(algorithm, state, genotype), candidates=candidates)
    run.write_json("results.json", ended.to_json())
    run.write_json("genotype.json", genotype.to_document())
    return genotype


def fixed_sample(images: LabelledImages, count: int, seed: int, purpose: str) -> Batch:
    """A stratified sample without augmentation, and the noise that belongs to it."""
    chosen = images.select(stratified_subset(images.labels, min(count, len(images)), derive(seed, purpose)))
    noise = torch.Generator(images.labels.device).manual_seed(derive(seed, purpose + " noise"))
    return Batch(chosen.floats(), chosen.labels, noise)


def warmup_epochs(algorithm: Algorithm) -> int:
    """The epochs of Phase I: all of them where alpha is not trained."""
    config, trainer = algorithm.config, algorithm.trainer
    return config.warmup_epochs if trainer is None or trainer.trains_alpha else config.epochs


def unconstrained_iterations(config: SearchConfig, iterations: int) -> int:
    """The alternating iterations of an epoch of T: u of Algorithm 1."""
    return max(1, min(iterations, round(config.unconstrained_fraction * iterations)))


def initial_state(
    data: ImageDataset,
    config: SearchConfig,
    algorithm: Algorithm,
    iterations: int,
    *,
    seed: int,
    device: torch.device | str,
) -> SearchState:
    """Fresh weights, a fresh alpha and their optimisers."""
    space = SPACES[config.space]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "supernet"))
        supernet = algorithm.supernet(space)(
            data.num_classes, channels=config.channels, cells=config.cells, in_channels=data.channels
        )
    supernet.normalise.fit(data.train.images)
    supernet = supernet.to(device)
    parallel.synchronise(supernet)
    generator = torch.Generator().manual_seed(derive(seed, "alpha"))
    alpha = supernet.initial_alpha(generator).to(device).requires_grad_()
    unconstrained = unconstrained_iterations(config, iterations)
    warm = warmup_epochs(algorithm)
    theta_steps = warm * iterations + (config.epochs - warm) * unconstrained
    state = SearchState(
        space=space,
        supernet=supernet,
        alpha=alpha,
        theta_optimiser=WeightOptimiser(supernet, config, theta_steps),
        alpha_optimiser=torch.optim.Adam(
            [alpha], lr=config.alpha_learning_rate, betas=ALPHA_BETAS, weight_decay=config.alpha_weight_decay
        ),
    )
    if algorithm.trainer is not None:
        algorithm.trainer.begin(state, generator)
    return state


def optimise(
    algorithm: SupernetAlgorithm,
    state: SearchState,
    batches: Mapping[str, Batches],
    run: Run,
    *,
    checkpoint_every: int,
) -> None:
    """Phases I and II, from the last checkpoint to the end.

    Args:
        algorithm: supplies the steps.
        state: as it is at the start; changed in place.
        batches: of the two halves, "theta" and "alpha".
        run: where metrics and checkpoints go.
        checkpoint_every: iterations between two checkpoints.
    """
    config, seed, warmup = algorithm.config, run.manifest["seed"], warmup_epochs(algorithm)
    iterations = len(batches["theta"])
    unconstrained = unconstrained_iterations(config, iterations)
    projection_iterations = config.constraint.max_iterations
    if projection_iterations is None:
        # Algorithm 1 gives the projection the rest of the epoch; where rounding leaves none, it still gets one.
        projection_iterations = 0 if config.unconstrained_fraction == 1 else max(1, iterations - unconstrained)
    if (saved := parallel.from_first(run.load_checkpoint)) is not None:
        state.restore(saved)
    parallel.follow([state.alpha, *state.extra.values(), *state.supernet.state_dict().values()])

    def batch(half: str, step: int) -> Batch:
        images, labels = map(parallel.own, batches[half].at(step))
        return Batch(images, labels, parallel.generator(images.device, derive(seed, half, "step", step)))

    total = config.epochs * iterations
    shown: dict[str, Any] = {}
    start = state.epoch * iterations + state.iteration
    with reporting(f"searching {run.path.name}", total, start=start) as progress:
        while state.epoch < config.epochs:
            epoch, step = state.epoch, state.epoch * iterations + state.iteration
            warm = epoch < warmup
            with run.step(step, partial(advise_weights, config)):
                if epoch == warmup and state.iteration == 0:
                    algorithm.end_warmup(state)
                    state.bound = parallel.from_first(lambda: state.bound)
                    check_bound(state.bound)
                # Algorithm 1: Phase I is theta steps; Step 1 of Phase II alternates; Step 2 projects.
                phase = "warmup" if warm else "search"
                with parallel.part_of(batches["theta"].batch_size):
                    values = parallel.means(algorithm.theta_step(state, batch("theta", step)))
                run.log("theta", step=step, epoch=epoch, phase=phase, **values)
                shown |= {"phase": phase, "loss": values["loss"], "accuracy": values["accuracy"]}
                if not warm:
                    with parallel.part_of(batches["alpha"].batch_size):
                        training = batch("theta", step + 1)
                        values = parallel.means(algorithm.alpha_step(state, batch("alpha", step), training))
                    parallel.follow([state.alpha, *state.extra.values()])
                    run.log("alpha_step", step=step, epoch=epoch, **values)
                state.iteration += 1
                if state.iteration == (iterations if warm else unconstrained):
                    shown |= end_epoch(algorithm, state, run, step, 0 if warm else projection_iterations)
                    state.epoch, state.iteration = epoch + 1, 0
            done = state.epoch * iterations + state.iteration
            if state.iteration == 0 or (step + 1) % checkpoint_every == 0:
                run.save_checkpoint(state.save())
            progress.update(done, **shown)


def end_epoch(
    algorithm: SupernetAlgorithm, state: SearchState, run: Run, step: int, projection_iterations: int
) -> dict[str, float]:
    """Project, let the algorithm do what is due, then log where the epoch ended; returns what to show."""
    if projection_iterations and (projection := algorithm.constrain(state, projection_iterations)):
        parallel.follow([state.alpha])
        run.log("projection", step=step, epoch=state.epoch, **projection)
    if due := algorithm.end_epoch(state):
        parallel.follow([state.alpha, *state.extra.values()])
        run.log("epoch_end", step=step, epoch=state.epoch, **due)
    value = algorithm.vulnerability(state)
    if not math.isfinite(value):
        raise DivergenceError(f"the vulnerability is not finite: F = {value}", NOT_FINITE)
    ratio = None if state.bound is None else value / state.bound
    run.log("vulnerability", step=step, epoch=state.epoch, F=value, H=state.bound, ratio=ratio)
    weights = state.alpha.detach().softmax(dim=-1).cpu()
    run.log(
        "alpha",
        step=step,
        epoch=state.epoch,
        none=state.space.none_weight(state.alpha),
        probabilities={kind: weights[index].tolist() for index, kind in enumerate(state.space.kinds)},
    )
    return {"F": value} if ratio is None else {"F": value, "F/H": ratio}


def results(algorithm: Algorithm, state: SearchState, genotype: Genotype) -> SearchResults:
    """The end of the search; F and H are those of the supernet."""
    config = algorithm.config
    return SearchResults(
        bound=state.bound,
        reached=None if algorithm.trainer is None else algorithm.trainer.vulnerability(state),
        parameters=state.space.size(genotype),
        passes=state.passes,
        size_limit=state.space.at_most(config.size_limit),
        tolerance=config.constraint.tolerance,
        algorithm=config.algorithm,
        space=config.space,
        metric=config.constraint.metric,
        solver=config.constraint.solver,
        none=state.space.none_weight(state.alpha),
        operations=tuple(state.space.operations),
    )
