"""Models that do in some pass what they should not, and input in other forms: it works, or ends in one line."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnas.attacks import fgsm
from rnas.errors import DataError, ModelError, RnasError
from rnas.evaluation import EvaluationConfig, EvaluationSettings, evaluate, read_outcomes
from rnas.vulnerability.feature_maps import feature_shapes
from rnas.vulnerability.metrics import layer_vulnerabilities

IMAGES = torch.rand(9, 1, 3, 3, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A small network of 4 classes, between a function of its images and one of its logits."""

    def __init__(
        self, before: Callable[[Tensor], Tensor] = lambda x: x, after: Callable[[Tensor], Any] = lambda x: x
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
        self.before, self.after = before, after

    def forward(self, images: Tensor) -> Any:
        return self.after(self.layers(self.before(images)))


LABELS = Net().eval()(IMAGES).argmax(dim=1)


class Late:
    """Does something in its nth pass only."""

    def __init__(self, number: int, action: Callable[[Tensor], Tensor]) -> None:
        self.left, self.action = number, action

    def __call__(self, values: Tensor) -> Tensor:
        self.left -= 1
        return values if self.left else self.action(values)

    def __deepcopy__(self, memo: object) -> "Late":
        return self  # copies of a model count together


def refuse(_: Tensor) -> Tensor:
    raise ValueError("I have\nhad enough")


def leave(_: Tensor) -> Tensor:
    sys.exit("bye")


class Failing(torch.autograd.Function):
    """Forward nothing, backward an error."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:  # noqa: ARG004
        return values.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # noqa: ARG004
        raise KeyError("no way\nback")


def normalised_in_place(images: Tensor) -> Tensor:
    return images.sub_(0.5).div_(0.25)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Net(after=torch.squeeze), r"shape \(1, 4\) for 1 image, got \(4,\): the model squeezes a batch of one image"),
        *[(Net(Late(n, refuse)), "the model failed on .* image.* ValueError: I have$") for n in (30, 60, 90)],
        (Net(Late(60, leave)), r"the model failed on .* it ends the program by sys.exit\('bye'\)"),
        (Net(leave), r"the model cannot take images of shape \(1, 3, 3\): it ends the program"),
        (Net(after=Late(60, lambda x: x[:, :3])), r"expected logits of shape \(\d, 4\) .* got \(\d, 3\)"),
        (Net(after=Late(60, lambda x: x.flatten())), r"expected logits of shape \(\d, 4\) .* got \(\d+,\)"),
        (Net(after=lambda x: x.long()), "real floating-point numbers, got torch.int64"),
        (Net(after=lambda x: x * 1j), "real floating-point numbers, got torch.complex64"),
        (Net(after=lambda x: x > 0), "real floating-point numbers, got torch.bool"),
        (Net(after=lambda x: x.detach().to_sparse()), "as a dense tensor, got layout sparse_coo"),
        (Net(after=lambda x: x.to("meta")), "expected logits on cpu, where the images are, got them on meta"),
        (Net(after=lambda x: {"logits": x}), "expected logits of shape .* got dict"),
        (Net(after=Failing.apply), "FGSM cannot attack this model: the model's backward pass failed: KeyError: "),
        (Net().half(), r"in float32, its weights are torch.float16: RuntimeError: .*(Half|half|type|dtype)"),
        (Net().double(), r"in float32, its weights are torch.float64: RuntimeError: "),
    ],
)
def test_one_line(model: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        evaluate(model, IMAGES, LABELS, ("fgsm", "pgd20"), eps=0.1, settings=EvaluationSettings(batch_size=4))
    assert "\n" not in str(caught.value)


def test_a_model_that_fails_late_loses_nothing(tmp_path: Path) -> None:
    """What was finished before is kept, and the sound model goes on from there."""
    model = Net(after=Late(150, refuse))
    settings = EvaluationSettings(batch_size=4)
    with pytest.raises(ModelError, match="I have"):
        evaluate(model, IMAGES, LABELS, ("fgsm", "pgd20"), eps=0.1, settings=settings, folder=tmp_path)
    assert {"clean", "fgsm"} <= set(read_outcomes(tmp_path / "outcomes.parquet").attack)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_says_what_failed() -> None:
    half = torch.jit.script(Net().layers.half())
    with pytest.raises(ModelError, match=r"cannot take images .* RuntimeError: .*(Half|half)") as caught:
        evaluate(half, IMAGES, LABELS, ())
    assert "operation failed" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_frozen_torchscript_has_no_mode_and_is_evaluated() -> None:
    layers = Net().layers.eval()
    frozen = torch.jit.freeze(torch.jit.script(layers))
    assert not hasattr(frozen, "training")
    evaluation = evaluate(frozen, IMAGES, LABELS, ("fgsm", "pgd20"), eps=0.1)
    expected = evaluate(layers, IMAGES, LABELS, ("fgsm", "pgd20"), eps=0.1)
    assert [row.robust for row in evaluation.rows] == [row.robust for row in expected.rows]


def test_a_model_that_changes_its_input_changes_a_copy() -> None:
    """It is attacked as the model that normalises in a new tensor, and what is attacked stays as it was."""
    images, model = IMAGES.clone(), Net(normalised_in_place).eval()
    sound = Net(lambda x: (x - 0.5) / 0.25).eval()
    labels = sound(IMAGES).argmax(dim=1)
    outcomes, expected = (
        evaluate(network, images, labels, ("fgsm", "pgd20", "cw"), eps=0.1).outcomes for network in (model, sound)
    )
    assert outcomes.to_table().equals(expected.to_table())
    assert torch.equal(fgsm(model, images, labels, eps=0.1), fgsm(sound, images, labels, eps=0.1))
    vulnerabilities = [
        float(layer_vulnerabilities(network, ["layers.0"], images, images.flip(0))["layers.0"].detach())
        for network in (model, sound)
    ]
    assert vulnerabilities[0] == vulnerabilities[1] > 0
    assert feature_shapes(model, images) == feature_shapes(sound, images)
    assert torch.equal(images, IMAGES)


def test_inference_mode_changes_nothing() -> None:
    expected = evaluate(Net(), IMAGES, LABELS, ("fgsm", "pgd20", "cw"), eps=0.1).outcomes.to_table()
    outside = Net()
    with torch.inference_mode():
        for model, images, labels in ((outside, IMAGES, LABELS), (Net(), IMAGES.clone(), LABELS.clone())):
            evaluation = evaluate(model, images, labels, ("fgsm", "pgd20", "cw"), eps=0.1)
            assert evaluation.outcomes.to_table().equals(expected)
            assert torch.is_inference_mode_enabled()


def test_arrays_and_lists_are_the_same_images(tmp_path: Path) -> None:
    expected = evaluate(Net(), IMAGES, LABELS, ("fgsm",), eps=0.1).outcomes.to_table()
    backwards = np.ascontiguousarray(IMAGES.numpy()[::-1])[::-1]
    given: list[tuple[Any, Any]] = [
        (IMAGES.numpy(), LABELS.tolist()),
        (backwards, LABELS.numpy().astype(np.uint8)),
        (IMAGES.tolist(), LABELS),
    ]
    for number, (images, labels) in enumerate(given):
        folder = str(tmp_path / f"{number}")
        evaluation = evaluate(Net(), images, labels, ("fgsm",), eps="0.1", folder=folder)
        assert evaluation.outcomes.to_table().equals(expected)
        assert read_outcomes(Path(folder) / "outcomes.parquet").to_table().equals(expected)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"images": "digits"}, DataError, r"images \(N, C, H, W\) as a tensor or an array, got str"),
        ({"images": [[1, 2], [3]]}, DataError, r"images .* as a tensor or an array, got list \(ValueError"),
        ({"labels": ["cat"] * 9}, DataError, r"labels \(N,\) as a tensor or an array, got list"),
        ({"labels": None}, DataError, r"labels \(N,\) as a tensor or an array, got NoneType"),
        ({"attacks": "fgsm"}, RnasError, "attacks: expected a list of names, such as .* got 'fgsm'"),
        ({"eps": "8/0"}, RnasError, "expected a number or a fraction such as 8/255, got '8/0'"),
        ({"settings": EvaluationConfig(save_images=1)}, RnasError, "save_images: expected 0 without a folder"),
    ],
)
def test_other_input_is_one_line(changed: dict[str, Any], error: type[RnasError], message: str) -> None:
    given: dict[str, Any] = {"images": IMAGES, "labels": LABELS, "attacks": ["fgsm"], **changed}
    with pytest.raises(error, match=message) as caught:
        evaluate(Net(), **given)
    assert "\n" not in str(caught.value)


def test_settings_and_what_is_given_beside_them() -> None:
    """Attacks and eps beside the settings replace theirs; left out, theirs hold; PGD steps a quarter of eps."""
    settings = EvaluationSettings(attacks=["pgd20", "fgsm"], eps=copy.deepcopy(EvaluationConfig().eps), images=6)
    first = evaluate(Net(), IMAGES, LABELS, settings=settings)
    assert [row.name for row in first.rows] == ["clean", "pgd20", "fgsm", "worst_case"]
    assert {row.images for row in first.rows} == {6}
    assert (first["pgd20"].settings["eps"], first["pgd20"].settings["step_size"]) == (8 / 255, 2 / 255)
    second = evaluate(Net(), IMAGES, LABELS, ["pgd20"], eps=0.2, settings=settings)
    assert [row.name for row in second.rows] == ["clean", "pgd20", "worst_case"]
    assert (second["pgd20"].settings["eps"], second["pgd20"].settings["step_size"]) == (0.2, 0.05)
