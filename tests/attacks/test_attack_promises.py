"""What every attack promises: bounds kept, the model untouched, the same result from the same seed, clear errors."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnas.attacks import apgd, auto_attack, carlini_wagner_l2, deepfool, fgsm, pgd_kl, pgd_l2, pgd_linf, square

Attack = Callable[..., Tensor]
ATTACKS: dict[str, Attack] = {
    "fgsm": partial(fgsm, eps=0.1),
    "pgd_linf": partial(pgd_linf, eps=0.1, step_size=0.03, steps=4),
    "pgd_l2": partial(pgd_l2, eps=0.1, step_size=0.03, steps=4),
    "pgd_kl": partial(pgd_kl, eps=0.1, step_size=0.03, steps=4),
    "carlini_wagner_l2": partial(carlini_wagner_l2, steps=5),
    "carlini_wagner_l2 search": partial(carlini_wagner_l2, steps=3, binary_search_steps=3),
    "deepfool": partial(deepfool, steps=5),
    "square": partial(square, eps=0.1, queries=20),
    "apgd": partial(apgd, eps=0.1, steps=5, batch_size=4),
    # At a bound like this the first of its attacks breaks every image; tests/attacks/test_auto_attack.py goes further.
    "auto_attack": partial(auto_attack, eps=0.9),
}
every_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())


def network(classes: int = 4) -> nn.Sequential:
    """A network with batch norm, dropout, and modules in different modes."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, classes)
    )
    model.train()
    model[1].eval()
    return model


