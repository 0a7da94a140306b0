"""Attacks against what is known: on a linear model the best perturbation has a closed form."""

import itertools

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import apgd, carlini_wagner_l2, fgsm, pgd_l2, pgd_linf, square
from rnas.attacks.margins import logit_margin


@pytest.fixture
def linear() -> nn.Sequential:
    """Two classes; the margin of class 0 is w . x + b, w = weight[0] - weight[1]."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()


def difference(linear: nn.Sequential) -> Tensor:
    weight = linear[1].weight
    assert isinstance(weight, Tensor)
    return (weight[0] - weight[1]).detach()


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network that knows the digits, and 64 of them."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    adam = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40):
        adam.zero_grad()
        F.cross_entropy(network(images[64:]), labels[64:]).backward()
        adam.step()
    return network.eval(), images[:64], labels[:64]


def best_decrease(images: Tensor, signed: Tensor, eps: float) -> Tensor:
    """The largest decrease of signed . x in the eps-box within [0, 1]: every pixel goes as far as it may."""
    flat = images.flatten(1)
    down, up = flat - (flat - eps).clamp(min=0), (flat + eps).clamp(max=1) - flat
    return (signed.clamp(min=0) * down + (-signed).clamp(min=0) * up).sum(dim=1)


@pytest.mark.parametrize("eps", [0.01, 0.3])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "pgd margin", "pgd restarts"])
def test_linear_optimum(linear: nn.Sequential, attack: str, eps: float) -> None:
    images = torch.rand(8, 3, 2, 2, dtype=torch.float64)
    labels = torch.arange(8) % 2
    if attack == "fgsm":
        adversarial = fgsm(linear, images, labels, eps=eps)
    else:
        adversarial = pgd_linf(
            linear,
            images,
            labels,
            eps=eps,
            step_size=eps / 4,
            steps=9,
            loss="margin" if attack == "pgd margin" else "cross_entropy",
            restarts=3 if attack == "pgd restarts" else 1,
        )
    signed = difference(linear) * (1 - 2 * labels.unsqueeze(1))
    decrease = logit_margin(linear(images), labels) - logit_margin(linear(adversarial), labels)
    torch.testing.assert_close(decrease, best_decrease(images, signed, eps))


@pytest.mark.parametrize("eps", [0.05, 0.3])
def test_linear_optimum_in_l2(linear: nn.Sequential, eps: float) -> None:
    """Away from the box it is eps along the difference of the weights; at the box PGD stays in both."""
    images, labels = 0.45 + 0.1 * torch.rand(8, 3, 2, 2, dtype=torch.float64), torch.arange(8) % 2
    adversarial = pgd_l2(linear, images, labels, eps=eps, step_size=eps / 4, steps=9)
    decrease = logit_margin(linear(images), labels) - logit_margin(linear(adversarial), labels)
    torch.testing.assert_close(decrease.detach(), torch.full_like(decrease, eps * float(difference(linear).norm())))

    images = torch.rand(8, 3, 2, 2, dtype=torch.float64).round()
    adversarial = pgd_l2(linear, images, labels, eps=eps, step_size=eps / 4, steps=200)
    change = (adversarial - images).flatten(1)
    assert 0 <= adversarial.min() <= adversarial.max() <= 1
    assert (change.norm(dim=1) <= eps + 1e-12).all()
    signed = difference(linear) * (1 - 2 * labels.unsqueeze(1))
    free = torch.where(images.flatten(1) > 0, signed.clamp(min=0), signed.clamp(max=0))
    torch.testing.assert_close(change, -eps * free / free.norm(dim=1, keepdim=True), rtol=1e-3, atol=1e-4)


def test_linear_optimum_is_the_norm_away_from_the_box(linear: nn.Sequential) -> None:
    images, labels = torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    change = logit_margin(linear(images), labels) - logit_margin(linear(fgsm(linear, images, labels, eps=0.1)), labels)
    torch.testing.assert_close(change, 0.1 * difference(linear).abs().sum().unsqueeze(0))


def test_margin_climbs_where_cross_entropy_saturates(linear: nn.Sequential) -> None:
    """With logits of the order 1e4 the softmax is exactly 1, and the cross-entropy has no gradient."""
    images = torch.rand(8, 3, 2, 2, dtype=torch.float64)
    saturated = nn.Sequential(linear, Scaled(1e6))
    labels = linear(images).argmax(dim=1)
    settings = {"eps": 0.05, "step_size": 0.05, "steps": 1, "random_start": False}
    assert torch.equal(pgd_linf(saturated, images, labels, **settings), images)  # type: ignore[arg-type]
    moved = pgd_linf(saturated, images, labels, loss="margin", **settings)  # type: ignore[arg-type]
    torch.testing.assert_close(moved, fgsm(linear, images, labels, eps=0.05))


class Scaled(nn.Module):
    """Multiplies logits."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return self.factor * logits


