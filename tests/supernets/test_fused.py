"""The fused supernet is the reference, computed in another order: values, all gradients, statistics, hooks, files."""

from __future__ import annotations

import copy
import random
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.supernets.base import SupernetAt
from rnas.supernets.darts import fast_convolutions
from rnas.supernets.darts.fast_convolutions import depthwise
from rnas.supernets.darts.fused import FusedCell, FusedSupernet
from rnas.supernets.darts.reference import Supernet, SupernetCell
from rnas.vulnerability.metrics import network_vulnerability

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


class Case(NamedTuple):
    """Both supernets, with the same weights, and what to put in; `direction` weighs the logits."""

    reference: Supernet
    fused: FusedSupernet
    images: Tensor
    alpha: Tensor
    direction: Tensor


def make(seed: int, dtype: torch.dtype = torch.float64) -> Case:
    """Supernets of random shape with the same weights and with running statistics that differ from norm to norm."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    classes, in_channels = draw.randint(2, 5), draw.choice([1, 3])
    shape = {"channels": draw.choice([2, 3, 4]), "cells": draw.choice([3, 4]), "in_channels": in_channels}
    reference = Supernet(classes, **shape).double()
    spread_statistics(reference)
    fused = FusedSupernet(classes, **shape).double()
    fused.load_state_dict(reference.state_dict())
    images = torch.rand(draw.randint(3, 6), in_channels, draw.randint(5, 9), draw.randint(5, 9)).double()
    alpha = draw.choice([1e-3, 1.0, 3.0]) * torch.randn(2, 14, 8).double()
    direction = torch.randn(len(images), classes).double()
    return Case(reference.to(dtype), fused.to(dtype), images.to(dtype), alpha.to(dtype), direction.to(dtype))


def spread_statistics(module: nn.Module) -> None:
    """Give each batch norm running statistics of its own."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.3, 1.5)


def everything(case: Case, supernet: Supernet, *, training: bool) -> dict[str, Tensor]:
    """Output, gradients of a random direction in all that it depends on, and the buffers after the pass."""
    supernet.train(training).zero_grad()
    images, alpha = case.images.clone().requires_grad_(), case.alpha.clone().requires_grad_()
    logits = supernet(images, alpha)
    (logits * case.direction).sum().backward()
    gradients = {f"gradient of {name}": value.grad for name, value in supernet.named_parameters()}
    found = {"logits": logits.detach(), "gradient of images": images.grad, "gradient of alpha": alpha.grad, **gradients}
    assert all(value is not None for value in found.values())
    return {name: value for name, value in found.items() if value is not None} | dict(supernet.named_buffers())


def distance(value: Tensor, expected: Tensor) -> float:
    """Relative to the expected values; relative to 1e-6 where those vanish."""
    value, expected = value.detach().double(), expected.detach().double()
    return float((value - expected).norm() / expected.norm().clamp_min(1e-6))


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_reference(seed: int) -> None:
    case = make(seed)
    for training in (False, True):
        expected = everything(case, case.reference, training=training)
        found = everything(case, case.fused, training=training)
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert found[name].shape == value.shape
            assert distance(found[name], value) <= TOLERANCE[torch.float64], name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seed", [1])
def test_equals_the_reference_in_single_precision(seed: int, training: bool) -> None:
    case = make(seed, torch.float32)
    doubled = Case(
        copy.deepcopy(case.reference).double(),
        copy.deepcopy(case.fused).double(),
        *(value.double() for value in (case.images, case.alpha, case.direction)),
    )
    exact = everything(doubled, doubled.reference, training=training)
    expected = everything(case, case.reference, training=training)
    found = everything(case, case.fused, training=training)

    def parts(results: dict[str, Tensor]) -> dict[str, Tensor]:
        weights = [value.flatten() for name, value in results.items() if name.startswith("gradient of cells")]
        return {name: results[name] for name in ("logits", "gradient of images", "gradient of alpha")} | {
            "gradients of weights": torch.cat(weights),
            "statistics": torch.cat([value.flatten() for name, value in results.items() if "running" in name]),
        }

    for name, value in parts(expected).items():
        # Batch statistics of a few pixels amplify rounding: the reference itself is then not exact to 1e-5.
        rounding = distance(value, parts(exact)[name])
        assert distance(parts(found)[name], value) <= max(TOLERANCE[torch.float32], 4 * rounding), name


