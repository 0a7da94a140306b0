"""Every rule for an operation: no point of a box leaves its interval, and nothing is lost where nothing need be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.certification.affine_rules import AFFINE_RULES
from rnas.certification.boxes import Interval, box
from rnas.certification.intervals import RULES, propagate
from rnas.certification.linear import bounded_units, lower_bounds
from rnas.certification.recording import record
from rnas.certification.simplified import simplified
from rnas.errors import ModelError

ATEN = torch.ops.aten
GENERATOR = torch.Generator().manual_seed(0)
KERNEL = torch.randn(2, 3, 3, 3, generator=GENERATOR, dtype=torch.float64)
MATRIX = torch.randn(4, 5, generator=GENERATOR, dtype=torch.float64)
SHIFT = torch.randn(5, generator=GENERATOR, dtype=torch.float64)
MEAN, VARIANCE, SCALE = torch.tensor([0.1, -0.2, 0.3]), torch.tensor([0.5, 1.0, 2.0]), torch.tensor([1.0, -2.0, 0.5])

#: For each operation with a rule some function that calls it, of maps (2, 3, 4, 4) with values in [-2, 2].
USES: dict[str, Callable[[Tensor], Tensor]] = {
    "view": lambda x: x.view(2, -1),
    "_unsafe_view": lambda x: ATEN._unsafe_view(x, [2, 48]),
    "transpose": lambda x: x.transpose(2, 3),
    "t": lambda x: ATEN.t(x.flatten(0, 1)[:, 0, 0].reshape(6, 1)),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "clone": lambda x: x.clone(),
    "slice": lambda x: x[:, :, ::2, 1:3],
    "select": lambda x: x[:, 1],
    "split": lambda x: x.split(2, dim=1)[0],
    "split_with_sizes": lambda x: x.split([1, 2], dim=1)[1],
    "unbind": lambda x: x.unbind(2)[3],
    "cat": lambda x: torch.cat([x, torch.full((2, 1, 4, 4), 0.5), -x], dim=1),
    "stack": lambda x: torch.stack([x, 2 * x], dim=1),
    "unsqueeze": lambda x: x.unsqueeze(2),
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "expand": lambda x: x[:, :, :1].expand(2, 3, 4, 4),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "flip": lambda x: x.flip(3),
    "roll": lambda x: x.roll(1, 2),
    "pixel_shuffle": lambda x: F.pixel_shuffle(torch.cat([x, x], 1)[:, :4], 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel_shuffle": lambda x: F.channel_shuffle(torch.cat([x, x], 1), 2),
    "mean": lambda x: x.mean(dim=(2, 3)),
    "sum": lambda x: x.sum(dim=1),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False),
    "_adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "reflection_pad2d": lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect"),
    "replication_pad2d": lambda x: F.pad(x, (1, 2, 0, 1), mode="replicate"),
    "upsample_nearest2d": lambda x: F.interpolate(x, scale_factor=2),
    "upsample_bilinear2d": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "im2col": lambda x: F.unfold(x, 3),
    "index_select": lambda x: x.index_select(1, torch.tensor([2, 0])),
    "constant_pad_nd": lambda x: F.pad(x, (1, -1, 1, 0), value=0.7),
    "add": lambda x: x + torch.add(SCALE.view(1, 3, 1, 1), x, alpha=-2),
    "sub": lambda x: torch.sub(x, x.flip(2), alpha=3) - 1,
    "rsub": lambda x: 1 - torch.rsub(x, x.flip(2), alpha=2),
    "neg": lambda x: -x,
    "mul": lambda x: x * -2 + SCALE.view(1, 3, 1, 1) * x,
    "div": lambda x: x / -SCALE.view(1, 3, 1, 1) / 2,
    "mm": lambda x: x[:, 0, 0] @ MATRIX,
    "bmm": lambda x: x[:, 0] @ MATRIX.expand(2, 4, 5),
    "addmm": lambda x: torch.addmm(SHIFT, x[:, 0, 0], MATRIX),
    "convolution": lambda x: F.conv2d(x, KERNEL, torch.ones(2).double(), stride=2, padding=1),
    "_convolution": lambda x: ATEN._convolution(
        x, KERNEL, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, False, True, True
    ),
    "native_batch_norm": lambda x: F.batch_norm(x, MEAN.double(), VARIANCE.double(), SCALE.double(), MEAN.double()),
    "_native_batch_norm_legit_no_training": lambda x: ATEN._native_batch_norm_legit_no_training(
        x, SCALE.double(), None, MEAN.double(), VARIANCE.double(), 0.1, 1e-5
    )[0],
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "elu": F.elu,
    "softplus": F.softplus,
    "exp": torch.exp,
    "hardsigmoid": F.hardsigmoid,
    "silu": lambda x: F.silu(2 * x),
    "gelu": F.gelu,
    "hardswish": lambda x: F.hardswish(3 * x),
    "abs": torch.abs,
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "minimum": lambda x: torch.minimum(x, torch.ones(())),
    "amax": lambda x: x.amax(dim=(2, 3)),
    "amin": lambda x: x.amin(dim=1),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    "max_pool2d_with_indices": lambda x: F.max_pool2d(x, 3, stride=2, padding=1),
}
#: Clamps, which are taken for ReLUs.
CLAMPS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu6": lambda x: F.relu6(4 * x),
    "hardtanh": F.hardtanh,
    "clamp": lambda x: x.clamp(-0.5, 1),
    "clamp_min": lambda x: ATEN.clamp_min(x, -0.5),
    "clamp_max": lambda x: ATEN.clamp_max(x, 0.5),
    "clamp in place": lambda x: (1 * x).clamp_(min=0.25),
}
#: Rules for operations that only exist on an accelerator.
ELSEWHERE = {"cudnn_batch_norm"}


class Applied(nn.Module):
    """A function of maps in [-2, 2], as a model."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(4 * images - 2).reshape(2, -1)


