"""Do proofs hold? Bounds of random architectures against a million points, of trained networks against AutoAttack.

    python benchmarks/soundness.py [--triples 1000000] [--csv results/soundness.csv]      resumable, by architecture
    python benchmarks/soundness.py --run RUN [--data digits] [--eps 0.1] [--images 200]   AutoAttack on a trained one
    python benchmarks/soundness.py --collect

A triple is an architecture, an image and a point of its ball: inside, in a corner, or on the way of an attack on the
least margin. It is beaten where any margin is below its bound, by any method, by more than 1e-9 of the logits' size.
Architectures are all networks of the zoo, random cells of each space, the supernet of DARTS and random stacks of
layers, with fresh weights, settled batch norms and an eps at which linear bounds are of the size of the logits.
Everything is in float64, for what is proved is proved of real numbers.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from rnas import data
from rnas.attacks import auto_attack
from rnas.certification.program import Program, crown_ibp_margins, crown_margins, interval_margins, trace
from rnas.models.resolve import load_model
from rnas.networks import zoo
from rnas.networks.counting import count_parameters
from rnas.progress import reporting
from rnas.run.files import write_atomically
from rnas.run.provenance import origin
from rnas.seeding import derive
from rnas.supernets.base import SupernetAt
from rnas.supernets.space import SPACES

Margins = Callable[[Program, Tensor, Tensor, float | Tensor], Tensor]

METHODS: dict[str, Margins] = {"interval": interval_margins, "crown_ibp": crown_ibp_margins, "crown": crown_margins}
#: A pass backwards for each unit: only for stacks of layers.
SLOW = "crown"
SHAPE, CLASSES, IMAGES, CELLS, STACKS = (3, 8, 8), 4, 20, 6, 10
ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.Sigmoid,
    nn.Tanh,
    nn.SiLU,
    nn.GELU,
    nn.Hardswish,
    nn.ELU,
    nn.Softplus,
)
#: A first eps, far below all others; what rounding may do to a margin, as a share of its size.
PROBE, ROUNDING = 1e-10, 1e-9
#: Points at a time.
BATCH = 500


class Case(NamedTuple):
    """An architecture: its kind, its name, and what builds it from a seed."""

    kind: str
    name: str
    build: Callable[[], nn.Module]


def cases() -> Iterator[Case]:
    """All architectures."""
    for name in zoo.NETWORKS:
        cells = None if zoo.NETWORKS[name].cells is None else 3
        yield Case("zoo", name, partial(zoo.build, name, CLASSES, channels=4, cells=cells))
    for space in ("darts", "nasbench201"):
        for number in range(CELLS):
            yield Case(space, f"{space} {number}", partial(random_cells, space, number))
    yield Case("supernet", "supernet of darts", supernet)
    for number in range(STACKS):
        yield Case("layers", f"layers {number}", partial(stack, number))


def random_cells(space: str, number: int) -> nn.Module:
    """A network of random cells."""
    found = SPACES[space]
    generator = torch.Generator().manual_seed(derive(number, space))
    genotype = found.derive(torch.randn(found.supernet.alpha_shape, generator=generator), None)
    cells = max(1, found.least_cells)
    return found.build(genotype, CLASSES, channels=4, cells=cells, in_channels=SHAPE[0])


def supernet() -> nn.Module:
    """The supernet of DARTS at random weights of its operations."""
    kind = SPACES["darts"].path_supernet
    alpha = torch.randn(kind.alpha_shape)
    return SupernetAt(kind(CLASSES, channels=2, cells=3, in_channels=SHAPE[0]), alpha.softmax(dim=-1))


def stack(number: int) -> nn.Module:
    """Convolutions, norms, poolings and activations, every other time ReLUs alone, then a linear layer."""
    generator = torch.Generator().manual_seed(derive(number, "layers"))

    def draw(*choices: Any) -> Any:
        return choices[int(torch.randint(len(choices), (1,), generator=generator))]

    layers: list[nn.Module] = []
    channels = SHAPE[0]
    for _ in range(draw(1, 2, 3)):
        width = draw(4, 6)
        layers.append(
            nn.Conv2d(
                channels,
                width,
                draw(1, 3),
                padding=1,
                stride=draw(1, 2),
                groups=draw(1, 1, channels if width % channels == 0 else 1),
            )
        )
        layers += [nn.BatchNorm2d(width)] * draw(0, 1)
        layers.append(draw(*(ACTIVATIONS if number % 2 else [nn.ReLU]))())
        layers += [draw(nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(3))] * draw(0, 1)
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(CLASSES))


def settled(case: Case) -> nn.Module:
    """An architecture in evaluation mode, with fresh weights and the statistics of random images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, case.name))
        network = case.build()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            network.train()(torch.rand(64, *SHAPE))
    return network.double().eval()