def test_carlini_wagner_reaches_the_hyperplane(linear: nn.Sequential) -> None:
    """The distance of x to the hyperplane is margin / |w|_2, and no successful image is nearer."""
    torch.manual_seed(1)
    images = 0.4 + 0.2 * torch.rand(8, 3, 2, 2, dtype=torch.float64)
    labels = linear(images).argmax(dim=1)
    distance = logit_margin(linear(images), labels) / difference(linear).norm()
    assert distance.max() < 0.3  # away from the box, so that the box does not matter
    adversarial = carlini_wagner_l2(linear, images, labels, c=2.0, steps=2000, learning_rate=0.001)
    found = (adversarial - images).flatten(1).norm(dim=1)
    assert (linear(adversarial).argmax(dim=1) != labels).all()
    assert (found >= distance - 1e-9).all()
    assert (found <= 1.02 * distance + 1e-3).all()


def test_carlini_wagner_gives_up_where_c_says_so(linear: nn.Sequential) -> None:
    """The minimum of |d|^2 + c max(m - w . d, 0) is at d = c w / 2, short of the hyperplane, iff c < 2 m / |w|^2."""
    torch.manual_seed(2)
    images = 0.4 + 0.2 * torch.rand(8, 3, 2, 2, dtype=torch.float64)
    labels = linear(images).argmax(dim=1)
    margin = logit_margin(linear(images), labels)
    threshold = (2 * margin / difference(linear).square().sum()).detach()
    c = float(threshold.median())
    adversarial = carlini_wagner_l2(linear, images, labels, c=c, steps=1000, learning_rate=0.001)
    fooled = linear(adversarial).argmax(dim=1) != labels
    assert not fooled[threshold > 1.1 * c].any()
    assert fooled[threshold < 0.9 * c].all()
    assert torch.equal(adversarial[~fooled], images[~fooled])


def test_carlini_wagner_confidence_and_misclassified(linear: nn.Sequential) -> None:
    images = 0.4 + 0.2 * torch.rand(6, 3, 2, 2, dtype=torch.float64)
    labels = linear(images).argmax(dim=1)
    labels[:2] = 1 - labels[:2]
    adversarial = carlini_wagner_l2(linear, images, labels, c=5, steps=500, confidence=0.2)
    assert torch.equal(adversarial[:2], images[:2])
    assert (logit_margin(linear(adversarial), labels)[2:] <= -0.2 + 1e-9).all()


