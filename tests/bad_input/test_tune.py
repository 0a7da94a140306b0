"""What can be wrong with `rnas tune` costs one line, exit code 2, and no run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from tests.refusals import Refused

from rnas.cli import main

pytest.importorskip("optuna")

BOUND = "--space search.constraint.bound=40%..95%"
RATE = "--space training.learning_rate=0.01..0.2:log"

CASES = {
    "": ("expected one recipe: rnas tune RECIPE", "quickstart"),
    "quikstart": ("no recipe is called 'quikstart'", "did you mean 'quickstart'?"),
    "quickstart small-cifar10": ("expected one recipe",),
    "quickstart": ("space: expected at least one --space SETTING=RANGE",),
    "quickstart --space": ("space: expected SETTING=RANGE", "got ''"),
    "quickstart --space search.constraint.bound": ("space: expected SETTING=RANGE",),
    "quickstart --space missing.yaml": ("space: missing.yaml: No such file",),
    "quickstart --space search.constraint.bond=40%..95%": ("'search.constraint.bond'", "search.constraint.bound"),
    "quickstart --space lr=0.1..0.2": ("no setting is called 'lr'", "training.learning_rate"),
    "quickstart --space bound=40%..95%": ("no setting is called 'bound'", "search.constraint.bound"),
    f"quickstart {BOUND} {BOUND}": ("each setting once",),
    "quickstart --space search.constraint.bound=95%..40%": ("search.constraint.bound", "the lower one"),
    "quickstart --space search.constraint.bound=0%..95%": ("bound cannot be 0%", "expected H > 0"),
    "quickstart --space search.channels=2..5": ("search.channels cannot be 3", "an even integer"),
    "quickstart --space search.channels=2.5..5": ("search.channels", "expected", "int", "2.5"),
    "quickstart --space training.momentum=0.0..1.5": ("training.momentum cannot be 1.5", "a number in [0, 1)"),
    "quickstart --space search.algorithm=rnas,lagest": ("search.algorithm cannot be lagest", "did you mean 'largest'?"),
    "quickstart --space training.objective=pgd_at,mrt --evaluation.eps 0.1": ("cannot be mrt", "did you mean 'mart'?"),
    "quickstart --space search.constraint.bound=80%": ("two values or more, at most", "only 80%"),
    "quickstart --space evaluation.eps=0.1..0.2": ("evaluation.eps cannot be varied",),
    "quickstart --space baseline.name=vgg16,resnet18": ("baseline.name cannot be varied",),
    "quickstart --space out=a,b": ("out cannot be varied",),
    "quickstart --space search.attack=a,b": ("search.attack: expected one of its settings", "search.attack.eps"),
    "quickstart --space training.attack.eps=0.05,0.1 --evaluation.eps null": ("evaluation.eps: expected a distance",),
    f"quickstart {BOUND} --objectives clean,pgd21": ("objectives: pgd21 is not measured", "--evaluation.attacks"),
    f"quickstart {BOUND} --objectives clen": ("no objective is called 'clen'", "did you mean 'clean'?"),
    f"quickstart {BOUND} --objectives clean,square": ("objectives: square is not measured", "--evaluation.attacks"),
    f"quickstart {BOUND} --objectives certified/intervl": ("'intervl'", "did you mean 'interval'?"),
    f"quickstart {BOUND} --objectives certified/smoothing": ("smoothing certifies smoothed models only",),
    f"quickstart {BOUND} --certification.methods crown": ("certification.methods: expected none",),
    f"quickstart {BOUND} --objectives worst_case_l2": ("worst_case_l2 is not measured",),
    f"quickstart {BOUND} --objectives []": ("objectives: expected at least one",),
    f"quickstart {BOUND} --objectives clean,clean": ("each objective once",),
    "quickstart --space search.constraint.metric=kl,gaussian_kl --objectives F,clean": ("no F where",),
    f"quickstart {BOUND} --sampler tpee": ("sampler: no sampler is called 'tpee'", "did you mean 'tpe'?"),
    f"quickstart {RATE} --sampler grid": ("training.learning_rate: expected a finite number", ":points=5"),
    f"quickstart {BOUND} --trials 0": ("trials: expected an integer >= 1, got 0",),
    f"quickstart {BOUND} --population 1": ("population: expected an integer >= 2",),
    f"quickstart {BOUND} --workers 3": ("workers: expected at most batch (1)", "--batch 3", "--sampler random"),
    f"quickstart {BOUND} --engine rey": ("no engine is called 'rey'", "did you mean 'ray'?"),
    f"quickstart {BOUND} --data ./absent": ("./absent", "no such file or folder"),
    f"quickstart {BOUND} --recipe quikstart": ("quikstart", "did you mean 'quickstart'?"),
    f"quickstart {BOUND} --network.name vgg16": ("network: expected null for name and genotype",),
    "quickstart --space {a:": ("space", "not YAML"),
    "quickstart --space {a:[]}": ("space",),
    "--resume nothing": ("nothing is not a run directory",),
}


@pytest.mark.parametrize("arguments", CASES)
def test_one_line_and_nothing_made(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(f"tune {arguments}", *CASES[arguments])


def test_optuna_is_missing(monkeypatch: pytest.MonkeyPatch, refused: Refused, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else real(name))
    refused(f"tune quickstart {BOUND}", "optuna is not installed", "pip install 'rnas[tune]'")


def test_a_folder_of_another_space_or_of_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    from tests.tuning import fake_recipe

    import rnas.commands.trial as trial_module

    monkeypatch.setattr(trial_module, "complete_recipe", fake_recipe.complete_recipe)
    monkeypatch.chdir(tmp_path)
    study = "tune quickstart --evaluation.attacks pgd20 --out study --sampler random --trials 2"
    assert main([*f"{study} {BOUND}".split()]) == 0
    for other, words in (
        ("--space search.constraint.bound=40%..90%", ("search.constraint.bound = 40%..95%", "now 40%..90%")),
        (f"{BOUND} {RATE}", ("space.training.learning_rate",)),
        (f"{BOUND} --objectives clean", ("objectives",)),
        (f"{BOUND} --sampler tpe", ("sampler = random, now tpe",)),
        (f"{BOUND} --seed 1", ("seed = 0, now 1",)),
        (f"{BOUND} --training.epochs 3", ("training.epochs",)),
    ):
        refused(f"{study} {other}", "study was made with", "choose another --out", *words)
    journal = Path("study/journal.log")
    whole = journal.read_text()
    for broken in ("nonsense\n", whole.replace('"op_code"', '"up_code"'), whole[: len(whole) // 2] + "\n" + whole):
        journal.write_text(broken)
        refused(f"{study} {BOUND} --trials 3", "study/journal.log is damaged", apart=("study",))
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("not a study")
    refused(f"tune quickstart {BOUND} --out mine", "mine is not a run directory")
