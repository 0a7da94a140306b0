"""Randomised smoothing against what is known of linear classifiers, and its bounds against scipy and by hand."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from rnas.attacks import pgd_linf
from rnas.certification.smoothing import ABSTAINED, SmoothedModel, certify, log_mean_softmax, lower_bound, predict
from rnas.errors import ConfigError, ModelError

SIGMA = 0.5


def linear(classes: int = 2, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes)).double()


def images_of(count: int, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def generator(seed: int = 2) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distances(model: nn.Sequential, images: Tensor) -> tuple[Tensor, Tensor]:
    """The class of each image, and how far the boundary with each other class is: its margin / norm of weights."""
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    logits = model(images).detach()
    classes = logits.argmax(dim=1)
    norms = (layer.weight[classes].unsqueeze(1) - layer.weight).detach().norm(dim=2)
    gaps = logits.amax(dim=1, keepdim=True) - logits
    return classes, torch.where(norms > 0, gaps / norms.clamp_min(1e-12), torch.inf)


def smallest(probability: float, n: int, alpha: float) -> float:
    """The radius that only one of a billion certificates falls short of, at this probability of the class."""
    count = int(stats.binom.ppf(1e-9, n, probability))
    return SIGMA * float(stats.norm.ppf(stats.beta.ppf(alpha, count, n - count + 1)))


def test_certificates_of_a_linear_classifier_are_its_margins_within_their_confidence() -> None:
    """Noise moves the margin by a normal of deviation sigma * norm, so the smoothed classifier has its radius."""
    model, images = linear(), images_of(12)
    expected, radius = distances(model, images)
    classes, radii = certify(model, images, sigma=SIGMA, n0=50, n=4000, alpha=1e-6, generator=generator())
    proved = 0
    for said, found, label, true in zip(classes, radii, expected, radius.amin(dim=1).tolist(), strict=True):
        least = smallest(stats.norm.cdf(true / SIGMA), 4000, 1e-6)
        assert found <= true
        assert found >= max(least, 0) or said == ABSTAINED
        assert (said == label) or (said == ABSTAINED and least <= 0)
        proved += bool(said == label)
    assert proved >= 6


def test_more_classes_never_prove_more_than_the_nearest_boundary() -> None:
    """And as much, where the others are far away."""
    model, images = linear(classes=5), images_of(12)
    expected, radius = distances(model, images)
    prove = partial(certify, sigma=0.05, n0=50, n=4000, alpha=1e-6)
    classes, radii = prove(model, images, generator=generator())
    certain = classes != ABSTAINED
    assert certain.sum() >= 6
    assert torch.equal(classes[certain], expected[certain])
    assert (radii <= radius.amin(dim=1)).all()
    assert torch.equal(radii[~certain], torch.zeros_like(radii[~certain]))

    far = linear(classes=5)
    layer = far[1]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.bias[2:] -= 100
    binary = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
    binary[1].load_state_dict({"weight": layer.weight[:2], "bias": layer.bias[:2]})
    found = [prove(part, images, generator=generator()) for part in (far, binary)]
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_wrong_certificates_are_as_rare_as_promised() -> None:
    """Of one image over and over: as many are wrong as the binomial distribution says, at most alpha."""
    model, alpha, n, repeats = linear(), 0.2, 40, 3000
    image = next(image for image in images_of(200).split(1) if 0.6 < distances(model, image)[1].amin() / SIGMA < 0.65)
    true = float(distances(model, image)[1].amin())
    probability = stats.norm.cdf(true / SIGMA)
    wrong_counts = [
        count for count in range(1, n + 1) if stats.beta.ppf(alpha, count, n - count + 1) > max(probability, 0.5)
    ]
    share = sum(float(stats.binom.pmf(count, n, probability)) for count in wrong_counts)
    assert 0.1 < share <= alpha
    _, radii = certify(
        model, image.expand(repeats, -1, -1, -1), sigma=SIGMA, n0=9, n=n, alpha=alpha, generator=generator()
    )
    found = float((radii > true).double().mean())
    assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / repeats)


@pytest.mark.parametrize(("n", "alpha"), [(1, 0.05), (100, 0.001), (1000, 0.3), (100_000, 0.001)])
def test_the_bound_is_that_of_clopper_and_pearson(n: int, alpha: float) -> None:
    for count in {0, 1, n // 2, n - 1, n} & set(range(n + 1)):
        test = stats.binomtest(count, n, alternative="greater")
        expected = test.proportion_ci(confidence_level=1 - alpha, method="exact").low
        assert lower_bound(count, n, alpha) == pytest.approx(expected, abs=1e-9)
    assert lower_bound(n, n, alpha) == pytest.approx(alpha ** (1 / n), rel=1e-12)
    bounds = [lower_bound(count, n, alpha) for count in range(0, n + 1, max(n // 50, 1))]
    assert all(before < after for before, after in pairwise(bounds))


def test_a_class_that_always_wins_has_the_largest_radius_there_is() -> None:
    """Section 3.2.2: with 100,000 draws and alpha = 0.001 it is about 3.8 sigma, at 1,000 draws about 2.5 sigma."""

    def constant(images: Tensor) -> Tensor:
        return torch.tensor([0.0, 0.0, 1.0]).expand(len(images), 3)

    for n, radius in ((100_000, 3.811), (1000, 2.462)):
        image, settings = torch.zeros(1, 1, 1, 1), {"n0": 10, "n": n, "batch_size": 50_000}
        classes, radii = certify(constant, image, sigma=0.25, alpha=0.001, **settings, generator=generator())
        assert classes.tolist() == [2]
        assert float(radii) == pytest.approx(0.25 * radius, rel=1e-3)
        assert float(radii) == pytest.approx(0.25 * stats.norm.ppf(0.001 ** (1 / n)), rel=1e-9)


def votes_of(*shares: int) -> Callable[[Tensor], Tensor]:
    """A classifier that says each class so many times in a row, whatever it sees."""
    said = [label for label, count in enumerate(shares) for _ in range(count)]

    def model(images: Tensor) -> Tensor:
        taken, said[:] = said[: len(images)], said[len(images) :] + said[: len(images)]
        return nn.functional.one_hot(torch.tensor(taken), len(shares)).double()

    return model


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((50, 50), ABSTAINED),
        ((60, 40), ABSTAINED),
        ((63, 37), 0),
        ((0, 33, 1), 1),
        ((8, 0, 0), 0),
        ((6, 0, 0), ABSTAINED),
    ],
)
def test_predict_abstains_where_the_votes_may_as_well_be_even(shares: tuple[int, ...], expected: int) -> None:
    """At alpha = 0.02; the test of the first two classes' votes is scipy's."""
    image, n = torch.zeros(1, 1, 2, 2), sum(shares)
    first, second = sorted(shares, reverse=True)[:2]
    significant = stats.binomtest(first, first + second, 0.5).pvalue <= 0.02
    assert significant == (expected != ABSTAINED)
    for size in (n, 7):
        found = predict(votes_of(*shares), image, sigma=1, n=n, alpha=0.02, batch_size=size, generator=generator())
        assert found.tolist() == [expected]


def test_votes_that_are_balanced_prove_nothing() -> None:
    image = torch.zeros(1, 1, 2, 2)
    for shares, proved in (((50, 50), False), ((55, 45), False), ((70, 30), True)):
        n = sum(shares)
        classes, radii = certify(
            votes_of(*shares), image, sigma=1, n0=n, n=n, alpha=0.01, batch_size=n, generator=generator()
        )
        assert classes.tolist() == [0 if proved else ABSTAINED]
        assert (float(radii) > 0) == proved


def test_the_class_is_chosen_by_other_votes_than_those_that_count() -> None:
    """Of n0 = 10 votes all are for class 1, of the n = 30 that follow all are for class 0: nothing is proved."""
    for counted, expected in ((0, ABSTAINED), (1, 1)):
        said = [torch.tensor([[0.0, 1.0]]).expand(10, 2), torch.eye(2)[[counted]].expand(30, 2)]
        classes, radii = certify(
            partial(answer, said), torch.zeros(1, 1, 2, 2), sigma=1, n0=10, n=30, alpha=0.1, generator=generator()
        )
        assert classes.tolist() == [expected]
        assert bool(radii > 0) == (expected == 1)


def answer(said: list[Tensor], images: Tensor) -> Tensor:  # noqa: ARG001
    """The next of some answers that were written before."""
    return said.pop(0)


def test_the_generator_decides_and_the_batch_size_does_not() -> None:
    """Nor do the images that come after: the first ones have the certificates that they have alone."""
    model, images = linear(classes=4), images_of(6)
    prove = partial(certify, model, sigma=0.3, n0=70, n=300, alpha=0.01)
    say = partial(predict, model, images, sigma=0.3, n=300, alpha=0.01)
    whole, said = prove(images, generator=generator()), say(generator=generator())
    assert len(whole[1].unique()) > 2
    for size in (1, 7, 64, 5000):
        again = prove(images, batch_size=size, generator=generator())
        assert torch.equal(again[0], whole[0])
        assert torch.equal(again[1], whole[1])
        assert torch.equal(say(batch_size=size, generator=generator()), said)
    first = prove(images[:2], generator=generator())
    assert torch.equal(first[1], whole[1][:2])
    other = prove(images, generator=generator(5))
    assert not torch.equal(other[1], whole[1])


def test_the_base_is_called_in_evaluation_mode_and_left_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Dropout(), nn.Linear(12, 3)).double().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model[1].eval()
    prove = partial(certify, images=images_of(2), sigma=0.1, n0=5, n=200, alpha=0.1)
    say = partial(predict, images=images_of(2), sigma=0.1, n=200, alpha=0.1)
    radii, classes = prove(model, generator=generator())[1], say(model, generator=generator())
    assert [part.training for part in model] == [True, False, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(prove(model.eval(), generator=generator())[1], radii)
    assert torch.equal(say(model, generator=generator()), classes)
    assert radii.any()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("sigma", value) for value in (0, -1, math.inf, math.nan)),
        *(("alpha", value) for value in (0, 1, 2, math.nan)),
        *((key, value) for key in ("n", "n0", "batch_size") for value in (0, -5)),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(key: str, value: float) -> None:
    settings: dict[str, Any] = {"sigma": 0.5, "n": 10, "alpha": 0.1, key: value}
    rules: list[Callable[..., object]] = [certify] if key == "n0" else [certify, predict]
    for rule in rules:
        with pytest.raises(ConfigError, match=rf"^{key}: expected an? (number|integer) .*, got {value}$"):
            rule(linear(), images_of(1), **settings, generator=generator())


@pytest.mark.parametrize(
    "images", [torch.rand(3, 2, 2), torch.rand(0, 3, 2, 2), 2 * torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2).byte()]
)
def test_what_is_no_batch_of_images_is_refused(images: Tensor) -> None:
    rules: list[Callable[..., object]] = [certify, predict]
    for rule in rules:
        with pytest.raises(ValueError, match=r"^expected .* got .*$"):
            rule(linear(), images, sigma=1, generator=generator())


def test_logits_that_are_not_finite_are_no_votes() -> None:
    with pytest.raises(ModelError, match=r"^the model's logits of noisy images are not finite$"):
        certify(lambda images: images.flatten(1).log(), images_of(1), sigma=1, n=9, generator=generator())


def test_the_mean_softmax_of_two_draws_by_hand() -> None:
    """(3/4, 1/4) and (1/4, 3/4) are (1/2, 1/2) on average; their logits would be, too, but (9/10, 1/10)'s are not."""
    even = torch.tensor([[[3.0, 1.0]], [[1.0, 3.0]]]).log()
    torch.testing.assert_close(log_mean_softmax(even).exp(), torch.tensor([[0.5, 0.5]]))
    skewed = torch.tensor([[[9.0, 1.0]], [[1.0, 3.0]]]).log()
    torch.testing.assert_close(log_mean_softmax(skewed).exp(), torch.tensor([[0.575, 0.425]]))