class Raising(nn.Module):
    """Raises at one of its calls."""

    def __init__(self, inner: nn.Module, error: type[BaseException], at: int) -> None:
        super().__init__()
        self.inner, self.error, self.left = inner, error, at

    def forward(self, images: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise self.error("stop")
        logits: Tensor = self.inner(images)
        return logits


class Mapped(nn.Module):
    """A function of the pixels as a model."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Any:
        return self.function(images.flatten(1))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels(images: Tensor) -> Tensor:
    labels: Tensor = network().eval()(images).argmax(dim=1)
    return labels


def state(model: nn.Module) -> tuple[Any, ...]:
    """All of a model that an attack might disturb, and the global generator."""
    return (
        {name: tensor.clone() for name, tensor in model.state_dict().items()},
        [module.training for module in model.modules()],
        [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()],
        [parameter.requires_grad for parameter in model.parameters()],
        torch.get_rng_state(),
    )


def assert_same_state(before: tuple[Any, ...], after: tuple[Any, ...], *, generator: bool = True) -> None:
    torch.testing.assert_close(before[0], after[0], rtol=0, atol=0)
    assert before[1] == after[1]
    for old, new in zip(before[2], after[2], strict=True):
        assert (old is None) == (new is None)
        assert old is None or torch.equal(old, new)
    assert before[3] == after[3]
    assert not generator or torch.equal(before[4], after[4])


@pytest.fixture(params=["no gradients yet", "gradients", "frozen"])
def prepared(request: pytest.FixtureRequest, images: Tensor) -> nn.Module:
    model = network()
    if request.param == "gradients":
        copied = copy.deepcopy(model)
        copied(images).sum().backward()
        for parameter, other in zip(model.parameters(), copied.parameters(), strict=True):
            parameter.grad = other.grad
    model.requires_grad_(request.param != "frozen")
    return model


RANDOM = (ATTACKS["pgd_linf"], ATTACKS["pgd_kl"])
"""Those that draw from the global generator unless they are given one."""


@every_attack
def test_model_is_untouched(attack: Attack, prepared: nn.Module, images: Tensor, labels: Tensor) -> None:
    if attack in RANDOM:
        attack = partial(attack, generator=torch.Generator().manual_seed(0))
    before, original = state(prepared), images.clone()
    adversarial = attack(prepared, images, labels)
    assert_same_state(before, state(prepared))
    assert torch.equal(images, original)
    assert not images.requires_grad
    assert adversarial.grad_fn is None
    assert not adversarial.requires_grad


@every_attack
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [1, 3])
def test_model_is_untouched_after_an_error(
    attack: Attack, images: Tensor, labels: Tensor, error: type[BaseException], at: int
) -> None:
    if attack is ATTACKS["fgsm"]:
        at = 1
    model = Raising(network(), error, at)
    before = state(model)
    with pytest.raises(error, match="stop"):
        attack(model, images, labels)
    assert_same_state(before, state(model), generator=attack not in RANDOM)


@every_attack
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_caller_context_does_not_matter(
    attack: Attack, context: Callable[[], Any], images: Tensor, labels: Tensor
) -> None:
    model = network()
    torch.manual_seed(3)
    expected = attack(model, images, labels)
    torch.manual_seed(3)
    with context():
        inside = attack(model, images.clone(), labels.clone())  # under inference_mode, clones are inference tensors
    assert torch.equal(expected, inside)


@every_attack
def test_a_function_will_do(attack: Attack, images: Tensor, labels: Tensor) -> None:
    model = network().eval()
    torch.manual_seed(3)
    expected = attack(model, images, labels)
    torch.manual_seed(3)
    assert torch.equal(attack(lambda batch: model(batch), images, labels), expected)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("attack", [pgd_linf, pgd_kl])
def test_generator_decides(attack: Attack, images: Tensor, labels: Tensor) -> None:
    def run(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return attack(network(), images, labels, eps=0.1, step_size=0.01, steps=2, generator=generator)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_random_start_is_uniform_in_the_ball() -> None:
    """A step of length 0 leaves the start: mean 0, variance eps^2 / 3, nowhere beyond eps."""
    images, labels = torch.full((64, 1, 16, 16), 0.5), torch.zeros(64, dtype=torch.int64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
    generator = torch.Generator().manual_seed(0)
    start = pgd_linf(model, images, labels, eps=0.3, step_size=0, steps=1, generator=generator) - images
    assert start.abs().max() <= 0.3 + 1e-6
    assert abs(float(start.mean())) < 4 * 0.3 / (3 * 64 * 256) ** 0.5
    assert float(start.var()) == pytest.approx(0.03, rel=0.03)


@settings(max_examples=30, deadline=None)
@given(
    eps=st.floats(0, 2),
    step_size=st.floats(0, 2),
    steps=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_perturbation_stays_in_ball_and_box(
    eps: float, step_size: float, steps: int, seed: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 1, 4, 4, generator=generator, dtype=dtype).round(decimals=1)  # some pixels are 0, some 1
    labels = torch.randint(4, (3,), generator=generator)
    model = network().to(dtype)
    for attack in (
        partial(fgsm, eps=eps),
        partial(pgd_linf, eps=eps, step_size=step_size, steps=steps, generator=generator),
    ):
        adversarial = attack(model, images, labels)
        assert adversarial.shape == images.shape
        assert adversarial.dtype == dtype
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1
        assert (adversarial - images).abs().max() <= eps + 1e-6
    adversarial = carlini_wagner_l2(model, images, labels, c=5, steps=steps, learning_rate=0.5)
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1


@pytest.mark.parametrize(
    "attack",
    [fgsm, auto_attack, apgd, square, partial(pgd_linf, step_size=0.1, steps=3)],
    ids=["fgsm", "auto_attack", "apgd", "square", "pgd_linf"],
)
def test_eps_of_zero_is_the_identity(attack: Attack, images: Tensor, labels: Tensor) -> None:
    assert torch.equal(attack(network(), images, labels, eps=0), images)


@every_attack
def test_malformed_inputs_are_one_line(attack: Attack, images: Tensor, labels: Tensor) -> None:
    model = network()
    broken_image = images.clone()
    broken_image[0, 0, 0, 0] = float("nan")
    cases: list[tuple[Any, Any, Any, str]] = [
        (model, images + 0.5, labels, r"expected finite images in \[0, 1\], got values from"),
        (model, images - 0.5, labels, r"expected finite images in \[0, 1\], got values from"),
        (model, broken_image, labels, r"expected finite images in \[0, 1\], got values from nan"),
        (model, images[0], labels, r"expected floating-point images \(N, C, H, W\), got torch.float32 \(1, 4, 4\)"),
        (model, (255 * images).byte(), labels, "expected floating-point images .* got torch.uint8"),
        (model, images[:0], labels[:0], r"expected at least one image, got shape \(0, 1, 4, 4\)"),
        (model, images, labels[:5], r"expected int64 labels of shape \(6,\), got torch.int64 of shape \(5,\)"),
        (model, images, labels.float(), "expected int64 labels"),
        (model, images, labels + 4, "expected labels from 0 to 3, got labels from"),
        (model, images, labels - 4, "expected labels from 0 to 3, got labels from"),
        (network().to("meta"), images, labels, "the model is on meta, the images are on cpu: move one of them"),
        (Mapped(lambda pixels: pixels[:, :4] * float("nan")), images, labels, "the model's logits are not finite"),
        (Mapped(lambda pixels: (pixels,)), images, labels, r"expected logits of shape \([46], classes\) .* got tuple"),
        (
            Mapped(lambda pixels: pixels[:3]),
            images,
            labels,
            r"expected logits of shape \([46], classes\) .* got \(3, 16\)",
        ),
        ("model", images, labels, "expected a model that can be called, got str"),
    ]
    if attack is not ATTACKS["square"]:
        flat = Mapped(lambda pixels: torch.eye(4)[labels[: len(pixels)]])
        detached = Mapped(lambda pixels: (4 * torch.eye(4)[labels[: len(pixels)]] + pixels[:, :4]).detach())
        cases += [(model, images, labels, "the model's logits have no gradient") for model in (flat, detached)]
    for given_model, given_images, given_labels, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            attack(given_model, given_images, given_labels)
        assert "\n" not in str(caught.value)


def test_rounding_outside_the_box_is_forgiven(images: Tensor, labels: Tensor) -> None:
    adversarial = fgsm(network(), (images / images.max()) * (1 + 5e-7), labels, eps=0.1)
    assert adversarial.max() <= 1


@every_attack
def test_gradients_that_are_not_finite(attack: Attack) -> None:
    """The square root of 0 is 0, but its derivative there is infinite, times 0 not a number."""
    if attack is ATTACKS["square"]:
        return  # It asks for none.
    model = Mapped(lambda pixels: (pixels - pixels.detach()).abs().sqrt() + pixels)
    images = torch.rand(2, 1, 2, 2)
    with pytest.raises(ValueError, match="gradient of the model's loss in the images is not finite"):
        attack(model, images, images.flatten(1).argmax(dim=1))


@pytest.mark.parametrize(
    ("attack", "changed", "message"),
    [
        (fgsm, {"eps": -0.1}, "eps: expected a finite distance >= 0, got -0.1"),
        (fgsm, {"eps": float("nan")}, "eps: expected a finite distance >= 0, got nan"),
        (pgd_linf, {"eps": -1}, "eps: expected a finite distance >= 0, got -1"),
        (pgd_linf, {"step_size": float("inf")}, "step_size: expected a finite distance >= 0, got inf"),
        (pgd_linf, {"steps": 0}, "steps: expected a finite number >= 1, got 0"),
        (pgd_linf, {"restarts": 0}, "restarts: expected a finite number >= 1, got 0"),
        (pgd_linf, {"loss": "hinge"}, "loss: expected one of cross_entropy, margin, got 'hinge'"),
        (pgd_l2, {"eps": -1}, "eps: expected a finite distance >= 0, got -1"),
        (pgd_l2, {"step_size": -1}, "step_size: expected a finite distance >= 0, got -1"),
        (pgd_l2, {"steps": 0}, "steps: expected a finite number >= 1, got 0"),
        (carlini_wagner_l2, {"c": -1}, "c: expected a finite number >= 0, got -1"),
        (carlini_wagner_l2, {"steps": 0}, "steps: expected a finite number >= 1, got 0"),
        (carlini_wagner_l2, {"learning_rate": -1}, "learning_rate: expected a finite number >= 0, got -1"),
        (carlini_wagner_l2, {"confidence": -1}, "confidence: expected a finite number >= 0, got -1"),
        (carlini_wagner_l2, {"binary_search_steps": 0}, "binary_search_steps: expected a finite number >= 1, got 0"),
        (carlini_wagner_l2, {"binary_search_steps": 2, "c": 0}, "c: expected a number > 0 to begin a binary search"),
        (square, {"eps": -1}, "eps: expected a finite distance >= 0, got -1"),
        (square, {"norm": "L1"}, "norm: expected Linf or L2, got 'L1'"),
        (square, {"norm": "L2"}, "Square in L2 cannot tile images of 4x4 pixels in fifths: use Linf"),
        (square, {"queries": 0}, "queries: expected a finite number >= 1, got 0"),
        (apgd, {"eps": -1}, "eps: expected a finite distance >= 0, got -1"),
        (apgd, {"norm": "L1"}, "norm: expected Linf or L2, got 'L1'"),
        (apgd, {"steps": 0}, "steps: expected a finite number >= 1, got 0"),
        (apgd, {"batch_size": 0}, "batch_size: expected a finite number >= 1, got 0"),
        (auto_attack, {"norm": "L2"}, "Square in L2 cannot tile images of 4x4 pixels in fifths: use Linf"),
        (auto_attack, {"eps": -1}, "eps: expected a finite distance >= 0, got -1"),
        (auto_attack, {"norm": "L1"}, "norm: expected Linf or L2, got 'L1'"),
        (auto_attack, {"version": "best"}, "version: expected one of standard, plus, rand, got 'best'"),
    ],
)
def test_settings_out_of_range(
    attack: Attack, changed: dict[str, Any], message: str, images: Tensor, labels: Tensor
) -> None:
    valid: dict[Attack, dict[str, Any]] = {
        fgsm: {"eps": 0.1},
        pgd_linf: {"eps": 0.1, "step_size": 0.1, "steps": 1},
        pgd_l2: {"eps": 0.1, "step_size": 0.1, "steps": 1},
        auto_attack: {"eps": 0.1},
        square: {"eps": 0.1},
        apgd: {"eps": 0.1},
    }
    with pytest.raises(ValueError, match=message):
        attack(network(), images, labels, **{**valid.get(attack, {}), **changed})