def bounds(function: Callable[[Tensor], Tensor], images: Tensor, eps: float) -> tuple[Interval, Interval]:
    """Of all values of a function on a box: by intervals, and by linear functions."""
    tape = simplified(record(Applied(function), images))
    intervals = propagate(tape, box(images, eps), {tape.logits, *bounded_units(tape)})
    values = intervals[tape.logits].centre.shape[1]
    units = torch.eye(values, dtype=torch.float64).unsqueeze(1).expand(values, 2, values)
    low, high = (lower_bounds(tape, tape.logits, sign * units, intervals) * sign for sign in (1, -1))
    return intervals[tape.logits], Interval.between(low.T, high.T)


def test_every_rule_is_tested() -> None:
    assert set(USES) | ELSEWHERE == set(RULES)


@pytest.mark.parametrize("name", [*USES, *CLAMPS])
def test_no_point_leaves_its_interval(name: str) -> None:
    function = (USES | CLAMPS)[name]
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    model = Applied(function)
    names = [node.name for node in record(model, images).nodes]
    assert name in names or name in CLAMPS
    for eps in (0.0, 0.02, 0.2):
        for interval in bounds(function, images, eps):
            for _ in range(60):
                moves = 2 * torch.rand(images.shape, generator=generator, dtype=torch.float64) - 1
                for move in (moves, moves.sign()):
                    values = model((images + eps * move).clamp(0, 1))
                    assert bool((interval.low <= values + 1e-6).all())
                    assert bool((values <= interval.high + 1e-6).all())
            if eps == 0:
                torch.testing.assert_close(interval.centre, model(images), atol=1e-6, rtol=1e-6)
                assert float(interval.radius.abs().max()) < 1e-6


ELEMENTWISE = (
    *("relu", "leaky_relu", "sigmoid", "tanh", "elu", "softplus", "exp", "hardsigmoid", "silu", "gelu", "hardswish"),
    *("abs", "maximum", "minimum"),
)


@pytest.mark.parametrize("name", [*ELEMENTWISE, *CLAMPS])
def test_an_interval_is_the_least_that_holds_all_values(name: str) -> None:
    """Of functions of one value, seen on a fine grid."""
    images = torch.linspace(0, 1, 96, dtype=torch.float64).view(2, 3, 4, 4)
    function, eps = (USES | CLAMPS)[name], 0.11
    interval, _ = bounds(function, images, eps)
    model = Applied(function)
    shares = torch.linspace(-1, 1, 401, dtype=torch.float64)
    values = torch.stack([model((images + eps * share).clamp(0, 1)) for share in shares])
    torch.testing.assert_close(interval.low, values.amin(dim=0), atol=2e-3, rtol=0)
    torch.testing.assert_close(interval.high, values.amax(dim=0), atol=2e-3, rtol=0)


