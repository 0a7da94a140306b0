"""Radii by halving, of margins that are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from rnas.certification.radii import certified_radii


def problem() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A linear model, images and labels, of which two are wrong, and the exact radius of each image."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()
    images = torch.rand(12, 1, 2, 2, dtype=torch.float64)
    with torch.no_grad():
        logits = model(images)
        labels = logits.argmax(dim=1)
        labels[:2] = (labels[:2] + 1) % 3
        weight = model.get_parameter("1.weight")
        slopes = (weight[labels][:, None] - weight[None]).abs().sum(dim=2)
        margins = logits.gather(1, labels[:, None]) - logits
        exact = (margins / slopes).nan_to_num(torch.inf).scatter(1, labels[:, None], torch.inf).amin(dim=1)
    return model, images, labels, exact


def linear_margins(model: nn.Module, images: Tensor, labels: Tensor, radii: Tensor) -> Tensor:
    weight = model.get_parameter("1.weight")
    logits = model(images)
    slopes = (weight[labels][:, None] - weight[None]).abs().sum(dim=2)
    margins: Tensor = logits.gather(1, labels[:, None]) - logits - radii[:, None] * slopes
    return margins


def radii_of(halvings: int, eps: float = 0.05) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    model, images, labels, exact = problem()

    def bound(images: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
        return partial(linear_margins, model, images, labels)

    generator = torch.Generator()
    classes, radii = certified_radii(model, bound, images, labels, generator, eps=eps, halvings=halvings)
    return classes, labels, radii, exact


@pytest.mark.parametrize("halvings", [0, 1, 5, 12])
def test_radii_are_the_exact_ones_rounded_down(halvings: int) -> None:
    eps = 0.05
    classes, labels, radii, exact = radii_of(halvings, eps)
    right = classes == labels
    assert right.sum() == 10
    assert (radii[~right] == 0).all()
    finest = eps / 2**halvings
    bounded = exact.clamp(max=2 * eps)
    assert (radii[right] <= exact[right] + 1e-12).all()
    # Beside the halving, what rounding may be is given away: 1e-5 of logits below 2, at slopes above 0.5.
    assert (bounded[right] - radii[right] <= finest + 6e-5).all()
    # The images differ enough that something is asked: some hold at eps, some do not.
    assert 0 < int((exact[right] > eps).sum()) < 10


def test_at_eps_the_answer_is_that_of_eps_itself() -> None:
    _, labels, radii, exact = radii_of(7)
    del labels
    assert torch.equal(radii >= 0.05, exact > 0.05)


def test_a_radius_is_never_rounded_down_in_the_images_precision() -> None:
    model, images, labels, _ = problem()
    asked = []

    def bound(images: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:  # noqa: ARG001
        def margins(radii: Tensor) -> Tensor:
            asked.append(radii)
            return torch.ones(len(images), 3)

        return margins

    eps = 0.7  # rounded down in float32
    certified_radii(model.float(), bound, images.float(), labels, torch.Generator(), eps=eps, halvings=2)
    assert float(torch.tensor(eps)) < eps
    assert (asked[0].double() >= eps).all()