@pytest.mark.parametrize("reduced_before", [True, False])
@pytest.mark.parametrize("reduce", [True, False])
def test_a_cell_of_each_stride_equals_the_reference(reduce: bool, reduced_before: bool) -> None:
    """Also of sizes that halving rounds, one image, and operations that weigh nothing."""
    draw = random.Random(f"{reduce} {reduced_before}")
    for seed in range(3):
        torch.manual_seed(seed)
        # Two channels or more: batch norm takes all gradient from a kernel of one value.
        channels, before, previous = draw.choice([2, 4, 6]), draw.randint(2, 7), draw.randint(2, 7)
        reference = SupernetCell(before, previous, channels, reduce=reduce, reduced_before=reduced_before).double()
        spread_statistics(reference)
        fused = FusedCell(copy.deepcopy(reference))
        count, height, width = draw.randint(1, 4), draw.randint(4, 9), draw.randint(4, 9)
        older = (2 * height - draw.randint(0, 1), 2 * width) if reduced_before else (height, width)
        inputs = [torch.randn(count, before, *older), torch.randn(count, previous, height, width)]
        alpha = 3 * torch.randn(14, 8)
        alpha[draw.randint(0, 13), draw.randint(0, 7)] = -torch.inf
        weights = alpha.softmax(dim=-1)
        for training in (False, True):
            found, expected = (of_cell(cell.train(training), inputs, weights) for cell in (fused, reference))
            assert len(found) == len(expected)
            for value, correct in zip(found, expected, strict=True):
                assert distance(value, correct) <= TOLERANCE[torch.float64]


def of_cell(cell: nn.Module, inputs: list[Tensor], weights: Tensor) -> list[Tensor]:
    """A cell's output and its gradients in both inputs, in the weights of the operations and in its own."""
    given = [value.double().requires_grad_() for value in (*inputs, weights)]
    output = cell(*given)
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).double()
    return [output, *torch.autograd.grad((output * direction).sum(), [*given, *cell.parameters()])]


def test_same_weights_from_the_same_seed_and_one_format_of_checkpoints() -> None:
    torch.manual_seed(3)
    reference = Supernet(4, channels=2, cells=3)
    torch.manual_seed(3)
    fused = FusedSupernet(4, channels=2, cells=3)
    state, expected = fused.state_dict(), reference.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    reference.load_state_dict(state)


@pytest.mark.parametrize(("seed", "dtype"), [(0, torch.float64), (1, torch.float32), (2, torch.float64)])
def test_the_folded_view_equals_the_reference(seed: int, dtype: torch.dtype) -> None:
    tolerance = TOLERANCE[dtype]
    case = make(seed, dtype)
    reference = case.reference.eval()
    images = case.images.clone().requires_grad_()
    expected = reference(images, case.alpha)
    (gradient,) = torch.autograd.grad((expected * case.direction).sum(), images)
    folded = case.fused.folded(case.alpha.softmax(dim=-1))
    found = folded(images)
    (found_gradient,) = torch.autograd.grad((found * case.direction).sum(), images)
    assert distance(found, expected) <= tolerance
    assert distance(found_gradient, gradient) <= tolerance


def test_the_folded_view_is_fixed() -> None:
    case = make(0)
    folded = case.fused.folded(case.alpha.softmax(dim=-1))
    before = folded(case.images)
    with torch.no_grad():
        for value in [*case.fused.parameters(), *case.fused.buffers(), case.alpha]:
            value.add_(1)
    assert torch.equal(folded(case.images), before)
    assert not list(folded.parameters())


