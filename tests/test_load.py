"""`rnas.load` gives a plain torch module that others' attacks and evaluations take as it is."""

from pathlib import Path

import pytest
import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

import rnas
from rnas.cli import main
from rnas.errors import RunError
from rnas.models import exporting

TRAIN = (
    "train --data.limit 300 --threads 1 --training.epochs 4 --training.batch_size 20 --training.objective standard "
    "--training.learning_rate 0.1 --network.name resnet18 --network.channels 4"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load") / "run"
    assert main([*TRAIN.split(), "--out", str(folder)]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "ONNX_PACKAGES", ("a_package_that_nobody_has",))
        assert main(["export", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def test_images() -> tuple[Tensor, Tensor]:
    test = rnas.data.load("digits").test
    return test.floats()[:24], test.labels[:24]


def test_it_is_ready_to_be_attacked(run: Path) -> None:
    for model in (run, str(run / "export/model.pt2")):
        network = rnas.load(model)
        assert not network.training
        images = torch.rand(2, 1, 8, 8, requires_grad=True)
        # Batch norm in training mode would mix the images of a batch.
        torch.testing.assert_close(network(images)[:1], network(images[:1]))
        network(images).square().sum().backward()
        assert images.grad is not None
        assert images.grad.abs().sum() > 0


def robustbench_accuracy(
    model: nn.Module, x: Tensor, y: Tensor, batch_size: int = 100, device: torch.device | None = None
) -> float:
    """As RobustBench counts: the model is put on a device, called batch by batch, and its logits are ranked."""
    device = device or x.device
    model = model.to(device)
    model.eval()
    correct = 0.0
    with torch.no_grad():
        for start in range(0, len(x), batch_size):
            output = model(x[start : start + batch_size].to(device))
            correct += (output.max(1)[1] == y[start : start + batch_size].to(device)).float().sum().item()
    return correct / len(x)


@pytest.mark.parametrize("form", ["run directory", "exported program", "network and weights"])
def test_it_drops_into_autoattack_and_robustbench(form: str, run: Path, test_images: tuple[Tensor, Tensor]) -> None:
    images, labels = test_images
    expected = rnas.load(run)(images)
    model = {
        "run directory": str(run),
        "exported program": str(run / "export/model.pt2"),
        "network and weights": f"resnet18:{run}/weights.safetensors",
    }[form]
    network = rnas.load(model)
    torch.testing.assert_close(network(images), expected)
    clean = robustbench_accuracy(network, images, labels, batch_size=10)
    assert clean > 0.3
    attack = AutoAttack(network, norm="Linf", eps=0.3, version="custom", attacks=["apgd-ce"], seed=0)
    attack.apgd.n_iter = 10
    adversarial, _ = attack.run_standard_evaluation(images, labels, batch_size=12)
    assert (adversarial - images).abs().max() <= 0.3 + 1e-6
    assert robustbench_accuracy(network, adversarial, labels) < clean


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no model\.json"):
        rnas.load(tmp_path)
