"""Square alone: the authors' search, without gradients and without their side effects."""

import pyautoattack
import pyautoattack.square
import pytest
import torch
from torch import Tensor, nn

from rnas.attacks import square


def problem(classes: int = 4) -> tuple[nn.Module, Tensor, Tensor]:
    """A linear model whose classes meet in grey, and 12 images of 6x6 pixels, all of them classified correctly."""
    torch.manual_seed(0)
    linear = nn.Linear(36, classes)
    with torch.no_grad():
        linear.bias.copy_(-0.5 * linear.weight.sum(dim=1))
    model = nn.Sequential(nn.Flatten(), linear).eval()
    images = torch.rand(12, 1, 6, 6)
    return model, images, model(images).argmax(dim=1)


class Steps(nn.Module):
    """Sees images in 8 grey levels: a model without gradients."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner((images * 7).round() / 7)
        return logits


@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.05), ("L2", 0.4)])
def test_same_as_in_autoattack(norm: str, eps: float) -> None:
    model, images, labels = problem()
    labels[0] = (labels[0] + 1) % 4
    before = torch.get_rng_state()
    ours = square(model, images, labels, eps=eps, norm=norm, queries=100, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    attack = pyautoattack.AutoAttack(model, norm=norm, eps=eps, seed=3, version="custom", attacks=["square"])
    attack.square.n_queries = 100
    with torch.random.fork_rng():
        theirs, _ = attack.run_standard_evaluation(images, labels)
    assert torch.equal(ours, theirs)
    broken = model(ours).argmax(dim=1) != labels
    assert 1 < int(broken.sum()) < 12  # so that both cases occur
    assert torch.equal(ours[~broken], images[~broken])
    change = (ours - images).flatten(1)
    assert (change.abs().amax(dim=1) if norm == "Linf" else change.norm(dim=1)).max() <= eps + 1e-6


def test_a_larger_budget_goes_on_where_a_smaller_one_ends() -> None:
    model, images, labels = problem()

    def broken(queries: int) -> Tensor:
        return model(square(model, images, labels, eps=0.04, queries=queries)).argmax(dim=1) != labels

    few, more = broken(5), broken(150)
    assert (more >= few).all()
    assert int(more.sum()) > int(few.sum())


def test_needs_no_gradient() -> None:
    model, images, _ = problem(classes=2)
    masked = Steps(model)
    labels = masked(images).argmax(dim=1)
    with torch.no_grad():
        adversarial = square(masked, images, labels, eps=0.3, queries=100)
    assert (masked(adversarial).argmax(dim=1) != labels).any()


@pytest.mark.parametrize("width", [None, 5, 12])
def test_refused_sizes_are_those_that_the_authors_code_fails_on(width: int | None) -> None:
    refused = []
    for height in range(3, 34):
        size = (height, width or height)
        model = nn.Sequential(nn.Flatten(), nn.Linear(size[0] * size[1], 4))
        images, labels = torch.rand(1, 1, *size), torch.zeros(1, dtype=torch.int64)
        attack = pyautoattack.square.SquareAttack(model, norm="L2", eps=0.1, n_queries=1, device="cpu")
        fails = False
        try:
            with torch.random.fork_rng():
                attack.init_hyperparam(images)
                attack.attack_single_run(images, labels)
        except (RuntimeError, ZeroDivisionError):
            fails = True
        if fails:
            refused.append(height)
            with pytest.raises(ValueError, match=f"Square in L2 cannot tile images of {size[0]}x{size[1]} pixels"):
                square(model, images, labels, eps=0.1, norm="L2", queries=1)
        else:
            adversarial = square(model, images, labels, eps=0.1, norm="L2", queries=1)
            assert (adversarial - images).flatten(1).norm(dim=1).max() <= 0.1 + 1e-6
    assert refused
    assert len(refused) < 20
