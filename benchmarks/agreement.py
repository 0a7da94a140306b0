"""Robust accuracies by our attacks beside those by other libraries, on small networks trained on the embedded digits.

    python benchmarks/agreement.py --packages FOLDER [--images 256] [--csv FILE]

FOLDER holds torchattacks and foolbox, outside the environment, for they ask for a torchvision that replaces torch:

    pip install --no-deps --target FOLDER torchattacks==3.5.1 foolbox==3.3.4 eagerpy==0.30.0 \
        GitPython gitdb smmap requests urllib3 certifi idna charset-normalizer

Every attack gets the same network, images and settings, and PGD the same random start, drawn from one seed. An image is
robust if the network is right about it before and after. The exit code is 1 if a robust accuracy of ours is more than a
point away from another library's.

Traps, as of these versions, that make a library no reference without care:

- torchattacks' AutoAttack makes APGD and FAB with their default of 10 steps, where the authors make 100.
- torchattacks' C&W takes the largest other logit from logits multiplied by zero at the label, so that it is never below
  0; it stops all images of a batch as soon as their summed objective rises; and pixels at 0 and 1 never move, for it
  starts at the infinite inverse tanh. It is therefore left out here.
- foolbox's C&W returns a black image wherever it fails, which a network may well misclassify: with one step of its
  binary search its own count of successes says little. Black images are replaced by the clean ones here.
- foolbox's C&W does not look at the result of its last step; it gets one step more than ours.
- Adversarial Robustness Toolbox (1.20.1) has an AutoAttack without FAB: it runs DeepFool in its place.
- adv-lib (0.2.8) asks for visdom, whose build needs an older setuptools than may be pinned, and has no Square.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from rnas.attacks import carlini_wagner_l2, fgsm, pgd_linf
from rnas.commands import TrainCommand, run_training
from rnas.commands.comparing import load_data
from rnas.config import Distance, PgdConfig
from rnas.data import DataConfig
from rnas.models.spec import load_network
from rnas.networks.config import NetworkConfig
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin
from rnas.training.config import TrainingConfig

EPS, STEP_SIZE, STEPS = 0.1, 0.025, 20
C, CW_STEPS, CW_RATE = 0.5, 100, 0.01
MOST = 0.01
"""Largest difference of two robust accuracies."""

NETWORKS = [
    NetworkConfig(name="resnet18", channels=8),
    NetworkConfig(name="vgg16", channels=8),
    NetworkConfig(name="darts_v2", channels=4, cells=3),
]

#: A network, images (N, C, H, W) and labels (N,) to adversarial images.
Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]

OURS: dict[str, Attack] = {
    "fgsm": lambda network, images, labels: fgsm(network, images, labels, eps=EPS),
    "pgd": lambda network, images, labels: pgd_linf(network, images, labels, eps=EPS, step_size=STEP_SIZE, steps=STEPS),
    "cw": lambda network, images, labels: carlini_wagner_l2(
        network, images, labels, c=C, steps=CW_STEPS, learning_rate=CW_RATE
    ),
}


def torchattacks() -> dict[str, Attack]:
    """The attacks of torchattacks."""
    library = importlib.import_module("torchattacks")
    return {
        "fgsm": lambda network, images, labels: library.FGSM(network, eps=EPS)(images, labels),
        "pgd": lambda network, images, labels: library.PGD(network, eps=EPS, alpha=STEP_SIZE, steps=STEPS)(
            images, labels
        ),
    }


def foolbox() -> dict[str, Attack]:
    """The attacks of foolbox."""
    library = importlib.import_module("foolbox")
    pgd = library.attacks.LinfPGD(abs_stepsize=STEP_SIZE, steps=STEPS)
    cw = library.attacks.L2CarliniWagnerAttack(
        binary_search_steps=1, steps=CW_STEPS + 1, stepsize=CW_RATE, initial_const=C, abort_early=False
    )

    def run(attack: Any, eps: float | None) -> Attack:
        def by(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
            model = library.PyTorchModel(network, bounds=(0, 1), device=images.device)
            adversarial: Tensor = attack(model, images, labels, epsilons=eps)[0]
            black = (adversarial == 0).flatten(1).all(dim=1).view(-1, 1, 1, 1)
            return torch.where(black, images, adversarial)

        return by

    return {"fgsm": run(library.attacks.FGSM(), EPS), "pgd": run(pgd, EPS), "cw": run(cw, None)}


def robust(network: nn.Module, images: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    """Which images (N,) the network is right about before and after an attack."""
    torch.manual_seed(0)
    adversarial = attack(network, images, labels)
    with torch.no_grad():
        return (network(images).argmax(dim=1) == labels) & (network(adversarial).argmax(dim=1) == labels)


def compare(config: NetworkConfig, network: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Rows of the table for one network: a row an attack and library."""
    others = {"torchattacks": torchattacks(), "foolbox": foolbox()}
    ours = {name: robust(network, images, labels, attack) for name, attack in OURS.items()}
    rows = []
    for library, attacks in others.items():
        for name, attack in attacks.items():
            theirs = robust(network, images, labels, attack)
            rows.append(
                {
                    "network": config.name,
                    "attack": name,
                    "images": len(images),
                    "ours": float(ours[name].double().mean()),
                    "library": library,
                    "theirs": float(theirs.double().mean()),
                    "other_verdicts": int((ours[name] != theirs).sum()),
                }
            )
    return rows


def main() -> None:
    """Train, attack, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="folder with the other libraries")
    parser.add_argument("--images", type=int, default=256, help="test images that are attacked")
    parser.add_argument("--csv", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    # Behind ours, so that nothing in it replaces a package of the environment.
    sys.path.append(str(arguments.packages))
    data = DataConfig(source="digits")
    test = load_data(data, seed=0).test
    images, labels = test.floats()[: arguments.images], test.labels[: arguments.images]
    attack = PgdConfig(eps=Distance(EPS), step_size=Distance("0.04"), steps=5)
    training = TrainingConfig(epochs=10, batch_size=64, learning_rate=0.05, attack=attack)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for config in track(NETWORKS, "comparing", console=Console(stderr=True)):
            out = str(Path(folder) / str(config.name))
            trained = run_training(TrainCommand(out=out, data=data, network=config, training=training, threads=1))
            rows += compare(config, load_network(trained).eval(), images, labels)
    table = Table(title=f"Robust accuracy on {len(images)} digits")
    for column in rows[0]:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*[f"{value:.2%}" if isinstance(value, float) else str(value) for value in row.values()])
    Console().print(table)
    if arguments.csv:
        versions = {name: importlib.import_module(name).__version__ for name in ("torchattacks", "foolbox")}
        lines = [{**row, "version": versions[row["library"]], **origin("cpu")} for row in rows]
        write_atomically(arguments.csv, csv_text(lines))
    if apart := [row for row in rows if abs(row["ours"] - row["theirs"]) > MOST]:
        sys.exit(
            "\n".join(f"{row['network']}, {row['attack']}: {row['ours']:.2%} and {row['theirs']:.2%}" for row in apart)
        )


if __name__ == "__main__":
    main()
