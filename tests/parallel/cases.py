"""What the tests of this folder compute by one process and by several: each case saves its results in a folder.

As a script, with a folder for its argument, it runs all of them as one of the processes that the environment tells of.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnas import data, parallel
from rnas.config import Distance, PgdConfig
from rnas.networks import zoo
from rnas.run.directory import Run
from rnas.run.opening import open_run
from rnas.search.config import ConstraintConfig, SearchConfig, ShortlistConfig
from rnas.search.extending import search_config
from rnas.search.loop import search
from rnas.search.reinforce import ReinforceConfig
from rnas.search.robnet import RobNetConfig
from rnas.training import train
from rnas.training.config import CellTrainingConfig, TrainingConfig, ValidationConfig

#: Batches of 9 make parts of 5 and 4 images.
BATCH = 9
ATTACK = PgdConfig(eps=Distance(0.1), step_size=Distance(0.05), steps=1)
TRAINING = TrainingConfig(attack=ATTACK, epochs=1, batch_size=BATCH, learning_rate=0.1)
SEARCH = SearchConfig(
    attack=ATTACK,
    channels=2,
    cells=3,
    epochs=3,
    warmup_epochs=1,
    batch_size=BATCH,
    learning_rate=0.1,
    alpha_learning_rate=0.1,
    constraint=ConstraintConfig(bound="60%", images=4, max_iterations=2),
)
CELLS = replace(
    TRAINING,
    objective="trades",
    average_decay=0.5,
    cutout=2,
    cells=CellTrainingConfig(auxiliary_weight=0.4, drop_path=0.5),
    validation=ValidationConfig(images=10),
)


def norms(path: Path) -> dict[str, Tensor]:  # noqa: ARG001 - one signature for all cases
    """Several kinds of batch norm on maps of a large mean: results, gradients, running statistics."""
    results: dict[str, Tensor] = {}
    for name, options in {
        "affine": {},
        "plain": {"affine": False},
        "untracked": {"affine": False, "track_running_stats": False},
        "cumulative": {"momentum": None},
    }.items():
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(3, **options).double()  # type: ignore[arg-type]
        for parameter in norm.parameters():
            nn.init.normal_(parameter)
        network = nn.Sequential(norm)
        parallel.synchronise(network)
        maps = 100 + torch.randn(BATCH, 3, 4, 4, dtype=torch.float64)
        target = torch.randn_like(maps)
        for step in range(2):
            with parallel.part_of(BATCH):
                mine = parallel.own(maps).clone().requires_grad_()
                shown = network(mine)
                loss = parallel.weighted((shown * parallel.own(target)).flatten(1).sum(dim=1).mean())
                gradients = torch.autograd.grad(loss, [mine, *norm.parameters()])
                results |= {
                    f"{name}/{step}/weights/{index}": value
                    for index, value in enumerate(parallel.summed(gradients[1:]))
                }
            # Rows of this process: the test puts them side by side.
            results |= {f"{name}/{step}/rows/result": shown.detach(), f"{name}/{step}/rows/gradient": gradients[0]}
        results |= {f"{name}/{key}": value for key, value in norm.state_dict().items()}
        with parallel.part_of(BATCH):
            results[f"{name}/rows/evaluated"] = network.eval()(parallel.own(maps)).detach()
    return results


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Run]:
    """A run in float64, so that sums in another order differ by 1e-16 and the signs that PGD takes do not change."""
    torch.set_default_dtype(torch.float64)
    try:
        with open_run(path, kind, {}, seed=0, device="cpu") as run:
            yield run
    finally:
        torch.set_default_dtype(torch.float32)


def training(config: TrainingConfig, *, cells: bool = False, synchronised: bool = True) -> Callable[..., Any]:
    """A training; the weights at its end."""

    def case(path: Path) -> dict[str, Tensor]:
        images = data.load("digits", limit=40)
        torch.manual_seed(parallel.rank())  # the first's weights are to be those of all
        name, options = ("darts_v2", {"cells": 3}) if cells else ("resnet18", {})
        network = zoo.build(name, 10, in_channels=1, channels=2, **options)
        with pytest.MonkeyPatch.context() as patch, opened(path, "train") as run:
            if not synchronised:
                patch.setattr(parallel, "synchronise", id)
            train(network.double(), images, config, run)
        return network.state_dict()

    return case


def searching(config: SearchConfig) -> Callable[..., Any]:
    """A search; alpha after every step."""

    def case(path: Path) -> dict[str, Tensor]:
        # Halves of 10: an iteration an epoch.
        images = data.load("digits", limit=20)
        alphas: list[Tensor] = []
        with pytest.MonkeyPatch.context() as patch, opened(path, "search") as run:
            patch.setattr(torch.optim.Adam, "step", remember(torch.optim.Adam.step, alphas))
            genotype = search(images, config, run)
            candidates = json.loads((run.path / "results.json").read_text(encoding="utf-8"))["candidates"]
        found = torch.tensor(list(genotype.to_json().encode()))
        measured = torch.tensor([list(candidate.values()) for candidate in candidates], dtype=torch.float64)
        return {
            "genotype": found,
            "candidates": measured,
            **{f"alpha/{index}": alpha for index, alpha in enumerate(alphas)},
        }

    return case


def remember(step: Callable[..., Any], alphas: list[Tensor]) -> Callable[..., Any]:
    """A step of alpha's optimiser that also keeps a copy of what it made."""

    def remembered(optimiser: torch.optim.Adam) -> None:
        step(optimiser)
        alphas.append(optimiser.param_groups[0]["params"][0].detach().clone())

    return remembered


def sampling(algorithm: str, own: Any) -> SearchConfig:
    """A search that draws candidates and races the best two."""
    # Not the Gaussian F, which dead channels of so small a network make 1e8, too large to compare to 1e-9.
    shortlist = ShortlistConfig(count=2, epochs=1, metric="relative_deviation")
    settings: dict[str, Any] = {"space": "nasbench201", "cells": 1, "shortlist": shortlist}
    return search_config(**vars(replace(SEARCH, epochs=2, algorithm=algorithm, **settings)), **{algorithm: own})


CASES: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    "norms": norms,
    "standard": training(replace(TRAINING, objective="standard")),
    "pgd_at": training(TRAINING),
    "fast_at": training(replace(TRAINING, objective="fast_at")),
    "smooth_adv": training(replace(TRAINING, objective="smooth_adv")),
    "cells": training(CELLS, cells=True),
    # F, of which each process sees the whole sample, is left to the smaller space.
    "darts space": searching(replace(SEARCH, epochs=2, algorithm="adversarial_darts")),
    "nasbench201 space": searching(replace(SEARCH, space="nasbench201", cells=1)),
    "sampled paths, unrolled": searching(
        replace(SEARCH, space="nasbench201", cells=1, algorithm="gdas", hypergradient="unrolled")
    ),
    "second derivatives": searching(replace(SEARCH, space="nasbench201", cells=1, algorithm="advrush")),
    "shortlist": searching(replace(SEARCH, algorithm="random", shortlist=ShortlistConfig(count=2, epochs=1))),
    "fine-tuned subnets": searching(sampling("robnet", RobNetConfig(samples=3, keep=0.6))),
    "rewarded trainings": searching(sampling("reinforce", ReinforceConfig(candidates=2))),
    "unsynchronised": training(TRAINING, synchronised=False),
}


def run_case(name: str, folder: Path) -> None:
    torch.save(CASES[name](folder / name), folder / f"{name}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with parallel.launched():
        for case_name in CASES:
            run_case(case_name, Path(sys.argv[1]))
