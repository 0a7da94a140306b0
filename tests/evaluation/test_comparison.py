"""Attacks that contradict each other are flagged, whichever images each of them saw."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from rnas.evaluation import ATTACKS, Evaluation, Outcomes, evaluate
from rnas.evaluation.attacking import remarks_of
from rnas.evaluation.comparison import compare
from rnas.evaluation.summary import wilson
from rnas.run.attack_results import Check


def outcomes(**attacks: dict[int, bool]) -> Outcomes:
    """Which images each attack broke; the clean images are those of all of them."""
    images = sorted({image for broken in attacks.values() for image in broken})
    rows = [("clean", image, False) for image in images]
    rows += [(name, image, broken) for name, some in attacks.items() for image, broken in some.items()]
    names, image, broken = (np.array(column) for column in zip(*rows, strict=True))
    zero = image * 0
    return Outcomes(
        image, zero, zero, names, broken.astype(np.int64), broken, zero * 0.1, zero * 0.1, zero * 0.1, zero > 0
    )


def seen(*broken: bool, first: int = 0) -> dict[int, bool]:
    return dict(enumerate(broken, start=first))


def verdicts(name: str, **attacks: dict[int, bool]) -> list[Check]:
    return [check for check in compare(outcomes(**attacks)) if check.name == name]


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        ("pgd20", "autoattack"),
        ("pgd100x10_margin", "autoattack_plus"),
        ("apgd_l2", "autoattack_l2"),
        ("cw", "cw_search"),
    ],
)
def test_the_stronger_attack_must_win_on_the_images_that_both_saw(weak: str, strong: str) -> None:
    def verdict(first: dict[int, bool], second: dict[int, bool]) -> Check:
        (check,) = verdicts("stronger", **{weak: first, strong: second})
        return check

    assert verdict(seen(True, False, True, False), seen(True, False, first=2)).passed
    stronger = verdict(seen(False, False, True, True), seen(True, False, first=2))
    assert not stronger.passed
    assert stronger.finding.startswith("of the same 2 images ")
    # Images that the stronger one did not see say nothing about it.
    assert verdict(seen(True, True, False, True), seen(False, True, first=2)).passed


def test_what_surpasses_an_attack_is_an_attack_within_the_same_norm() -> None:
    surpassed = {name: ATTACKS[name].surpassed_by for name in [*ATTACKS, "pgd5"]}
    assert surpassed["pgd5"] == surpassed["fgsm"] == ("autoattack", "autoattack_plus")
    for name, better in surpassed.items():
        assert {ATTACKS[other].norm for other in better} <= {ATTACKS[name].norm}
    assert [name for name in ATTACKS if ATTACKS[name].black_box] == ["square", "square_l2", "transfer"]
    assert not ATTACKS["pgd9"].thorough
    assert ATTACKS["pgd10"].thorough


def test_attacks_that_are_not_comparable_are_not_compared() -> None:
    assert verdicts("stronger", pgd20=seen(True, True), autoattack_l2=seen(False, False)) == []
    assert verdicts("stronger", pgd20=seen(True), autoattack=seen(False, first=1)) == []
    assert verdicts("black_box", square=seen(True, True), fgsm=seen(False, False)) == []
    assert verdicts("black_box", square=seen(True, True), apgd_l2=seen(False, False)) == []


def test_what_only_a_black_box_breaks_is_a_sign_of_masking() -> None:
    none = [False] * 50
    half = [True] * 25 + [False] * 25
    (masked,) = verdicts("black_box", square=seen(*half), pgd20=seen(*none), apgd=seen(*none))
    assert not masked.passed
    says = "25 of 50 images are broken by Square and not by PGD-20 and APGD-CE + APGD-T: gradients are masked"
    assert masked.finding == says
    # A black box may be as strong as it likes where any gradient finds the same.
    (honest,) = verdicts(
        "black_box", square=seen(*half), transfer=seen(*half), pgd20=seen(*none), autoattack=seen(*half)
    )
    assert honest.passed
    (single,) = verdicts("black_box", transfer=seen(True, *none), pgd100=seen(False, *none))
    assert single.passed  # one image may fall either way
    (two,) = verdicts("black_box", square_l2=seen(True, True, *none), autoattack_l2=seen(False, False, *none))
    assert not two.passed


def test_remarks_of_the_authors_code_are_doubts() -> None:
    said = compare(outcomes(autoattack=seen(True, False)), {"autoattack": ["output is random"]})
    assert [(check.passed, check.finding) for check in said if check.name == "remarks"] == [
        (False, "AutoAttack: output is random")
    ]


def test_autoattack_remarks_reach_the_result() -> None:
    """Images in eight levels: no gradient, so that Square alone breaks images, which the authors' code remarks on."""
    torch.manual_seed(0)
    linear = nn.Linear(36, 4)
    with torch.no_grad():
        linear.bias.copy_(-0.5 * linear.weight.sum(dim=1))

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), linear)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.inner((images * 7).round() / 7)
            return logits

    images = torch.rand(12, 1, 6, 6)
    labels = Steps()(images).argmax(dim=1)
    evaluation = evaluate(Steps(), images, labels, ("autoattack",), eps=0.06)
    findings = [check.finding for check in evaluation.sanity if check.name == "remarks"]
    assert any(
        finding.startswith("AutoAttack: Square Attack has decreased the robust accuracy") for finding in findings
    )


def test_only_what_attacks_remark_is_kept() -> None:
    def action() -> int:
        warnings.warn("APGD: zero gradients", RuntimeWarning, stacklevel=1)
        warnings.warn("invalid value", RuntimeWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return 3

    with pytest.warns() as others:
        assert remarks_of(action) == (3, ["zero gradients"])
    assert [str(warning.message) for warning in others] == ["invalid value", "old"]


def test_the_worst_case_is_that_of_the_images_that_all_attacks_saw() -> None:
    attacks = {"fgsm": seen(False, False, True, True), "autoattack": seen(True, False, first=1)}
    settings: dict[str, dict[str, str | int | float]] = {"clean": {}, **{name: {} for name in attacks}}
    evaluation = Evaluation(outcomes(**attacks), settings, dict.fromkeys(settings, 0.0))
    worst = evaluation["worst_case"]
    assert (worst.title, worst.images, worst.robust) == ("Worst case, Linf (2 of 4 images)", 2, 0)
    assert worst.settings["attacks"] == ["fgsm", "autoattack"]
    assert worst.accuracy <= min(evaluation["autoattack"].accuracy, 1.0)


def test_wilson_is_that_of_scipy_for_counts() -> None:
    from scipy.stats import binomtest

    for successes, count in ((0, 1), (0, 20), (3, 7), (50, 64), (64, 64), (811, 1000)):
        interval = binomtest(successes, count).proportion_ci(0.95, method="wilson")
        assert wilson(successes / count, count) == pytest.approx((interval.low, interval.high), abs=1e-12)
    low, high = wilson(0.87, 12)
    assert low < 0.87 < high