def test_carlini_wagner_search_finds_each_images_own_c(linear: nn.Sequential) -> None:
    """Begun where c breaks nothing, it ends just beyond the hyperplane for every image; failures are clean images."""
    torch.manual_seed(2)
    images = 0.4 + 0.2 * torch.rand(8, 3, 2, 2, dtype=torch.float64)
    labels = linear(images).argmax(dim=1)
    labels[0] = 1 - labels[0]
    distance = logit_margin(linear(images), labels) / difference(linear).norm()

    def found(binary_search_steps: int, c: float) -> Tensor:
        settings = {"steps": 200, "learning_rate": 0.005, "binary_search_steps": binary_search_steps}
        adversarial = carlini_wagner_l2(linear, images, labels, c=c, **settings)  # type: ignore[arg-type]
        broken = linear(adversarial).argmax(dim=1) != labels
        # A failure is the clean image, and so is what needed no attack.
        assert torch.equal(adversarial[~broken], images[~broken])
        assert torch.equal(adversarial[0], images[0])
        assert ((adversarial - images).flatten(1).norm(dim=1) >= distance - 1e-9)[broken].all()
        return torch.where(broken, (adversarial - images).flatten(1).norm(dim=1), torch.inf)[1:]

    assert found(1, 1e-3).isinf().all()
    searched = found(9, 1e-3)
    torch.testing.assert_close(searched, distance[1:], rtol=2e-3, atol=1e-5)
    # More values of c never lose what fewer found.
    assert (searched <= found(5, 1e-3)).all()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_targeted_apgd_breaks_what_can_be_broken(norm: str) -> None:
    """Of a linear model: the images for which some other class can be reached within the ball, and no others."""
    torch.manual_seed(0)
    layer = nn.Linear(25, 5, dtype=torch.float64)
    weight = layer.weight.detach()
    with torch.no_grad():
        layer.bias.copy_(-0.5 * weight.sum(dim=1))  # The classes meet in grey.
    linear = nn.Sequential(nn.Flatten(), layer)
    images = 0.3 + 0.4 * torch.rand(32, 1, 5, 5, dtype=torch.float64)
    logits = linear(images).detach()
    labels, eps = logits.argmax(dim=1), {"Linf": 0.006, "L2": 0.04}[norm]
    towards = weight[labels].unsqueeze(1) - weight  # (images, classes, pixels)
    reach = eps * (towards.abs().sum(dim=2) if norm == "Linf" else towards.norm(dim=2))
    left = logits.gather(1, labels.unsqueeze(1)) - logits - reach
    smallest = left.scatter(1, labels.unsqueeze(1), torch.inf).amin(dim=1)
    # Away from the box, and not so close to the limit that rounding decides.
    assert eps < 0.3
    assert smallest.abs().min() > 1e-4
    adversarial = apgd(linear, images, labels, eps=eps, norm=norm, batch_size=10)
    broken = linear(adversarial).argmax(dim=1) != labels
    assert torch.equal(broken, smallest < 0)
    assert 4 < int(broken.sum()) < 28
    change = (adversarial - images).flatten(1)
    assert (change.abs().amax(dim=1) if norm == "Linf" else change.norm(dim=1)).max() <= eps + 1e-6
    # Square sees no gradient and may miss some; what it finds has to be there.
    black_box = linear(square(linear, images, labels, eps=eps, norm=norm, queries=300)).argmax(dim=1) != labels
    assert (black_box <= broken).all()
    assert black_box.any()


def test_more_steps_do_no_harm(trained: tuple[nn.Module, Tensor, Tensor]) -> None:
    """The mean loss does not fall as PGD goes on, nor below that of FGSM's single step."""
    network, images, labels = trained

    def loss(batch: Tensor) -> float:
        return float(F.cross_entropy(network(batch), labels).detach())

    losses = [loss(fgsm(network, images, labels, eps=0.1))]
    for steps in (5, 20, 80):
        adversarial = pgd_linf(
            network, images, labels, eps=0.1, step_size=0.02, steps=steps, generator=torch.Generator().manual_seed(0)
        )
        losses.append(loss(adversarial))
    assert losses[0] > loss(images)
    assert losses[-1] >= losses[0]
    assert all(later >= earlier * 0.999 for earlier, later in itertools.pairwise(losses[1:]))


def test_restarts_keep_the_smallest_margin(trained: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = trained

    def margin(restarts: int) -> Tensor:
        adversarial = pgd_linf(
            network,
            images,
            labels,
            eps=0.2,
            step_size=0.1,
            steps=2,
            restarts=restarts,
            generator=torch.Generator().manual_seed(0),
        )
        return logit_margin(network(adversarial), labels).detach()

    single, triple = margin(1), margin(3)
    assert (triple <= single + 1e-6).all()
    assert (triple < single - 1e-6).any()