def test_a_smoothed_model_is_the_mean_softmax_of_its_draws_and_so_is_its_gradient() -> None:
    base, images = linear(classes=3), images_of(4)
    model = SmoothedModel(base, 0.5, draws=7, seed=3)
    noise = 0.5 * torch.randn(7, 3, 2, 2, generator=torch.Generator().manual_seed(3)).double()
    inputs = images.clone().requires_grad_()
    expected = torch.stack([base(inputs + draw).softmax(dim=1) for draw in noise]).mean(dim=0).log()
    with torch.no_grad():
        torch.testing.assert_close(model(images), expected)
    weights = torch.rand(4, 3, dtype=torch.float64)
    (slope,) = torch.autograd.grad(expected, inputs, weights)
    logits = model(inputs)
    for _ in range(2):  # FAB asks for several gradients of one pass
        (found,) = torch.autograd.grad(logits, inputs, weights, retain_graph=True)
        torch.testing.assert_close(found, slope)


def test_a_smoothed_model_answers_the_same_each_time_whatever_the_batch() -> None:
    images = images_of(5)
    model, other = SmoothedModel(linear(3), 0.5, seed=1), SmoothedModel(linear(3), 0.5, seed=2)
    with torch.inference_mode():
        logits = model(images)
    with torch.no_grad():
        assert torch.equal(logits, model(images))
        torch.testing.assert_close(model(images[3:]), logits[3:])
        assert not torch.allclose(other(images), logits)
        model(torch.rand(1, 3, 2, 2).double())
    assert pgd_linf(model, images, logits.argmax(dim=1), eps=0.1, step_size=0.1, steps=2).shape == images.shape
    assert not dict(model.named_buffers())
    assert repr(model) != repr(other)


def test_a_smoothed_model_without_noise_to_speak_of_is_its_base() -> None:
    base, images = linear(3), images_of(5)
    with torch.no_grad():
        torch.testing.assert_close(SmoothedModel(base, 1e-9)(images), base(images).log_softmax(dim=1))


def test_a_smoothed_model_needs_noise_and_draws() -> None:
    for sigma in (0, -0.1, math.inf, math.nan):
        with pytest.raises(ConfigError, match=f"^sigma: expected a number > 0, got {sigma}$"):
            SmoothedModel(linear(), sigma)
    with pytest.raises(ConfigError, match=r"^draws: expected an integer >= 1, got 0$"):
        SmoothedModel(linear(), 0.5, draws=0)