def test_attacks_and_the_vulnerability_see_the_same_cells() -> None:
    case = make(1)
    labels = torch.zeros(len(case.images), dtype=torch.int64)
    alpha = case.alpha.clone().requires_grad_()
    weights = alpha.softmax(dim=-1)
    networks = [SupernetAt(supernet.eval(), weights) for supernet in (case.reference, case.fused)]
    folded = case.fused.folded(weights)
    adversarial = [
        pgd_linf(network, case.images, labels, eps=0.1, step_size=0.05, steps=2, random_start=False)
        for network in (*networks, folded)
    ]
    assert distance(adversarial[1], adversarial[0]) <= TOLERANCE[torch.float64]
    assert distance(adversarial[2], adversarial[0]) <= TOLERANCE[torch.float64]
    measured = [
        network_vulnerability(network, network.cell_layers, case.images, adversarial[0]) for network in networks
    ]
    gradients = [torch.autograd.grad(value, alpha, retain_graph=True)[0] for value in measured]
    assert distance(measured[1], measured[0]) <= TOLERANCE[torch.float64]
    assert distance(gradients[1], gradients[0]) <= TOLERANCE[torch.float64]
    in_folded = network_vulnerability(folded, folded.cell_layers, case.images, adversarial[0])
    assert distance(in_folded, measured[0]) <= TOLERANCE[torch.float64]


@pytest.mark.parametrize("training", [True, False])
def test_hooks_see_the_cells_outputs(training: bool) -> None:
    case = make(2)
    outputs: list[list[Tensor]] = []
    for supernet in (case.reference, case.fused):
        seen: list[Tensor] = []
        for cell in supernet.cells:
            cell.register_forward_hook(lambda _module, _inputs, output, seen=seen: seen.append(output))
        supernet.train(training)(case.images, case.alpha)
        outputs.append(seen)
    assert len(outputs[0]) == len(outputs[1]) == len(case.reference.cells)
    for expected, found in zip(*outputs, strict=True):
        assert distance(found, expected) <= TOLERANCE[torch.float64]


def test_image_gradients_do_not_compute_those_of_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensor:
        raise AssertionError("not asked for")

    case = make(3)
    monkeypatch.setattr(fast_convolutions, "_kernel_gradient", refuse)
    images, alpha = case.images.requires_grad_(), case.alpha.requires_grad_()
    for training in (True, False):
        torch.autograd.grad(case.fused.train(training)(images, alpha).sum(), (images, alpha))
    with pytest.raises(AssertionError, match="not asked for"):
        case.fused(images, alpha).sum().backward()


def test_one_value_a_channel_is_refused_like_in_the_reference() -> None:
    case = make(4)
    for supernet in (case.reference, case.fused):
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            supernet.train()(case.images[:1, :, :2, :2], case.alpha)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2), (5, 8), (9, 7)])
@pytest.mark.parametrize("width", [1, 3, 5, 7])
def test_depthwise_is_the_convolution_and_its_gradients(
    size: tuple[int, int], stride: int, dilation: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 4, *size, dtype=torch.float64, generator=generator).requires_grad_()
    kernel = torch.randn(4, 1, width, width, dtype=torch.float64, generator=generator)
    smaller = 2 if width > 1 else 0
    # The first kernels are smaller ones, with zeros around them that are constants.
    mask = torch.ones_like(kernel)
    mask[:smaller] = F.pad(torch.ones(width - 2, width - 2), (1, 1, 1, 1)) if smaller else 0
    kernel = (kernel * mask).requires_grad_()
    padding = dilation * (width // 2)
    expected = F.conv2d(maps, kernel, None, stride, padding, dilation, groups=4)
    found = depthwise(maps, kernel, stride=stride, dilation=dilation, smaller=smaller)
    direction = torch.randn(expected.shape, dtype=torch.float64, generator=generator)
    expected_maps, expected_kernel = torch.autograd.grad((expected * direction).sum(), (maps, kernel))
    found_maps, found_kernel = torch.autograd.grad((found * direction).sum(), (maps, kernel))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_maps, expected_maps)
    torch.testing.assert_close(found_kernel * mask, expected_kernel * mask)
