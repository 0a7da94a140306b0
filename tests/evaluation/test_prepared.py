"""Attacks see a prepared view; what they achieve on it counts only if the model itself agrees."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rnas.attacks.guards import Model
from rnas.evaluation import evaluate, prepared
from rnas.evaluation.prepared import PreparedModel
from rnas.networks import zoo


class Counting(nn.Module):
    """A network that counts its passes; its copies count for themselves."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)
        )
        nn.init.uniform_(next(self.layers[1].parameters()))
        self.passes = 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        logits: Tensor = self.layers(images)
        return logits


class Rounded(nn.Module):
    """Logits (0, x - at), where x is the mean of an image."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1).mean(dim=1)
        return torch.stack([0 * x, x - self.at], dim=1)


class Random(nn.Module):
    """Logits with noise."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :4] + torch.rand(len(images), 4)


class Single(nn.Module):
    """What cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1)) * 2

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :4] * self.weight


IMAGES = torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
def test_the_view_computes_the_same_without_gradients_of_weights(name: str) -> None:
    torch.manual_seed(0)
    network = zoo.build(name, 5, in_channels=1, channels=4).eval()
    images = torch.rand(4, 1, 8, 8)
    attacked = PreparedModel(network, images.split(3))
    assert attacked.seen == "prepared"
    torch.testing.assert_close(attacked.view(images), network(images), rtol=1e-4, atol=1e-4)
    assert isinstance(attacked.view, nn.Module)
    assert not any(parameter.requires_grad for parameter in attacked.view.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    kernels = [tensor for tensor in attacked.view.parameters() if tensor.dim() == 4]
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in kernels)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Random(), "differ by more than 0.0001"),
        (Single(), "no copy"),
        (lambda x: x.flatten(1), "not a torch.nn.Module"),
    ],
)
def test_a_model_without_a_faithful_copy_is_attacked_itself(model: nn.Module, reason: str) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        attacked = PreparedModel(model, [IMAGES])
    assert attacked.view is model
    assert attacked.seen.startswith("model: ")
    assert reason in attacked.seen


def test_attacks_run_on_the_view_and_the_results_say_so() -> None:
    network = Counting().eval()
    labels = network(IMAGES).argmax(dim=1)
    network.passes = 0
    evaluation = evaluate(network, IMAGES, labels, ["pgd20"], eps=0.1)
    passes = network.passes
    assert evaluation["pgd20"].settings["attacked"] == "prepared"
    assert "view" in {check.name for check in evaluation.sanity}
    assert not evaluation.outcomes.denied.any()
    network.passes = 0
    evaluate(network, IMAGES, labels, ["pgd20"], eps=0.1, seed=1)
    assert network.passes == passes
    network.passes = 0
    evaluate(network, IMAGES, labels, ["pgd20", "cw"], eps=0.1)
    # To confirm the 100 steps of C&W takes one pass of the model for its result and one for what the view broke.
    assert network.passes <= passes + 2


def test_what_the_model_denies_is_attacked_again_on_the_model() -> None:
    """The view is broken from a mean of 0.5 on, the model from 0.6 on; an attack stops at the first success."""
    model, view = Rounded(0.6), Rounded(0.5)
    attacked = PreparedModel(model, [])
    attacked.view = view
    images = torch.tensor([0.1, 0.45, 0.2]).view(3, 1, 1, 1)
    reach = torch.tensor([0.1, 0.3, 0.35]).view(3, 1, 1, 1)

    def stops_early(model: Model, rows: Tensor) -> Tensor:
        candidates = images[rows]
        for _ in range(100):
            robust = (model(candidates).argmax(dim=1) == 0).view(-1, 1, 1, 1)
            candidates = (candidates + 0.01 * robust).minimum((images + reach)[rows])
        return candidates

    with torch.no_grad():
        adversarial, denied = attacked.attack(stops_early, torch.zeros(3, dtype=torch.int64))
        broken = model(adversarial).argmax(dim=1) != 0
    # The first is out of reach for both, the second in reach for both, the third for the view only.
    assert denied.tolist() == [False, True, True]
    assert broken.tolist() == [False, True, False]


def test_denials_are_counted_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Shifted:
        def __init__(self, network: nn.Module) -> None:
            """A view of another model."""

        def refresh(self) -> nn.Module:
            return Rounded(0.5)

    monkeypatch.setattr(prepared, "FoldedNetwork", Shifted)
    monkeypatch.setattr(prepared, "TOLERANCE", 1.0)
    images = torch.tensor([0.1, 0.45, 0.55]).view(3, 1, 1, 1)
    for _ in range(2):
        evaluation = evaluate(
            Rounded(0.6), images, torch.zeros(3, dtype=torch.int64), ["fgsm"], eps=0.1, folder=tmp_path
        )
        # The view is broken for the last two, the model for the last one.
        assert evaluation.outcomes.of("fgsm").denied.tolist() == [False, True, False]
        assert evaluation.outcomes.of("fgsm").broken.tolist() == [False, False, True]
        view = next(check for check in evaluation.sanity if check.name == "view")
        assert not view.passed
        assert view.finding.startswith("for 1 of 3 outcomes")
