"""The suite beyond the paper's four attacks: transfer, corruptions, L2, margins, all of them resumed."""

import copy
import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnas.attacks import pgd_linf
from rnas.attacks.margins import logit_margin
from rnas.config import Distance
from rnas.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from rnas.errors import ConfigError, ModelError, RnasError, RunError, UnknownNameError
from rnas.evaluation import ATTACKS, EvaluationConfig, EvaluationSettings, evaluate, read_outcomes
from rnas.reports.wording import describe_settings
from rnas.seeding import derive

NEW = ("square", "apgd", "cw_search", "corruptions", "transfer")
SETTINGS = EvaluationSettings(
    eps=Distance("0.03"),
    eps_l2=Distance("0.1"),
    step_size=Distance("0.01"),
    square_queries=30,
    apgd_steps=5,
    cw_steps=20,
    cw_search_steps=20,
    batch_size=4,
)


class KilledError(Exception):
    """Stands for the end of the process."""


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    """A linear model whose 4 classes meet in grey, and 10 images, of which it gets all but one right."""
    torch.manual_seed(0)
    linear = nn.Linear(36, 4)
    with torch.no_grad():
        linear.bias.copy_(-0.5 * linear.weight.sum(dim=1))
    model = nn.Sequential(nn.Flatten(), linear)
    images = torch.rand(10, 1, 6, 6)
    labels = model(images).argmax(dim=1)
    labels[3] = (labels[3] + 1) % 4
    return model, images, labels


def other() -> tuple[str, nn.Module]:
    torch.manual_seed(5)
    return "other", nn.Sequential(nn.Flatten(), nn.Linear(36, 4))


def test_transfer_from_an_identical_linear_model_is_white_box() -> None:
    """There PGD ends in the corner of the ball from any start."""
    model, images, labels = problem()
    same = ("same", copy.deepcopy(model))
    evaluation = evaluate(model, images, labels, ("pgd20", "transfer"), settings=SETTINGS, second_model=same)
    white, black = (evaluation.outcomes.of(name) for name in ("pgd20", "transfer"))
    for column in ("prediction", "broken"):
        assert np.array_equal(getattr(white, column), getattr(black, column))
    for column in ("margin", "linf", "l2"):
        np.testing.assert_allclose(getattr(white, column), getattr(black, column), atol=1e-6)
    assert 1 < int(white.broken.sum()) < 10
    assert evaluation["worst_case"].settings["attacks"] == ["pgd20", "transfer"]


def test_transfer_is_crafted_on_one_model_and_judged_on_the_other() -> None:
    model, images, labels = problem()
    name, second = other()
    evaluation = evaluate(model, images, labels, ("transfer",), settings=SETTINGS, second_model=(name, second))
    rows = evaluation.outcomes.of("transfer")
    weight = second[1].weight.detach()  # type: ignore[index]
    gradient = torch.stack(
        [(second(images).softmax(dim=1)[row] @ weight - weight[labels[row]]).sign() for row in range(10)]
    ).view_as(images)
    # For a linear surrogate the direction changes little on the way: the corner that the first gradient points at.
    margins = logit_margin(model((images + 0.03 * gradient).clamp(0, 1)), labels).detach()
    correct = [row for row in range(10) if row != 3]
    np.testing.assert_allclose(rows.margin[correct], margins[correct], atol=0.02)
    settings = evaluation["transfer"].settings
    assert settings["from"] == "other"
    assert "from other" in describe_settings(settings)
    assert all(parameter.grad is None for parameter in second.parameters())


def test_corruptions_count_every_image_by_its_own_prediction(tmp_path: Path) -> None:
    model, images, labels = problem()
    evaluation = evaluate(model, images, labels, ("corruptions",), settings=SETTINGS, folder=tmp_path, seed=2)
    right = 0
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            part = f"corruptions/{name}/{severity}"
            corrupted = corrupt(images, name, severity=severity, seed=derive(2, part, 0))
            expected = model(corrupted).argmax(dim=1) == labels
            rows = evaluation.outcomes.of(part)
            assert rows.image.tolist() == list(range(10))
            assert (~rows.broken).tolist() == expected.tolist()
            np.testing.assert_allclose(rows.l2, (corrupted - images).flatten(1).norm(dim=1), rtol=1e-5)
            assert evaluation["corruptions"].parts[f"{name}/{severity}"] == pytest.approx(
                float(expected.float().mean())
            )
            right += int(expected.sum())
    row = evaluation["corruptions"]
    assert (row.images, row.robust) == (10 * 5 * len(CORRUPTIONS), right)
    assert row.accuracy == pytest.approx(sum(row.parts.values()) / len(row.parts))
    assert row.settings == {"severities": "1 to 5", "images": 10}
    # The interval is that of 10 images: no narrower for corrupting each of them many times.
    for end in (row.low, row.high):
        assert abs(row.accuracy - end) == pytest.approx(1.959964 * (end * (1 - end) / 10) ** 0.5, rel=1e-5)
    assert row.low < row.accuracy < row.high
    assert [other.name for other in evaluation.rows] == ["clean", "corruptions"]  # no worst case
    assert json.loads(json.dumps(evaluation.to_json())) == evaluation.to_json()


