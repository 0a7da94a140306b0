"""Weights as others write them: each layout computes what its own code does, and nothing is loaded half."""

import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import ModelError, RnasError, RunError
from rnas.models.resolve import load_model
from rnas.networks import zoo
from rnas.run.checkpoints import save_tensors

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """A basic block with the names that everybody gives it."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.path = shortcut if stride != 1 else ""
        if self.path:
            pair = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
            self.add_module(shortcut, pair)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (self.get_submodule(self.path)(x) if self.path else x))


class UsualResNet(nn.Module):
    """ResNet18 in its CIFAR form."""

    def __init__(self, width: int, classes: int, shortcut: str, head: str, stem: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, stem, padding=stem // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for stage in range(4):
            inputs, outputs = max(width, width * 2**stage // 2), width * 2**stage
            first = Block(inputs, outputs, 1 if stage == 0 else 2, shortcut)
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, Block(outputs, outputs, 1, shortcut)))
        self.head = head
        self.add_module(head, nn.Linear(8 * width, classes))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        for stage in range(1, 5):
            out = self.get_submodule(f"layer{stage}")(out)
        return self.get_submodule(self.head)(out.mean((2, 3)))


class UsualWideBlock(nn.Module):
    """A block that activates first, with its usual names."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.convShortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (x if self.convShortcut is None else self.convShortcut(active))


