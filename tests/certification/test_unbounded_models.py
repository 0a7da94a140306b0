"""Models that cannot be bounded: each is told in one line, and none is bounded wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rnas.certification.program import trace
from rnas.errors import ModelError


class Saying(nn.Module):
    """A model that is a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


class Two(nn.Module):
    """Asks for more than images."""

    def forward(self, images: Tensor, alpha: Tensor) -> Tensor:
        return images.flatten(1) * alpha


def branch(images: Tensor) -> Tensor:
    return images.flatten(1) if bool(images.sum() > 0) else -images.flatten(1)


def swallowing(images: Tensor) -> Tensor:
    try:
        return images.flatten(1) * float(images.mean())
    except ModelError:
        return images.flatten(1)


def written(images: Tensor) -> Tensor:
    copied = images * 1
    copied[:, 0].mul_(2)
    return copied.flatten(1)


def looked_at(images: Tensor) -> Tensor:
    copied = images * 1
    piece = copied[:, 0]
    copied.mul_(2)
    return piece.flatten(1)


def filled(images: Tensor) -> Tensor:
    fresh = torch.zeros(len(images), 3, 4, 4)
    fresh[:, 0] = images[:, 0]
    return fresh.flatten(1)


def counting(images: Tensor) -> Tensor:
    count = torch.ones(())
    first = images * count
    count += 1
    return (first + images * count).flatten(1)


BAD: list[tuple[nn.Module, str]] = [
    (Two(), "expected one input, images, its forward takes images, alpha"),
    (Saying(branch), "its control flow or a number in it depends"),
    (Saying(swallowing), "its control flow or a number in it depends on the images"),
    (Saying(lambda x: torch.from_numpy(x.numpy()).flatten(1)), "its control flow or a number in it depends"),
    (Saying(lambda x: x.flatten(1) * x.tolist()[0][0][0][0]), "its control flow or a number in it depends"),
    (Saying(lambda x: x.flatten(1) + torch.rand(48)), r"draws random numbers \(by rand\)"),
    (nn.Sequential(nn.Dropout(), nn.Flatten()), "dropout is active"),
    (nn.Sequential(nn.BatchNorm2d(3), nn.Flatten()), "a batch norm takes the statistics of the batch"),
    (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False).eval(), nn.Flatten()), "takes the statistics"),
    (Saying(lambda x: (x - x.mean(dim=0)).flatten(1)), "depend on the images beside it"),
    (Saying(lambda x: x.flip(0).flatten(1)), "depend on the images beside it"),
    (Saying(lambda x: x.permute(1, 0, 2, 3).reshape(6, 16).view(3, 2, 16).transpose(0, 1).flatten(1)), "their order"),
    (Saying(lambda x: x.flatten(1).sort(dim=1)[0]), "no rule for the operation 'sort'"),
    (Saying(lambda x: torch.where(x > 0.5, x, 0 * x).flatten(1)), "no rule for the operation 'gt'"),
    (
        Saying(lambda x: (9 * x).int().float().flatten(1)),
        "no rule for the operation '_to_copy'",
    ),
    (Saying(lambda x: x.sum(1, dtype=torch.int64).flatten(1)), "'sum' from torch.float32 to torch.int64"),
    (Saying(lambda x: torch.zeros(len(x), 3)), "its logits do not depend on the images"),
    (Saying(written), "reads by another name"),
    (Saying(counting), "changes a tensor of its own after computing with it"),
    (Saying(looked_at), "reads by another name"),
    (Saying(filled), "writes into a tensor of its own what depends on the images"),
    (Saying(lambda x: x), r"expected logits of shape \(2, classes\) from the model, got \(2, 3, 4, 4\)"),
    (nn.Conv2d(4, 2, 3), "cannot bound the model: RuntimeError: "),
]


@pytest.mark.parametrize(("model", "words"), BAD)
def test_what_cannot_be_bounded_is_told_in_one_line(model: nn.Module, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        trace(model, (3, 4, 4))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_control_flow_in_torchscript_is_refused() -> None:
    with pytest.raises(ModelError, match="its control flow or a number in it depends on the images"):
        trace(Saying(torch.jit.script(branch)), (3, 4, 4))