def test_outcomes_of_an_older_rule_are_not_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = problem()
    with monkeypatch.context() as older:
        older.setitem(CORRUPTIONS._items, "fog", dataclasses.replace(CORRUPTIONS["fog"], revision=1))
        evaluate(*asked, ("corruptions",), settings=SETTINGS, folder=tmp_path)
    with pytest.raises(RunError, match=r"another revision of corruptions/fog/1 \(None there, 2 here\)") as caught:
        evaluate(*asked, ("corruptions",), settings=SETTINGS, folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_corrupted_images_are_the_same_for_every_model() -> None:
    _, images, labels = problem()
    first, second = (
        evaluate(model, images, labels, ("corruptions",), settings=SETTINGS).outcomes
        for model in (problem()[0], other()[1])
    )
    assert np.array_equal(first.l2, second.l2)
    assert not np.array_equal(first.broken, second.broken)


def test_margins_are_those_of_the_logits() -> None:
    model, images, labels = problem()
    evaluation = evaluate(model, images, labels, ("fgsm",), settings=SETTINGS)
    clean, attacked = (evaluation.outcomes.of(name) for name in ("clean", "fgsm"))
    np.testing.assert_allclose(clean.margin, logit_margin(model(images), labels).detach(), atol=1e-6)
    assert clean.margin[3] < 0
    assert attacked.margin[3] == clean.margin[3]  # not attacked
    assert (attacked.margin <= clean.margin + 1e-6).all()
    assert ((attacked.margin < 0) == attacked.broken).all()


def test_l2_attacks_have_a_worst_case_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, labels = problem()
    evaluation = evaluate(model, images, labels, ("fgsm", "square_l2", "apgd_l2"), settings=SETTINGS)
    names = [row.name for row in evaluation.rows]
    assert names == ["clean", "fgsm", "square_l2", "apgd_l2", "worst_case", "worst_case_l2"]
    broken = evaluation.outcomes.of("square_l2").broken | evaluation.outcomes.of("apgd_l2").broken
    assert evaluation["worst_case_l2"].robust == int((~broken).sum())
    assert evaluation["worst_case_l2"].settings["attacks"] == ["square_l2", "apgd_l2"]
    assert evaluation["worst_case"].settings["attacks"] == ["fgsm"]
    assert evaluation.outcomes.of("square_l2", "apgd_l2").l2.max() <= 0.1 + 1e-6
    card = dataclasses.replace(ATTACKS["apgd_l2"], run=lambda _model, images, *_: (images + 0.1).clamp(0, 1))
    monkeypatch.setitem(ATTACKS._items, "apgd_l2", card)
    with pytest.raises(RnasError, match=r"APGD-T, L2 left its bound: a change of norm 0\.[45]\d*, eps_l2 is 0.1"):
        evaluate(model, images, labels, ("apgd_l2",), settings=SETTINGS)


@pytest.mark.parametrize(
    ("name", "title", "options"),
    [
        ("pgd3", "PGD-3", {"steps": 3}),
        ("pgd2x3", "PGD-2, 3 restarts", {"steps": 2, "restarts": 3}),
        ("pgd3_margin", "PGD-3, margin loss", {"steps": 3, "loss": "margin"}),
        ("pgd2x10_margin", "PGD-2, 10 restarts, margin loss", {"steps": 2, "restarts": 10, "loss": "margin"}),
    ],
)
def test_pgd_of_any_strength_by_its_name(name: str, title: str, options: dict[str, Any]) -> None:
    """The evaluation's outcomes are those of the attack called by hand with the batch's seed."""
    model, images, labels = problem()
    evaluation = evaluate(model, images, labels, (name,), settings=replace(SETTINGS, batch_size=10), seed=3)
    row, rows = evaluation[name], evaluation.outcomes.of(name)
    assert row.title == title
    assert options.items() <= row.settings.items()
    correct = [index for index in range(10) if index != 3]
    generator = torch.Generator().manual_seed(derive(3, name, 0))
    adversarial = pgd_linf(
        model, images[correct], labels[correct], eps=0.03, step_size=0.01, generator=generator, **options
    )
    np.testing.assert_allclose(
        rows.margin[correct], logit_margin(model(adversarial), labels[correct]).detach(), atol=1e-5
    )
    assert evaluation["worst_case"].settings["attacks"] == [name]


@pytest.mark.parametrize("name", ["pgd", "pgd0", "pgd020", "pgd20x1", "pgd20x0", "pgd20_dlr", "pgd20_margin_x2"])
def test_another_spelling_of_pgd_is_no_attack(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"no attack is called '{name}'.*pgd20"):
        EvaluationConfig(attacks=[name])


def test_settings_of_carlini_and_wagner_reach_it() -> None:
    model, images, labels = problem()
    strong = replace(SETTINGS, cw_c=20.0, cw_steps=60, cw_learning_rate=0.05)
    weak = evaluate(model, images, labels, ("cw",), settings=replace(SETTINGS, cw_c=0.0))
    assert weak["cw"].robust == weak["clean"].robust  # only the distance counts
    evaluation = evaluate(model, images, labels, ("cw",), settings=strong)
    assert evaluation["cw"].robust < weak["cw"].robust
    assert evaluation["cw"].settings == {
        "norm": "L2", "c": 20.0, "steps": 60, "learning_rate": 0.05, "attacked": "prepared", "images": 10
    }  # fmt: skip


def test_no_cheap_attack_is_called_autoattack() -> None:
    for name in ATTACKS:
        assert ("AutoAttack" in ATTACKS[name].title) == name.startswith("autoattack")


@pytest.mark.parametrize("batches", [1, 4, 5, 8, 20, 40])
def test_killed_anywhere_ends_the_same(batches: int, tmp_path: Path) -> None:
    """Square has 3 batches, APGD and each corruption 1, as they take several at once."""
    whole = evaluate(*problem(), NEW, settings=SETTINGS, second_model=other())
    left = [batches]

    def progress(**_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KilledError

    with pytest.raises(KilledError):
        evaluate(*problem(), NEW, settings=SETTINGS, second_model=other(), folder=tmp_path, progress=progress)
    resumed = evaluate(*problem(), NEW, settings=SETTINGS, second_model=other(), folder=tmp_path)
    assert resumed.outcomes.to_table().equals(whole.outcomes.to_table())
    assert read_outcomes(tmp_path / "outcomes.parquet").to_table().equals(whole.outcomes.to_table())
    assert [row.robust for row in resumed.rows] == [row.robust for row in whole.rows]


def test_progress_of_a_collection_is_one() -> None:
    calls: list[tuple[str, int, int]] = []
    evaluate(
        *problem(),
        ("corruptions",),
        settings=SETTINGS,
        progress=lambda attack, done, total, **_: calls.append((attack, done, total)),
    )
    members = 5 * len(CORRUPTIONS)
    expected = [("Common corruptions", 10 * (index + 1), 10 * members) for index in range(members)]
    assert [call for call in calls if call[0] != "Clean"] == expected


def test_other_settings_and_another_second_model_are_refused(tmp_path: Path) -> None:
    evaluate(*problem(), NEW, settings=SETTINGS, second_model=other(), folder=tmp_path)
    changed: list[tuple[str, dict[str, Any], str]] = [
        ("square", {"settings": replace(SETTINGS, square_queries=31)}, "queries of square"),
        ("apgd", {"settings": replace(SETTINGS, apgd_steps=6)}, "steps of apgd"),
        ("cw_search", {"settings": replace(SETTINGS, cw_search_steps=21)}, "steps of cw_search"),
        ("transfer", {"second_model": ("other", problem()[0])}, "weights of transfer"),
        ("transfer", {"second_model": ("another", other()[1])}, "from of transfer"),
    ]
    for name, change, what in changed:
        given = {"settings": SETTINGS, "second_model": other(), **change}
        with pytest.raises(RunError, match=f"holds outcomes for another {what}"):
            evaluate(*problem(), (name,), **given, folder=tmp_path)


def test_bad_input_is_one_line() -> None:
    model, images, labels = problem()
    with pytest.raises(ConfigError, match="transfer_from: expected a second model"):
        evaluate(model, images, labels, ("transfer",))
    two, narrow = (nn.Sequential(nn.Flatten(), nn.Linear(*shape)) for shape in ((36, 2), (35, 4)))
    with pytest.raises(ModelError, match="second model x: the model tells 2 classes apart, but the labels go up to 3"):
        evaluate(model, images, labels, ("transfer",), second_model=("x", two))
    with pytest.raises(ModelError, match=r"second model x: the model cannot take images of shape \(1, 6, 6\)"):
        evaluate(model, images, labels, ("transfer",), second_model=("x", narrow))
    with pytest.raises(ModelError, match="Square, L2 cannot attack this model: Square in L2 cannot tile images of 4x9"):
        evaluate(model, images.view(10, 1, 4, 9), labels, ("square_l2",))
    for key in ("cw_steps", "cw_search_steps", "square_queries", "apgd_steps"):
        with pytest.raises(ConfigError, match=f"{key}: expected at least 1, got 0"):
            EvaluationConfig(**{key: 0})  # type: ignore[arg-type]