def margins_of(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """z_label - z_j, shape (N, classes)."""
    logits: Tensor = network(images)
    return logits.gather(1, labels.unsqueeze(1)) - logits


def points(
    network: nn.Module, images: Tensor, labels: Tensor, eps: float, generator: torch.Generator
) -> Iterator[Tensor]:
    """Batches of points of the images' balls without end; a fifth are those of signed descents of the least margin."""
    while True:
        for kind in ("inside", "corner", "inside", "corner", "descent"):
            moves = 2 * torch.rand(images.shape, generator=generator, dtype=torch.float64) - 1
            if kind != "descent":
                yield (images + eps * (moves if kind == "inside" else moves.sign())).clamp(0, 1)
                continue
            now = (images + eps * moves).clamp(0, 1)
            others = torch.nn.functional.one_hot(labels, CLASSES).bool()
            for step in range(8):
                now = now.detach().requires_grad_()
                with torch.enable_grad():
                    least = margins_of(network, now, labels).masked_fill(others, math.inf).amin(dim=1).sum()
                    (slope,) = torch.autograd.grad(least, now)
                moved = now.detach() - eps * slope.sign() / (1 + step / 2)
                now = torch.maximum(torch.minimum(moved, images + eps), images - eps).clamp(0, 1)
                yield now


def soundness(case: Case, triples: int) -> dict[str, Any]:
    """One architecture against so many points: a row of the table."""
    started, network = time.monotonic(), settled(case)
    generator = torch.Generator().manual_seed(derive(1, case.name))
    images = torch.rand(IMAGES, *SHAPE, generator=generator, dtype=torch.float64)
    labels = torch.randint(CLASSES, (IMAGES,), generator=generator)
    program = trace(network, SHAPE)
    with torch.no_grad():
        exact = margins_of(network, images, labels)
        size = exact.abs().mean()
        eps = PROBE
        for _ in range(3):
            # Linear bounds fall in proportion to eps where no unit is switched on, and faster elsewhere.
            eps = min(0.1, eps * float(size / (exact - crown_ibp_margins(program, images, labels, eps)).mean()))
        bounds = {
            name: method(program, images, labels, eps)
            for name, method in METHODS.items()
            if name != SLOW or case.kind == "layers"
        }
        repeated = BATCH // IMAGES
        many, truth = images.repeat(repeated, 1, 1, 1), labels.repeat(repeated)
        wide = {name: bound.repeat(repeated, 1) for name, bound in bounds.items()}
        others = torch.ones_like(exact).scatter(1, labels.unsqueeze(1), 0).bool().repeat(repeated, 1)
        tried, beaten = 0, dict.fromkeys(bounds, 0)
        nearest = dict.fromkeys(bounds, math.inf)
        for shown in points(network, many, truth, eps, generator):
            found = margins_of(network, shown, truth)
            for name, bound in wide.items():
                gaps = (found - bound)[others].view(len(found), -1).amin(dim=1)
                beaten[name] += int((gaps < -ROUNDING * size).sum())
                nearest[name] = min(nearest[name], float(gaps.min()))
            tried += len(shown)
            if tried >= triples:
                break
    row: dict[str, Any] = {"kind": case.kind, "architecture": case.name, "parameters": count_parameters(network)}
    row |= {"images": IMAGES, "triples": tried, "eps": eps, "margin": float(size)}
    for name in METHODS:
        row |= {f"beaten_{name}": beaten.get(name), f"nearest_{name}": nearest.get(name)}
        row[f"slack_{name}"] = float((exact - bounds[name]).mean()) if name in bounds else None
    return row | {"seconds": round(time.monotonic() - started, 1)}


def attacked(run: str, source: str, eps: float, count: int) -> dict[str, Any]:
    """A trained network's images under AutoAttack: how many are certified, broken, and both."""
    started, network = time.monotonic(), load_model(run).network
    test = data.load(source).test.select(range(count))
    images, labels = test.floats(), test.labels
    program = trace(network, images.shape[1:])
    adversarial = auto_attack(network, images, labels, eps=eps, seed=0)
    with torch.no_grad():
        broken = network(adversarial).argmax(dim=1) != labels
        found = margins_of(network, adversarial, labels)
        row: dict[str, Any] = {}
        for name in ("interval", "crown_ibp"):
            bound = METHODS[name](program, images, labels, eps)
            certified = bound.scatter(1, labels.unsqueeze(1), math.inf).amin(dim=1) > 0
            row |= {
                f"certified_{name}": int(certified.sum()),
                f"certified_and_broken_{name}": int((certified & broken).sum()),
            }
            row[f"beaten_{name}"] = int((found < bound).any(dim=1).sum())
    row |= {"kind": "AutoAttack", "architecture": run, "images": count, "triples": count, "eps": eps}
    return row | {"broken": int(broken.sum()), "seconds": round(time.monotonic() - started, 1)}


def collect(rows: pd.DataFrame) -> None:
    """What is there, by kind of architecture."""
    for kind, group in rows.groupby("kind", sort=False):
        beaten = {name: int(group[f"beaten_{name}"].sum()) for name in METHODS if f"beaten_{name}" in group}
        print(f"{kind}: {len(group)} architectures, {int(group.triples.sum()):,} triples, beaten {beaten}")
    print(f"in all {int(rows.triples.sum()):,} triples, {rows.architecture.nunique()} architectures")


def main() -> None:
    """Try what is not tried yet, or print what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=1_000_000, help="over all architectures")
    parser.add_argument("--only", help="a kind of architecture: zoo, darts, nasbench201, supernet, layers")
    parser.add_argument("--run", help="a trained network, as `rnas evaluate` names it")
    parser.add_argument("--data", default="digits", help="whose test images are attacked")
    parser.add_argument("--eps", type=float, default=0.1)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--csv", default="results/soundness.csv", help="where the rows go")
    parser.add_argument("--collect", action="store_true", help="print what is there")
    arguments = parser.parse_args()
    path, about = Path(arguments.csv), origin("cpu")
    torch.set_num_threads(1)
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["architecture"])
    if arguments.collect:
        collect(known)
        return

    def keep(row: dict[str, Any]) -> None:
        nonlocal known
        known = pd.concat([known, pd.DataFrame([row | about])], ignore_index=True)
        write_atomically(path, known.to_csv(index=False).encode())

    if arguments.run:
        keep(attacked(arguments.run, arguments.data, arguments.eps, arguments.images))
        return
    every = list(cases())
    each = math.ceil(arguments.triples / len(every))
    chosen = [case for case in every if arguments.only in (None, case.kind)]
    with reporting("trying to beat bounds", len(chosen)) as progress:
        for number, case in enumerate(chosen):
            if case.name not in set(known.architecture):
                keep(soundness(case, each))
            progress.update(number + 1)
    collect(known)


if __name__ == "__main__":
    main()