class Layer(nn.Module):
    """A stage, with the name in the middle that everybody gives it."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class UsualWideResNet(nn.Module):
    """WideResNet of depth 28, its first stage `width` wide, the stem a tenth of it, with the block that TRADES adds."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 10, 3, padding=1, bias=False)
        widths = [width // 10, width, 2 * width, 4 * width]
        for stage, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            rest = [UsualWideBlock(outputs, outputs, 1) for _ in range(3)]
            self.add_module(f"block{stage}", Layer(UsualWideBlock(inputs, outputs, 1 if stage == 1 else 2), *rest))
        self.sub_block1 = Layer(UsualWideBlock(widths[0], width, 1))
        self.bn1 = nn.BatchNorm2d(4 * width)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        for stage in range(1, 4):
            out = self.get_submodule(f"block{stage}")(out)
        return self.fc(F.relu(self.bn1(out)).mean((2, 3)))


class Normalised(nn.Module):
    """A network behind a layer that normalises."""

    mu: Tensor
    sigma: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.register_buffer("mu", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("sigma", torch.tensor(0.25))
        self.model = network

    def forward(self, x: Tensor) -> Tensor:
        return self.model((x - self.mu) / self.sigma)


def living(network: nn.Module) -> nn.Module:
    """The network with running statistics of its own, in evaluation mode."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            buffers = dict(module.named_buffers())
            nn.init.normal_(buffers["running_mean"])
            nn.init.uniform_(buffers["running_var"], 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return living(UsualResNet(8, 5, "shortcut", "linear"))


def without_counts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def check(text: str, network: nn.Module) -> None:
    with torch.no_grad():
        torch.testing.assert_close(load_model(text).network(IMAGES), network(IMAGES))


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        (lambda state: state, []),
        (without_counts, []),
        (lambda state: prefixed(state, "module."), ["'module.'"]),
        (lambda state: prefixed(state, "_orig_mod.module."), ["'_orig_mod.module.'"]),
        (lambda state: {"state_dict": state, "epoch": 3, "best": 0.5}, ["under 'state_dict'"]),
        (lambda state: {"run": {"model": prefixed(state, "net.")}, "args": ["x"]}, ["under 'run.model'", "'net.'"]),
    ],
)
def test_wrapped_weights_are_found(
    kept: Callable[[dict[str, Tensor]], object],
    says: list[str],
    resnet: nn.Module,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save(kept(resnet.state_dict()), tmp_path / "some.pth")
    check(f"resnet18:{tmp_path}/some.pth", resnet)
    (line,) = capsys.readouterr().err.splitlines()
    for word in (*says, "usual layout of ResNets", "images go in as they are"):
        assert word in line


def test_an_optimizer_beside_them_is_none(resnet: nn.Module, tmp_path: Path) -> None:
    optimizer = torch.optim.Adam(resnet.parameters())
    resnet(IMAGES).sum().backward()
    state = {name: tensor.clone() for name, tensor in resnet.state_dict().items()}
    optimizer.step()
    torch.save({"net": state, "optimizer": optimizer.state_dict()}, tmp_path / "some.tar")
    resnet.load_state_dict(state)
    check(f"resnet18:{tmp_path}/some.tar", resnet)


def test_usual_layouts_compute_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, network in (
        ("resnet18", living(UsualResNet(8, 5, "downsample", "fc"))),
        ("resnet18", living(Normalised(UsualResNet(8, 5, "shortcut", "linear")))),
        ("resnet18", living(nn.DataParallel(Normalised(UsualResNet(8, 5, "shortcut", "linear"))))),
        ("wide_resnet_28_10", living(UsualWideResNet(20, 5))),
    ):
        save_file(network.state_dict(), tmp_path / "some.safetensors")
        torch.save(network.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
        for file in ("some.safetensors", "old.pt"):
            check(f"{name}:{tmp_path}/{file}", network)
    lines = capsys.readouterr().err.splitlines()
    assert "no max pooling" in lines[0]
    assert "images go in" not in lines[2]
    assert "without sub_block1" in lines[6]


def test_our_own_weights_need_no_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = living(zoo.build("resnet18", 5, channels=8))
    save_tensors(tmp_path / "ours.safetensors", network.state_dict())
    torch.save(without_counts(network.state_dict()), tmp_path / "ours.pt")
    for file in ("ours.safetensors", "ours.pt"):
        check(f"resnet18:{tmp_path}/{file}", network)
    assert capsys.readouterr().err == ""
    torch.save(prefixed(network.state_dict(), "module."), tmp_path / "parallel.pt")
    check(f"resnet18:{tmp_path}/parallel.pt", network)
    assert "without the prefix 'module.'" in capsys.readouterr().err


class Malice:
    """Makes a folder where it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harm",)


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {known: tensor for known, tensor in without_counts(state).items() if known != name}


@pytest.mark.parametrize(
    ("kept", "error", "says"),
    [
        (lambda _: UsualResNet(8, 5, "downsample", "fc", stem=7).state_dict(), ModelError, "'conv1.weight' has shape"),
        (lambda state: without(state, "layer1.1.bn2.bias"), ModelError, "'stages.0.1.norm2.bias' are missing"),
        (lambda state: state | {"aux.weight": torch.zeros(1)}, ModelError, "'aux.weight' is no part of this network"),
        (
            lambda state: state | {"bn1.bias": torch.zeros(8, dtype=torch.int64)},
            ModelError,
            "'bn1.bias' holds torch.int64",
        ),
        (lambda _: nn.Linear(3, 4).state_dict(), ModelError, "(2 tensors, weight, bias, ...)"),
        (lambda state: {"model": state, "ema": state}, RunError, "holds the weights model and ema"),
        (lambda _: {"epoch": 3}, RunError, "no state dict but the keys ['epoch']"),
        (lambda _: torch.zeros(3), RunError, "no state dict but Tensor"),
        (
            lambda state: {"net": state, "accuracy": np.float64(3)},
            RunError,
            "scalar, not only tensors and plain values",
        ),
        (lambda state: {"net": state, "args": argparse.Namespace()}, RunError, "argparse.Namespace, not only tensors"),
        (lambda _: Malice(), RunError, "might run code"),
        (lambda state: state | {"linear.bias": torch.zeros(1).expand(10**9)}, RunError, "not stored as dense numbers"),
        (lambda state: state | {"linear.bias": torch.zeros(5).to_sparse()}, RunError, "not stored as dense numbers"),
        (lambda state: state | {"linear.bias": torch.zeros(5, device="meta")}, RunError, "not stored as dense numbers"),
    ],
)
def test_what_does_not_fit_is_told_with_the_way_out(
    kept: Callable[[dict[str, Tensor]], object],
    error: type[RnasError],
    says: str,
    resnet: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(kept(resnet.state_dict()), "some.pth")
    with pytest.raises(error) as caught:
        load_model("resnet18:some.pth")
    message = str(caught.value)
    assert message.startswith("some.pth")
    assert says in message
    assert ("module:function" in message) == ("torch.save(model" not in message or "not only" in message)
    assert "\n" not in message
    assert len(message) < 500
    assert not Path("harm").exists()


def test_files_that_are_no_weights(resnet: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(resnet.state_dict(), "sound.pth")
    sound = Path("sound.pth").read_bytes()
    place = sound.index(resnet.state_dict()["conv1.weight"].numpy().tobytes())
    Path("flipped.pth").write_bytes(sound[:place] + bytes([sound[place] ^ 64]) + sound[place + 1 :])
    Path("cut.pth").write_bytes(sound[: len(sound) // 2])
    Path("text.pth").write_text("weights")
    Path("pickle.pth").write_bytes(pickle.dumps({"a": 1}))
    with zipfile.ZipFile("program.pt", "w") as archive:
        archive.writestr("program/constants.pkl", b"")
    Path("run").mkdir()
    Path("run/weights.safetensors").write_bytes(b"")
    for name, says in (
        ("cut.pth", "damaged or truncated"),
        ("flipped.pth", "in it has another checksum"),
        ("text.pth", "damaged, truncated or no safetensors file"),
        ("pickle.pth", "tensors and plain values"),
        ("program.pt", "is a program and no weights: give it alone"),
        ("run", "no weights at run; did you mean run/weights.safetensors?"),
        ("run/weights.safetensors", "damaged, truncated or no safetensors file"),
    ):
        with pytest.raises(RunError) as caught:
            load_model(f"resnet18:{name}")
        assert says in str(caught.value)
    # Alone, weights ask for their network.
    with pytest.raises(RunError, match=r"sound\.pth holds weights, which need their network: NETWORK:sound\.pth"):
        load_model("sound.pth")
