"""APGD with early exit: the verdicts of the first two attacks of AutoAttack, for fewer passes."""

import pyautoattack
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import apgd, pgd_linf

EPS = {"Linf": 0.1, "L2": 0.6}
#: For both; in L2 half of the published ones leave an image at the very limit.
STEPS = {"Linf": 50, "L2": 100}


@pytest.fixture(scope="module")
def robust() -> tuple[nn.Module, Tensor, Tensor]:
    """A small convolutional network after a few seconds of adversarial training, and 64 digits it has not seen."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 10),
    )
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(6):
        for batch in (64 + torch.randperm(len(images) - 64)).split(128):
            adversarial = pgd_linf(network, images[batch], labels[batch], eps=0.1, step_size=0.05, steps=3)
            adam.zero_grad()
            F.cross_entropy(network(adversarial), labels[batch]).backward()
            adam.step()
    return network.eval(), images[:64], labels[:64]


class Counting(nn.Module):
    """Counts the images that pass."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.images, self.largest = inner, 0, 0

    def forward(self, images: Tensor) -> Tensor:
        self.images, self.largest = self.images + len(images), max(self.largest, len(images))
        logits: Tensor = self.inner(images)
        return logits


def reference(network: nn.Module, images: Tensor, labels: Tensor, norm: str) -> Tensor:
    attack = pyautoattack.AutoAttack(
        network, norm=norm, eps=EPS[norm], seed=3, version="custom", attacks=["apgd-ce", "apgd-t"]
    )
    attack.apgd.n_restarts = 1  # as in the standard version
    attack.apgd.n_iter = attack.apgd_targeted.n_iter = STEPS[norm]
    with torch.random.fork_rng():
        adversarial, _ = attack.run_standard_evaluation(images, labels)
    assert isinstance(adversarial, Tensor)
    return network(adversarial).argmax(dim=1) == labels


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_verdict_of_autoattack_for_fewer_passes(robust: tuple[nn.Module, Tensor, Tensor], norm: str) -> None:
    network, images, labels = robust
    theirs, ours = Counting(network), Counting(network)
    expected = reference(theirs, images, labels, norm)
    adversarial = apgd(ours, images, labels, eps=EPS[norm], norm=norm, steps=STEPS[norm], seed=3)
    withstood = network(adversarial).argmax(dim=1) == labels
    assert torch.equal(withstood, expected)
    assert 8 < int(withstood.sum()) < 56
    assert torch.equal(adversarial[withstood], images[withstood])
    change = (adversarial - images).flatten(1)
    assert (change.abs().amax(dim=1) if norm == "Linf" else change.norm(dim=1)).max() <= EPS[norm] + 1e-6
    # What is broken half way through a run leaves at once.
    assert ours.images < theirs.images


def test_batches_are_filled_up_and_change_no_verdict(robust: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = robust[0], robust[1][:24], robust[2][:24]
    counting = Counting(network)
    whole = network(apgd(network, images, labels, eps=0.1, steps=40)).argmax(dim=1) == labels
    parts = network(apgd(counting, images, labels, eps=0.1, steps=40, batch_size=10)).argmax(dim=1) == labels
    # Starts are drawn anew, so that an image at the very limit may fall either way.
    assert int((whole != parts).sum()) <= 1
    assert counting.largest == 10


def test_runs_end_when_nothing_is_left(robust: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = robust
    counting = Counting(network)
    assert (network(apgd(counting, images, labels, eps=1.0)).argmax(dim=1) != labels).all()
    assert counting.images < 64 * 60
    counting.images = 0
    wrong = (network(images).argmax(dim=1) + 1) % 10
    assert torch.equal(apgd(counting, images, wrong, eps=1.0), images)
    assert counting.images == 64


def test_more_steps_break_no_less_and_the_seed_decides(robust: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = robust
    broken = [
        int((network(apgd(network, images, labels, eps=0.1, steps=steps)).argmax(dim=1) != labels).sum())
        for steps in (2, 50)
    ]
    assert broken[0] <= broken[1]
    first, again, other = (apgd(network, images, labels, eps=0.1, steps=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_too_few_classes_and_vanished_gradients() -> None:
    images, labels = torch.rand(2, 1, 3, 3), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="targeted APGD needs at least 4 classes, got 3"):
        apgd(nn.Sequential(nn.Flatten(), nn.Linear(9, 3)), images, labels, eps=0.1)
    constant = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Hardtanh(5.0, 6.0))
    with pytest.warns(RuntimeWarning, match="APGD: .*points with zero gradient") as caught:
        assert torch.equal(apgd(constant, images, labels, eps=0.1, steps=3), images)
    assert all(warning.filename == __file__ for warning in caught)
