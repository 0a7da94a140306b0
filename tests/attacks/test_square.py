"""Square alone: the authors' search, without gradients and without their side effects."""

from typing import Any

import pyautoattack
import pyautoattack.square
import pytest
import torch
from torch import Tensor, nn

from rnas.attacks import auto_attack, square


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


class Lying(nn.Module):
    """Under autocast its lowest logit is its highest: whatever a query of lower precision claims, the model denies."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.quick = inner, 0

    def forward(self, images: Tensor) -> Tensor:
        lies = torch.is_autocast_enabled("cpu")
        self.quick += lies
        logits: Tensor = self.inner(images)
        return -logits if lies else logits


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_what_the_model_denies_is_attacked_with_queries_of_full_precision(norm: str) -> None:
    model, images, labels = problem()
    lying = Lying(model)
    settings: dict[str, Any] = {"eps": 0.05 if norm == "Linf" else 0.4, "norm": norm, "queries": 100, "seed": 3}
    found = square(lying, images, labels, query_dtype=torch.bfloat16, **settings)
    assert lying.quick > 0
    assert torch.equal(found, square(model, images, labels, **settings))
    assert 1 < int((model(found).argmax(dim=1) != labels).sum()) < 12


def test_square_in_autoattack_is_confirmed_too() -> None:
    """Steps leave nothing to gradients, so that Square alone breaks images."""
    model, images, labels = problem()
    labels = Steps(model)(images).argmax(dim=1)
    lying = Lying(Steps(model))
    settings: dict[str, Any] = {"eps": 0.06, "seed": 3}
    with pytest.warns(RuntimeWarning, match="AutoAttack: "):
        found = auto_attack(lying, images, labels, query_dtype=torch.bfloat16, **settings)
    assert lying.quick > 0
    with pytest.warns(RuntimeWarning, match="AutoAttack: "):
        assert torch.equal(found, auto_attack(Steps(model), images, labels, **settings))


def test_queries_of_lower_precision_are_most_of_the_passes() -> None:
    model, images, labels = problem()

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.passes = model, {False: 0, True: 0}

        def forward(self, images: Tensor) -> Tensor:
            self.passes[torch.is_autocast_enabled("cpu")] += 1
            logits: Tensor = self.inner(images)
            return logits

    counting = Counting()
    broken = {}
    for dtype in (torch.bfloat16, None):
        adversarial = square(counting, images, labels, eps=0.02, queries=200, query_dtype=dtype)
        broken[dtype] = model(adversarial).argmax(dim=1) != labels
    assert counting.passes[True] > 200 * 0.9
    # Every success is one of the model in full precision, and the search loses none to rounding here.
    assert torch.equal(broken[torch.bfloat16], broken[None])
    assert 1 <= int(broken[None].sum()) < 12
