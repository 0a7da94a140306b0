"""Register a network and an objective of your own, train one with the other, and load the result.

python examples/own_network.py --out runs/own     # a few seconds on a CPU; or from the command line:
rnas train --plugin examples/own_network.py --network three_layers --training.objective logit_pairing
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnas
from rnas.commands import TrainCommand, run_training
from rnas.config import Distance, PgdConfig
from rnas.networks import NETWORKS, NetworkConfig
from rnas.objectives import OBJECTIVES, Objective
from rnas.training.config import TrainingConfig


@NETWORKS.register("three_layers", source="examples/own_network.py", channels=16)
class ThreeLayers(nn.Sequential):
    """Two convolutions and a classifier, for images in [0, 1]."""

    def __init__(self, num_classes: int, *, in_channels: int, channels: int) -> None:
        first = (nn.Conv2d(in_channels, channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        second = (nn.Conv2d(channels, channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        super().__init__(*first, *second, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, num_classes))


@OBJECTIVES.register("logit_pairing")
class LogitPairing(Objective):
    """Cross-entropy on PGD images, plus the distance of their logits from the clean ones (Kannan et al. 2018)."""

    def __call__(
        self, model: nn.Module, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        logits = model(self.pgd_examples(attacked, images, labels, generator))
        return self.cross_entropy(logits, labels) + 0.5 * F.mse_loss(logits, model(images)), logits


def main() -> None:
    """Train the network with the objective, and load it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/own", help="the run directory")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    attack = PgdConfig(eps=Distance("0.1"), step_size=Distance("0.05"), steps=3)
    training = TrainingConfig(
        objective="logit_pairing", epochs=options.epochs, batch_size=32, learning_rate=0.1, attack=attack
    )
    command = TrainCommand(out=options.out, network=NetworkConfig(name="three_layers"), training=training)
    run = run_training(command)
    network, test = rnas.load(run), rnas.data.load("digits").test
    accuracy = (network(test.floats()).argmax(dim=1) == test.labels).float().mean()
    print(f"{type(network).__name__}: {100 * accuracy:.1f}% of {len(test)} clean test images")


if __name__ == "__main__":  # a plug-in is imported, and then only registers
    main()