LINEAR = [name for name in USES if name in AFFINE_RULES]


@pytest.mark.parametrize("name", LINEAR)
def test_linear_bounds_of_what_is_linear_are_exact(name: str) -> None:
    """Each value is least and greatest in a corner, which its gradient names."""
    images = 0.3 + 0.4 * torch.rand(2, 3, 4, 4, generator=GENERATOR.manual_seed(2), dtype=torch.float64)
    _, interval = bounds(USES[name], images, 0.1)
    points = images.clone().requires_grad_()
    values = Applied(USES[name])(points)
    for place in range(values.shape[1]):
        (slope,) = torch.autograd.grad(values[:, place].sum(), points, retain_graph=True, allow_unused=True)
        reach = 0.0 if slope is None else 0.1 * slope.abs().flatten(1).sum(dim=1)
        torch.testing.assert_close(interval.low[:, place], (values[:, place] - reach).detach())
        torch.testing.assert_close(interval.high[:, place], (values[:, place] + reach).detach())


def test_linear_bounds_of_a_greatest_pixel() -> None:
    """Where one pixel is greatest on the whole box, its own line is the bound from below."""
    images = torch.full((2, 3, 4, 4), 0.2, dtype=torch.float64)
    images[:, :, ::2, ::2] = 0.8
    interval, linear = bounds(lambda x: F.max_pool2d(x, 2), images, 0.1)
    torch.testing.assert_close(linear.low, interval.low)
    torch.testing.assert_close(interval.low, torch.full_like(interval.low, 4 * 0.7 - 2))
    torch.testing.assert_close(interval.high, torch.full_like(interval.low, 4 * 0.9 - 2))
    # x - max pool(x) is 0 there: the linear bound sees that, the interval does not.
    apart, joint = bounds(lambda x: x[:, :, ::2, ::2] - F.max_pool2d(x, 2), images, 0.1)
    torch.testing.assert_close(joint.high, torch.zeros_like(joint.high), atol=1e-12, rtol=0)
    assert float(apart.high.min()) > 0.7


@pytest.mark.parametrize("middle", [0.4, -0.4])
def test_the_lower_line_of_a_unit_is_the_nearer_one(middle: float) -> None:
    """relu(h) - h / 2 where h spans a width of 1: by the nearer of h and 0 at least -0.05, by the other one -0.45."""
    images = torch.full((2, 3, 4, 4), (middle + 2) / 4, dtype=torch.float64)
    _, linear = bounds(lambda x: F.relu(x) - 0.5 * x, images, 0.125)
    torch.testing.assert_close(linear.low, torch.full_like(linear.low, -0.05))
    assert float(linear.high.max()) < 0.5


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: 1 / x, "reciprocal"),
        (lambda x: x / x.exp(), "'div' by what depends on the images"),
        (lambda x: F.leaky_relu(x, -0.1), "'leaky_relu' with a negative slope"),
        (lambda x: F.elu(x, -0.5), "'elu' with a negative slope"),
        (lambda x: F.gelu(x, approximate="tanh"), "'gelu' as approximated by tanh"),
        (lambda x: F.conv2d(x[:1], x[:, :, :2, :2]), "'convolution' with weights that depend"),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[1].reshape(2, -1), "indices"),
        (lambda x: x.sort(dim=1)[0], "'sort'"),
    ],
)
def test_what_has_no_rule_is_named(function: Callable[[Tensor], Tensor], words: str) -> None:
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    with pytest.raises(ModelError, match=f"^cannot bound the model: .*{words}"):
        bounds(function, images, 0.1)


def test_what_is_computed_twice_is_bounded_once() -> None:
    """Equal operations on equal arguments are one node; those with other numbers, or weights, are not."""
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    model = Applied(lambda x: F.relu(x) + F.relu(x) + F.leaky_relu(x, 0.1) + F.leaky_relu(x, 0.2))
    names = [node.name for node in simplified(record(model, images)).nodes]
    assert (names.count("relu"), names.count("leaky_relu")) == (1, 2)
    convolved = Applied(lambda x: F.conv2d(x, KERNEL) - F.conv2d(x, KERNEL.flip(0)))
    assert [node.name for node in simplified(record(convolved, images)).nodes].count("convolution") == 2
