"""The checks of an evaluation: models that hide their gradients are flagged, an honest one is not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas import data
from rnas.evaluation import evaluate
from rnas.evaluation.normalising import normalises
from rnas.evaluation.sanity import examine

SPLIT = data.load("digits")
IMAGES, LABELS = SPLIT.test.floats()[:64], SPLIT.test.labels[:64]
EPS = 0.1


def mlp() -> nn.Module:
    """A small network that knows the digits."""
    torch.manual_seed(0)
    images, labels = SPLIT.train.floats(), SPLIT.train.labels
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    adam = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        adam.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        adam.step()
    network.zero_grad()
    return network.eval()


HONEST = mlp()


class Borrowed(nn.Module):
    """The honest network's logits with the gradient of another function of the images."""

    def __init__(self, other: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.other = HONEST, other

    def forward(self, images: Tensor) -> Tensor:
        other = self.other(images)
        return self.inner(images.detach()).detach() + other - other.detach()


def mirrored(images: Tensor) -> Tensor:
    """A gradient that is neither small nor shattered, only that of other logits."""
    logits: Tensor = HONEST(images.flip(-1))
    return logits


def waves(images: Tensor) -> Tensor:
    return torch.sin(1000 * images).flatten(1).sum(dim=1, keepdim=True) * torch.linspace(-1, 1, 10)


class Before(nn.Module):
    """The honest network behind a function of the images."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change, self.inner = change, HONEST

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(self.change(images))
        return logits


class After(Before):
    """The honest network before a function of the logits."""

    def forward(self, images: Tensor) -> Tensor:
        return self.change(self.inner(images))


def failed(model: nn.Module, eps: float = EPS) -> set[str]:
    return {check.name for check in examine(model, IMAGES, LABELS, eps=eps, seed=0) if not check.passed}


def failed_on(model: nn.Module, rows: Tensor) -> set[str]:
    return {check.name for check in examine(model, IMAGES[rows], LABELS[rows], eps=EPS, seed=0) if not check.passed}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("eps", [0.0, 8 / 255, EPS, 0.5])
def test_an_honest_network_is_not_flagged(eps: float, seed: int) -> None:
    checks = examine(HONEST, IMAGES, LABELS, eps=eps, seed=seed)
    assert [check for check in checks if not check.passed] == []
    names = ["clean_accuracy", "normalisation", "logits", "repeatable", "batch", "gradients", "derivative"]
    within = ["steps", "one_step", "random_search"] if eps else []
    assert [check.name for check in checks] == [*names, *within, "unbounded"]


@pytest.mark.parametrize("eps", [8 / 255, EPS])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Before(lambda images: (images * 4).round() / 4), {"gradients", "steps"}),
        (After(lambda logits: 1000 * logits), {"gradients", "steps"}),
        (Before(lambda images: images + 0.1 * torch.randn_like(images)), {"repeatable"}),
        (Before(lambda images: images + 0.02 * torch.sin(2000 * images)), {"unbounded"}),
        (Borrowed(mirrored), {"derivative"}),
        (Borrowed(waves), {"derivative"}),
        (After(lambda logits: logits.detach()), {"gradients"}),
        (After(lambda logits: logits * torch.where(logits > 0, 1.0, torch.nan)), {"clean_accuracy"}),
    ],
    ids=["quantised", "saturated", "noise", "shattered", "mirrored", "waves", "detached", "not finite"],
)
def test_masked_gradients_are_flagged(model: nn.Module, expected: set[str], eps: float) -> None:
    torch.manual_seed(0)
    assert failed(model, eps) >= expected


def test_gradients_that_are_not_finite() -> None:
    """The square root's gradient is infinite where the images are black, and 0 times infinity is not a number."""
    assert failed(Before(lambda images: images + 0 * (images - images).sqrt())) == {"gradients"}


def test_normalisation_outside_is_noticed() -> None:
    mean, deviation = IMAGES.mean(), IMAGES.std()
    assert "normalisation" in failed(Before(lambda images: images * deviation + mean))


def test_a_model_that_refuses_what_is_not_an_image_is_fine() -> None:
    def strict(images: Tensor) -> Tensor:
        assert images.min() >= 0
        assert images.max() <= 1
        return images

    assert failed(Before(strict)) == set()


def test_a_network_that_normalises_is_not_told_to() -> None:
    """Hardly trained, it may win by images that are normalised once more; what it does itself is what counts."""
    mean, deviation = IMAGES.mean(dim=(0, 2, 3), keepdim=True), IMAGES.std(dim=(0, 2, 3), keepdim=True)

    class Normalisation(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images - 0.5) / 0.25

    # HONEST was trained on images in [0, 1]: a network that normalises twice, and undoes both, is HONEST.
    undone = Before(lambda images: images * deviation + mean)
    inside = nn.Sequential(Normalisation(), undone)
    assert failed(undone) & {"normalisation"}
    assert not failed(inside) & {"normalisation"}
    assert normalises(inside, IMAGES)
    assert normalises(nn.Sequential(nn.BatchNorm2d(1, eps=0.1), undone).eval(), IMAGES)
    for other in (nn.Identity(), nn.Flatten(), nn.Conv2d(1, 1, 3, padding=1), nn.Sigmoid(), nn.ReLU()):
        assert not normalises(nn.Sequential(other, nn.Flatten(), nn.Linear(64, 10)), IMAGES)
    assert not any(module._forward_hooks for module in inside.modules())


def test_probabilities_are_noticed_and_their_logarithms_are_logits() -> None:
    checks = examine(After(lambda x: x.softmax(1)), IMAGES, LABELS, eps=EPS, seed=0)
    (check,) = (check for check in checks if check.name == "logits")
    assert not check.passed
    assert "softmax" in check.finding
    assert "logits" not in failed(After(lambda x: x.log_softmax(1)))
    assert "logits" not in failed(After(torch.sigmoid))


@pytest.mark.parametrize("count", [1, 2, 8])
def test_few_images_accuse_nobody(count: int) -> None:
    for start in range(0, 4 * count, count):
        rows = torch.zeros(len(LABELS), dtype=torch.bool)
        rows[start : start + count] = True
        assert failed_on(HONEST, rows) == set()


def test_one_of_eight_images_is_no_sign_of_normalisation() -> None:
    """It is a share of 12.5%; of 64 images the same share is one."""
    mean, deviation = IMAGES.mean(), IMAGES.std()

    class Wins(nn.Module):
        """Wrong about every eighth image, but not where images are normalised already."""

        def forward(self, images: Tensor) -> Tensor:
            if images.min() < 0:
                return HONEST(images * deviation + mean)
            logits: Tensor = HONEST(images)
            return torch.where((torch.arange(len(images)) % 8 == 0)[:, None], -logits, logits)

    few = torch.arange(len(LABELS)) < 8
    assert "normalisation" not in failed_on(Wins(), few)
    assert "normalisation" in failed(Wins())


def test_a_constant_model_is_told_at_once() -> None:
    """AutoAttack would make 8,000 passes for each batch; the checks and the confirmations are a hundred."""
    passes = [0]

    def constant(logits: Tensor) -> Tensor:
        passes[0] += 1
        return logits * 1e-3 + F.one_hot(torch.tensor(3), 10)

    labels = torch.where(torch.arange(len(LABELS)) % 2 == 0, 3, LABELS)
    evaluation = evaluate(After(constant), IMAGES, labels, ("fgsm", "cw", "autoattack", "corruptions"), eps=EPS)
    (check,) = (check for check in evaluation.sanity if check.name == "constant")
    assert not check.passed
    assert "says class 3 to all 64 images" in check.finding
    assert {row.accuracy for row in evaluation.rows} == {float((labels == 3).double().mean())}
    assert passes[0] < 400
    assert "constant" not in failed(HONEST)
    # One class for every image that it is given, and yet not for every image.
    assert "constant" not in failed_on(HONEST, LABELS == 3)


def test_chance_is_noticed() -> None:
    """A network that always says the same, and one that was trained for other labels."""
    assert "clean_accuracy" in failed(After(lambda logits: logits * 0 + torch.arange(10.0)))
    assert "clean_accuracy" in failed(After(lambda logits: logits.roll(1, dims=1)))


def test_a_model_frozen_in_training_mode_is_noticed() -> None:
    assert "batch" in failed(Before(lambda images: images - images.mean(dim=0) + IMAGES.mean(dim=0)))


def test_verdicts_come_with_an_evaluation() -> None:
    assert evaluate(HONEST, IMAGES, LABELS, ()).sanity == ()
    evaluation = evaluate(HONEST, IMAGES, LABELS, ("fgsm",), eps=EPS)
    assert all(check.passed for check in evaluation.sanity)
    bounds = evaluation.sanity[-1]
    assert bounds.finding.startswith("the largest change of a pixel is 0.1,")
    quantised = Before(lambda images: (images * 4).round() / 4)
    assert not all(check.passed for check in evaluate(quantised, IMAGES, LABELS, ("fgsm",), eps=EPS).sanity)


class Interrupted(nn.Module):
    """A network in training mode in parts, at whose nth pass, or that of a copy, the user presses Ctrl-C."""

    left = 0

    def __init__(self, passes: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5))
        self.inner[0].eval()
        self.inner[2].weight.requires_grad_(False)
        self.inner[2].bias.grad = torch.ones(10)
        Interrupted.left = passes

    def forward(self, images: Tensor) -> Tensor:
        Interrupted.left -= 1
        if not Interrupted.left:
            raise KeyboardInterrupt
        logits: Tensor = self.inner(images)
        return logits


@pytest.mark.parametrize("passes", [1, 2, 3, 20, 60, 100, 130, 200])
def test_an_interrupted_evaluation_leaves_the_model_as_it_was(passes: int) -> None:
    model = Interrupted(passes)
    labels = model.inner.eval()(IMAGES).argmax(dim=1)
    model.inner.train()[0].eval()

    def state() -> list[object]:
        tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters() if p.grad is not None)]
        flags = [module.training for module in model.modules()] + [p.requires_grad for p in model.parameters()]
        hooks = [len(module._forward_hooks) for module in model.modules()]
        return [*(tensor.tolist() for tensor in tensors), flags, hooks]

    before = state()
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, IMAGES, labels, ("fgsm", "pgd20", "cw"), eps=EPS)
    assert state() == before
