"""Robust accuracies: counted from outcomes, with intervals, over the right images, by attacks that keep the rules."""

import dataclasses
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import fgsm
from rnas.config import Distance
from rnas.errors import ConfigError, DataError, ModelError, RnasError, UnknownNameError
from rnas.evaluation import ATTACKS, Evaluation, EvaluationConfig, EvaluationSettings, Outcomes, evaluate, session

QUICK = ("fgsm", "pgd20", "cw")


@pytest.fixture(scope="module")
def digits() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network that knows the digits, and 60 of them as bytes."""
    bunch = load_digits()
    images = torch.tensor(bunch.images / 16 * 255).round().byte().unsqueeze(1)
    labels = torch.tensor(bunch.target)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    adam = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(30):
        adam.zero_grad()
        F.cross_entropy(network(images[60:].float() / 255), labels[60:]).backward()
        adam.step()
    network.zero_grad()
    labels = labels[:60].clone()
    labels[7] = (labels[7] + 1) % 10  # at least one is misclassified
    return network.train(), images[:60], labels


class Cheating(nn.Module):
    """A linear model of 4 classes whose logits for its nth batch are replaced."""

    def __init__(self, replaced: float, batch: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
        self.replaced, self.left = replaced, batch

    def forward(self, images: Tensor) -> Tensor:
        self.left -= 1
        logits: Tensor = self.inner(images)
        return logits if self.left else logits * 0 + self.replaced


def test_rows_agree_with_a_count_by_hand(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = digits
    evaluation = evaluate(network, images, labels, QUICK, eps=0.1, settings=EvaluationSettings(batch_size=60))
    floats = images.float() / 255
    network.eval()
    clean = network(floats).argmax(dim=1) == labels
    attacked = network(fgsm(network, floats, labels, eps=0.1)).argmax(dim=1) == labels
    network.train()
    assert evaluation["clean"].robust == int(clean.sum())
    assert evaluation["fgsm"].robust == int((clean & attacked).sum())
    assert 0 < evaluation["fgsm"].robust < evaluation["clean"].robust < 60
    assert [row.name for row in evaluation.rows] == ["clean", "fgsm", "pgd20", "cw", "worst_case"]
    # From the columns alone, as somebody with only the parquet file would do it.
    outcomes = evaluation.outcomes
    assert len(outcomes) == 4 * 60
    survivors = set(range(60))
    for name in QUICK:
        rows = outcomes.of(name)
        assert rows.image.tolist() == list(range(60))
        assert rows.label.tolist() == labels.tolist()
        assert (rows.broken == (rows.prediction != rows.label)).all()
        skipped = rows.clean_prediction != rows.label
        assert (rows.clean_prediction == outcomes.of("clean").prediction).all()
        assert rows.broken[skipped].all()
        assert (rows.prediction == rows.clean_prediction)[skipped].all()
        assert (rows.linf[skipped] == 0).all()
        assert (rows.l2[skipped] == 0).all()
        assert (rows.linf <= rows.l2 + 1e-6).all()
        if name != "cw":  # which eps does not bound, and which the worst case leaves out
            assert (rows.linf <= 0.1 + 1e-6).all()
            survivors &= set(rows.image[~rows.broken].tolist())
    assert evaluation["worst_case"].robust == len(survivors)
    assert evaluation["worst_case"].robust <= min(evaluation[name].robust for name in ("fgsm", "pgd20"))
    assert evaluation["worst_case"].settings["attacks"] == ["fgsm", "pgd20"]


def test_json_has_the_agreed_keys(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = digits
    rows = evaluate(network, images, labels, ("fgsm", "pgd20"), eps=0.1).to_json()
    assert rows == json.loads(json.dumps(rows))
    for row in rows:
        keys = ["name", "title", "images", "robust", "accuracy", "low", "high"]
        keys += ["median_l2", "settings", "source", "seconds", "parts", "entry"]
        assert list(row) == keys
        assert row["accuracy"] == row["robust"] / row["images"]
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
        # Wilson: the ends are the p for which the observed share is 1.96 standard deviations away.
        for end in (row["low"], row["high"]):
            deviation = (end * (1 - end) / row["images"]) ** 0.5
            assert abs(row["accuracy"] - end) == pytest.approx(1.959964 * deviation, rel=1e-5)
    assert rows[2]["settings"] == {
        "norm": "Linf",
        "eps": 0.1,
        "step_size": 0.1 / 4,
        "steps": 20,
        "images": 60,
        "attacked": "prepared",
    }


def test_bytes_and_floats_are_the_same_images(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = digits
    first = evaluate(network, images, labels, ("fgsm",), settings=EvaluationSettings(batch_size=60))
    second = evaluate(
        network, images.float() / 255, labels.int(), ("fgsm",), settings=EvaluationSettings(batch_size=60)
    )
    assert first.outcomes.to_table().equals(second.outcomes.to_table())


def test_the_seed_decides(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = digits

    def distances(seed: int) -> Any:
        settings = EvaluationSettings(batch_size=25)
        evaluation = evaluate(network, images, labels, ("pgd20",), seed=seed, settings=settings)
        return evaluation.outcomes.of("pgd20").l2.tolist()

    torch.manual_seed(1)
    first = distances(0)
    torch.manual_seed(2)
    assert distances(0) == first
    assert distances(1) != first


def test_autoattack_on_a_stratified_subset(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = digits
    # At this bound the first of its four attacks leaves nothing to the others.
    evaluation = evaluate(
        network, images, labels, ("fgsm", "autoattack"), eps=0.9, settings=EvaluationSettings(autoattack_images=20)
    )
    row = evaluation["autoattack"]
    assert row.title == "AutoAttack (20 of 60 images)"
    assert (row.images, row.robust) == (20, 0)
    assert row.settings == {"norm": "Linf", "eps": 0.9, "version": "standard", "images": 20, "attacked": "prepared"}
    assert sorted(set(evaluation.outcomes.of("autoattack").label.tolist())) == list(range(10))
    worst = evaluation["worst_case"]
    assert worst.settings["attacks"] == ["fgsm", "autoattack"]
    assert (worst.title, worst.images, worst.robust) == ("Worst case, Linf (20 of 60 images)", 20, 0)
    everything = evaluate(
        network, images, labels, ("autoattack",), eps=0.9, settings=EvaluationSettings(autoattack_images=1000)
    )
    assert everything["autoattack"].title == "AutoAttack"
    assert everything["worst_case"].robust == everything["autoattack"].robust


def test_no_attack_is_the_clean_accuracy(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    evaluation = evaluate(*digits, attacks=())
    assert [row.name for row in evaluation.rows] == ["clean"]
    assert evaluation.table()[0][:2] == ("Clean", f"{evaluation['clean'].robust}/60")


def test_everything_misclassified(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, _ = digits
    network.eval()
    labels = (network(images.float() / 255).argmax(dim=1) + 1) % 10
    evaluation = evaluate(network, images, labels, ("fgsm", "autoattack"))
    assert [row.robust for row in evaluation.rows] == [0, 0, 0, 0]
    assert evaluation["fgsm"].low == 0
    assert evaluation["fgsm"].median_l2 is None


def test_median_norm_of_what_broke_images(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    """By hand from the columns; what was misclassified from the start was not changed and does not count."""
    evaluation = evaluate(*digits, ("fgsm",), eps=0.1)
    rows = evaluation.outcomes.of("fgsm")
    changed = rows.l2[rows.broken & (rows.clean_prediction == rows.label)]
    assert 0 < len(changed) < int(rows.broken.sum())
    assert evaluation["fgsm"].median_l2 == pytest.approx(float(np.median(changed)))
    assert evaluation["clean"].median_l2 is None
    assert evaluation["fgsm"].source == "Goodfellow et al., ICLR 2015"


def test_model_is_untouched(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = digits
    network.train()
    next(iter(network.children())).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    generator = torch.get_rng_state()

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    evaluate(network, images, labels, QUICK)
    with pytest.raises(KeyboardInterrupt):
        evaluate(network, images, labels, QUICK, progress=interrupt)
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_progress_counts_images(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = digits
    calls: list[dict[str, Any]] = []
    evaluation = evaluate(
        network,
        images,
        labels,
        ("fgsm",),
        settings=EvaluationSettings(batch_size=25),
        progress=lambda **values: calls.append(values),
    )
    assert [(call["attack"], call["done"], call["total"]) for call in calls] == [
        (title, done, 60) for title in ("Clean", "FGSM") for done in (25, 50, 60)
    ]
    assert calls[2]["robust_accuracy"] == pytest.approx(evaluation["clean"].accuracy)
    assert calls[5]["robust_accuracy"] == pytest.approx(evaluation["fgsm"].accuracy)


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        (0.2, "FGSM left its bound: a pixel changed by 0.2, eps is 0.1"),
        (0.6, r"FGSM left \[0, 1\]: its images have values from 1.1 to 1.1"),
        (float("nan"), r"FGSM left \[0, 1\]: its images have values from nan to nan"),
    ],
)
def test_an_attack_that_breaks_the_rules_is_caught(shift: float, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    card = dataclasses.replace(ATTACKS["fgsm"], run=lambda _model, images, *_: images + shift)
    monkeypatch.setitem(ATTACKS._items, "fgsm", card)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    images = torch.full((3, 1, 2, 2), 0.5)
    with pytest.raises(RnasError, match=message):
        evaluate(model, images, model(images).argmax(dim=1), ("fgsm",), eps=0.1)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"images": torch.rand(4, 1, 2, 2) + 1}, DataError, r"expected finite images in \[0, 1\], got values from 1"),
        ({"images": torch.full((4, 1, 2, 2), torch.nan)}, DataError, r"expected finite images .* from nan"),
        ({"images": torch.rand(4, 2, 2)}, DataError, r"expected images \(N, C, H, W\), uint8 or floating point"),
        ({"images": torch.ones(4, 1, 2, 2).long()}, DataError, "uint8 or floating point, got torch.int64"),
        ({"images": torch.rand(0, 1, 2, 2), "labels": torch.zeros(0).long()}, DataError, "at least one image"),
        ({"labels": torch.zeros(3).long()}, DataError, r"expected 4 integer labels, got torch.int64 of shape \(3,\)"),
        ({"labels": torch.zeros(4)}, DataError, "expected 4 integer labels, got torch.float32"),
        ({"labels": torch.tensor([0, 1, 2, -1])}, DataError, "expected labels >= 0, got -1"),
        ({"labels": torch.tensor([0, 1, 2, 4])}, ModelError, "tells 4 classes apart, but the labels go up to 4"),
        (
            {"images": torch.rand(4, 3, 2, 2)},
            ModelError,
            r"cannot take images of shape \(3, 2, 2\): RuntimeError: mat1",
        ),
        ({"model": Cheating(torch.nan, 1)}, ModelError, "the model's logits are not finite"),
        ({"model": Cheating(torch.nan, 3)}, ModelError, "logits for the clean images are not finite"),
        ({"model": Cheating(torch.nan, 5)}, ModelError, "FGSM cannot attack this model: the model's logits are not"),
        (
            {"model": Cheating(torch.inf, 5).forward},
            ModelError,
            "logits for the adversarial images of FGSM are not finite",
        ),
        ({"model": "resnet18"}, ModelError, "expected a model that can be called, got str"),
        ({"model": nn.Identity()}, ModelError, r"expected logits of shape \(2, classes\) for 2 images, got \(2, 1, 2"),
        ({"model": lambda batch: [batch]}, ModelError, "expected logits of shape .* got list"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), "labels": torch.tensor([0, 1, 2, 2])},
            ModelError,
            "AutoAttack needs at least 4 classes, the model has 3",
        ),
        ({"attacks": ("fgsm", "pdg20")}, UnknownNameError, "attacks: no attack is called 'pdg20'; did you mean"),
        ({"attacks": ("fgsm", "fgsm")}, ConfigError, "attacks: expected each attack once"),
        ({"eps": -1}, ConfigError, "expected a finite distance >= 0"),
        ({"settings": {"step_size": Distance(0)}}, ConfigError, "step_size: expected a finite distance > 0, got 0"),
        ({"settings": {"batch_size": 0}}, ConfigError, "batch_size: expected at least 1, got 0"),
        ({"settings": {"autoattack_images": 0}}, ConfigError, "autoattack_images: expected null or at least 1, got 0"),
    ],
)
def test_bad_input_is_one_line(
    changed: dict[str, Any], error: type[RnasError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which would use up the batches that are counted.
    monkeypatch.setattr(session, "examine", lambda *_, **__: ())
    given: dict[str, Any] = {
        "model": Cheating(0, -1),
        "images": torch.rand(4, 1, 2, 2),
        "labels": torch.zeros(4).long(),
        "attacks": ("fgsm", "autoattack"),
        **changed,
    }
    # A method is no module and has no view, which would count for itself.
    cheating = getattr(given["model"], "__self__", given["model"])
    if isinstance(cheating, Cheating) and changed.get("model") is not None:
        given["labels"] = cheating.inner(given["images"]).argmax(dim=1)
    with pytest.raises(error, match=message) as caught:
        evaluate(**{**given, "settings": EvaluationSettings(**given.get("settings", {}))})
    assert "\n" not in str(caught.value)


def test_config_checks_itself_and_keeps_fractions() -> None:
    config = EvaluationConfig()
    assert config.attacks == ["fgsm", "pgd20", "cw", "autoattack"]
    assert (str(config.eps), config.pgd_step) == ("8/255", 2 / 255)
    assert str(EvaluationConfig(eps=Distance("0.05")).eps) == "0.05"
    with pytest.raises(ConfigError, match=r"images: expected null or at least 1, got 0"):
        EvaluationConfig(images=0)
    with pytest.raises(UnknownNameError, match="no attack is called 'fgms'; did you mean 'fgsm'"):
        EvaluationConfig(attacks=["fgms"])


def test_evaluation_from_outcomes_alone() -> None:
    """Two images, two attacks, each breaking another one: the worst case is 0."""
    image = torch.tensor([0, 1] * 3).numpy()
    prediction = torch.tensor([0, 0, 1, 0, 0, 1]).numpy()
    outcomes = Outcomes(
        image=image,
        label=image * 0,
        clean_prediction=image * 0,
        attack=torch.zeros(6).numpy().astype(str),
        prediction=prediction,
        broken=prediction != 0,
        margin=image * 0.0,
        linf=image * 0.0,
        l2=image * 0.0,
        denied=image < 0,
    )
    names = ["clean", "clean", "fgsm", "fgsm", "pgd20", "pgd20"]
    outcomes = dataclasses.replace(outcomes, attack=outcomes.attack.astype("U8"))
    outcomes.attack[:] = names
    evaluation = Evaluation(outcomes, {"clean": {}, "fgsm": {}, "pgd20": {}}, {"clean": 0.0, "fgsm": 1.0, "pgd20": 2.0})
    assert [row.robust for row in evaluation.rows] == [2, 1, 1, 0]
    assert evaluation["worst_case"].seconds == 3
    assert evaluation["worst_case"].title == "Worst case, Linf"


def test_configuration_comes_without_torch() -> None:
    """The command line checks names of attacks before anything slow is imported."""
    code = (
        "import sys; from rnas.evaluation import ATTACKS, EvaluationConfig as C; C(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
