"""Exported programs compute what the network does, for any batch and with gradients, or are not written."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rnas.errors import ModelError
from rnas.models.exporting import check, onnx_is_installed, save_onnx, save_program, trace
from rnas.networks import zoo

IMAGE = (1, 8, 8)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A network whose batch statistics are not those it was made with."""
    torch.manual_seed(0)
    network = zoo.build("resnet18", 5, in_channels=1, channels=2)
    for _ in range(3):
        network(torch.rand(8, *IMAGE))
    return network.eval()


@pytest.fixture(scope="module")
def traced(network: nn.Module) -> torch.export.ExportedProgram:
    return trace(network, IMAGE)


def test_a_program_gives_logits_and_gradients_of_the_network(
    network: nn.Module, traced: torch.export.ExportedProgram, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt2"
    assert save_program(path, traced, network, IMAGE) < 1e-5
    program = torch.export.load(str(path)).module()
    for count in (1, 2, 7):
        images = torch.rand(count, *IMAGE, requires_grad=True)
        expected, found = network(images), program(images)
        torch.testing.assert_close(found, expected)
        (wanted,) = torch.autograd.grad(expected.square().sum(), images)
        (came,) = torch.autograd.grad(found.square().sum(), images)
        torch.testing.assert_close(came, wanted)
        assert wanted.abs().sum() > 0


def test_onnx_gives_the_logits_of_the_network(
    network: nn.Module, traced: torch.export.ExportedProgram, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    assert onnx_is_installed()
    path = tmp_path / "model.onnx"
    assert save_onnx(path, traced, network, IMAGE) < 1e-5
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [value.shape[0] for value in (*session.get_inputs(), *session.get_outputs())] == ["batch", "batch"]
    images = torch.rand(3, *IMAGE)
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), network(images).detach())


def test_a_program_of_another_network_is_not_written(traced: torch.export.ExportedProgram, tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = zoo.build("resnet18", 5, in_channels=1, channels=2).eval()
    path = tmp_path / "model.pt2"
    with pytest.raises(ModelError, match=r"model\.pt2 is not written: it would differ from the network by .* 0\.0001$"):
        save_program(path, traced, other, IMAGE)
    assert list(tmp_path.iterdir()) == []


def test_logits_that_are_no_numbers_do_not_pass(network: nn.Module) -> None:
    with pytest.raises(ModelError, match="by nan"):
        check(lambda images: network(images) * torch.nan, network, IMAGE, Path("x"))
