"""The table: its values are those of results.json, its best is the best, its names are harmless."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rnas.errors import RunError
from rnas.reports import html_table, markdown_table, rich_table
from rnas.reports.figures.dots import accuracy_figure
from rnas.reports.tables import columns
from rnas.reports.wording import (
    describe_conditions,
    describe_distance,
    describe_eps,
    describe_images,
    describe_settings,
)
from rnas.run.attack_results import AttackResult, Check
from rnas.run.contents import load_results
from rnas.run.results import ModelResults, read_results


def model(name: str, accuracies: dict[str, float], images: int = 100, **data: Any) -> ModelResults:
    attacks = [
        {"name": attack, "title": attack.upper(), "images": images, "accuracy": value, "low": 0.0, "high": 1.0}
        for attack, value in accuracies.items()
    ]
    document = {"model": {"name": name}, "data": {"fingerprint": "a", "images": 100, **data}, "attacks": attacks}
    return ModelResults.from_json(document, "results.json", name="folder")


def terminal(models: tuple[ModelResults, ...], width: int = 100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(rich_table(models))
    return console.export_text()


def test_values_are_those_of_the_results(run_folder: Path) -> None:
    models = load_results(run_folder)
    assert [result.name for result in models] == ["searched", "resnet18"]
    tables = (str(html_table(models)), markdown_table(models), terminal(models))
    for name in ("searched", "resnet18"):
        document = json.loads((run_folder / name / "results.json").read_text(encoding="utf-8"))
        assert len(document["attacks"]) == 6
        for attack in document["attacks"]:
            for table in tables:
                assert f"{100 * attack['accuracy']:.1f}%" in table
                assert f"[{100 * attack['low']:.1f}, {100 * attack['high']:.1f}]" in table
        for table in tables:
            assert f"{document['model']['parameters']:,}" in table


def test_best_of_each_column_is_bold() -> None:
    models = tuple(model(name, {"clean": clean, "fgsm": 0.4}) for name, clean in (("a", 0.9), ("b", 0.8), ("c", 0.9)))
    # Where all are equal, none is best.
    assert [column.best for column in columns(models)] == [frozenset({0, 2}), frozenset()]
    assert str(html_table(models)).count("<strong>") == 2
    assert "**90.0%**" in markdown_table(models)
    assert "**80.0%**" not in markdown_table(models)


def test_a_doubted_accuracy_is_not_the_best() -> None:
    doubted = replace(model("b", {"fgsm": 0.9}), sanity=(Check("gradients", False, "zero"),))
    believed = replace(model("a", {"fgsm": 0.4}), sanity=(Check("gradients", True, "not zero"),))
    assert columns((doubted, believed))[0].best == frozenset({1})
    assert columns((doubted, doubted))[0].best == frozenset()


def test_the_title_names_eps() -> None:
    models = [
        replace(model(name, {"fgsm": 0.5}), radius=eps) for name, eps in (("a", "0.1"), ("b", "0.1"), ("c", "8/255"))
    ]
    assert describe_eps(models[:2]) == "eps = 0.1"
    assert describe_eps(models) == "a: eps = 0.1; b: eps = 0.1; c: eps = 8/255"
    assert describe_eps([model("old", {"fgsm": 0.5})]) == ""
    assert "intervals, eps = 0.1" in " ".join(terminal((models[0],)).split())


def test_headings_say_in_what_the_models_differ() -> None:
    """Unlike things stand in one table only if each heading says so; what all share is not repeated."""
    plain = replace(model("a", {"fgsm": 0.5}), data="cifar10")
    small = replace(plain, size=(8, 8), radius="0.1", radius_from="training")
    large = replace(plain, name="b", size=(32, 32), radius="0.1")
    digits = replace(plain, name="c", data="digits", size=(8, 8), radius="8/255")
    old = replace(plain, name="d")
    assert describe_conditions((small, replace(small, name="e"), old)) == ("", "", "")
    assert describe_conditions((small, large, old)) == ("8 x 8 pixels", "32 x 32 pixels", "")
    assert describe_conditions((small, digits)) == ("cifar10, eps = 0.1", "digits, eps = 8/255")
    for models in ((small, digits), (small, large, digits), (small, large, digits, old, replace(old, name="e"))):
        for table in (str(html_table(models)), markdown_table(models), terminal(models, width=200)):
            for condition in describe_conditions(models):
                assert all(word in table for word in condition.split(", "))
        labels = [text.get_text() for text in accuracy_figure(models).legends[0].get_texts()]
        assert labels == [
            "\n".join(filter(None, (model.name, condition)))
            for model, condition in zip(models, describe_conditions(models), strict=True)
        ]


@pytest.mark.parametrize("size", ["8x8", [8], [8, 0], [8, 8.5], [True, 8]])
def test_a_damaged_size_is_one_line(size: object) -> None:
    with pytest.raises(RunError, match="'size' should be height and width in pixels"):
        model("a", {"fgsm": 0.5}, size=size)


@pytest.mark.parametrize(
    "other",
    [
        model("b", {"clean": 0.8}, fingerprint="b"),
        model("b", {"clean": 0.8}, images=50),
        model("b", {"fgsm": 0.8}),
    ],
)
def test_nothing_is_best_where_there_is_nothing_to_compare(other: ModelResults) -> None:
    assert all(not column.best for column in columns((model("a", {"clean": 0.9}), other)))


def test_subsets_are_named(run_folder: Path) -> None:
    models = load_results(run_folder)
    for table in (str(html_table(models)), markdown_table(models), terminal(models)):
        assert table.count("64 of 256") == 1
    mixed = (model("a", {"fgsm": 0.9}), model("b", {"fgsm": 0.9}, images=50))
    for table in (str(html_table(mixed)), markdown_table(mixed), terminal(mixed)):
        assert "100 images" in table
        assert "50 images" in table


def test_columns_stand_mildest_first_and_gaps_are_named() -> None:
    models = (model("a", {"pgd20": 0.5, "own": 0.4, "clean": 0.9}), model("b", {"autoattack": 0.3}))
    assert [column.name for column in columns(models)] == ["clean", "pgd20", "autoattack", "own"]
    assert markdown_table(models).count("not run") == 4
    assert str(html_table(models)).count("not run") == 4
    assert terminal(models).count("not run") == 4


def test_names_are_escaped() -> None:
    evil = "<script>alert('1')</script> [red]x[/red] | `a`"
    models = (model(evil, {"clean": 0.9}),)
    assert "<script>" not in html_table(models)
    assert html.escape("<script>", quote=True) in html_table(models)
    line = markdown_table(models).splitlines()[2]
    assert "<" not in line
    assert line.replace("\\|", "").count("|") == 4
    assert "[red]x[/red]" in " ".join(terminal(models, width=200).split())


def test_terminal_table_fits_eighty_columns(run_folder: Path) -> None:
    shown = terminal(load_results(run_folder), width=80)
    assert "[72.7, 82.8]" in shown
    assert "11,173,962" in shown


def test_distances_are_grey_levels() -> None:
    settings = {"eps": 8 / 255, "step_size": 2 / 255, "steps": 20, "norm": "Linf"}
    assert describe_settings(settings) == "eps 8/255, step size 2/255, steps 20, norm Linf"
    assert describe_settings({"eps": 0.5, "c": 0.5, "images": 9}) == "eps 0.5, c 0.5"
    assert describe_settings({"attacks": ["fgsm", "cw"]}) == "attacks fgsm and cw"


def test_what_was_attacked_is_said_in_words() -> None:
    assert describe_settings({"eps": 0.1, "attacked": "prepared"}) == "eps 0.1, on a folded copy of the model"
    itself = describe_settings({"attacked": "model: not a torch.nn.Module"})
    assert itself == "on the model itself (not a torch.nn.Module)"
    transfer = describe_settings({"attacked": "prepared", "from": "other"})
    assert transfer == "on a folded copy of the second model, from other"


@pytest.mark.parametrize(("levels", "expected"), [(8, "8/255"), (2, "2/255"), (25.5, "0.1"), (0.5, "0.00196")])
def test_distances_of_rounded_images_are_grey_levels_too(levels: float, expected: str) -> None:
    images = np.random.default_rng(0).random(1000, dtype=np.float32) / 2
    changed = images + np.float32(levels / 255)
    assert describe_distance(float((changed - images).max()), 3) == expected


def test_an_image_under_each_corruption_is_counted_once() -> None:
    parts = {f"fog/{severity}": 0.5 for severity in range(1, 6)}
    row = AttackResult("corruptions", "Common corruptions (300 of 1000 images)", 300, 0.5, 0.4, 0.6, parts=parts)
    models = tuple(ModelResults(name, (row,), images=1000) for name in ("a", "b"))
    assert describe_images(row, 60) == "60 images, each corrupted 5 times"
    assert columns(models)[0].note == "60 of 1000 images, each corrupted 5 times"
    assert columns(models)[0].title == "Common corruptions"
    for table in (str(html_table(models)), markdown_table(models)):
        assert "60 of 1000 images, each corrupted 5 times" in table
        assert "300" not in table
    assert "60 of 1000 x 5 " in terminal(models)


def rows_of(table: str) -> list[list[str]]:
    """The cells of an HTML table as text."""
    return [
        [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", table)
    ]


@pytest.mark.parametrize(("attacks", "count", "lies"), [(7, 2, False), (8, 2, True), (8, 8, False), (9, 8, True)])
def test_attacks_that_are_too_many_for_columns_stand_in_rows(attacks: int, count: int, lies: bool) -> None:
    accuracies = [{f"own{attack}": (10 * index + attack) / 1000 for attack in range(attacks)} for index in range(count)]
    models = tuple(model(f"model{index}", values) for index, values in enumerate(accuracies))
    names, titles = [result.name for result in models], [column.title for column in columns(models)]
    shown = rows_of(str(html_table(models)))
    lines = [line[2:-2].split(" | ") for line in markdown_table(models).splitlines()]
    del lines[1]
    if lies:
        shown, lines = ([list(row) for row in zip(*table, strict=True)] for table in (shown, lines))
    corner = "Attack" if lies else "Model"
    assert shown[0] == [corner, *(f"{title} 100 images" for title in titles)]
    assert lines[0][0] == corner
    assert [row[0] for row in shown[1:]] == [line[0] for line in lines[1:]] == names
    for row, line, values in zip(shown[1:], lines[1:], accuracies, strict=True):
        expected = [f"{100 * value:.1f}%" for value in values.values()]
        assert [cell.split()[0] for cell in row[1:]] == expected
        assert [cell.strip("*").split("%")[0] + "%" for cell in line[2:]] == expected


def test_the_terminal_shows_every_name_whole() -> None:
    names = [f"resnet18_trained_with_{way}" for way in ("trades", "mart", "fast_at", "pgd_at")]
    shown = terminal(tuple(model(name, {"clean": 0.9, "pgd20": 0.5}) for name in names), width=100)
    head = [line for line in shown.splitlines() if line.startswith(chr(0x2503))]
    cells = zip(*(line.strip(chr(0x2503)).split(chr(0x2503)) for line in head), strict=True)
    assert ["".join(part.strip() for part in column) for column in cells][2:] == names


def test_many_models_stand_below_each_other() -> None:
    """At 80 columns each model has a line under each attack, with its whole name and its number."""
    names = [f"resnet18_trained_with_{way}" for way in ("trades", "mart", "fast_at", "pgd_at", "standard", "nothing")]
    accuracies = {name: 0.40 + number / 100 for number, name in enumerate(names)}
    models = tuple(model(name, {"clean": 0.9, "pgd20": accuracies[name]}) for name in names)
    lines = terminal(models, width=80).splitlines()
    for name in names:
        clean, attacked, *_ = (line for line in lines if name in line.replace(chr(0x2502), " ").split())
        assert "90.0%" in clean
        assert f"{100 * accuracies[name]:.1f}%" in attacked
    assert sum("PGD20" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attacks": 3}, ["attacks", "int"]),
        ({"attacks": [3]}, ["attack 1", "'name'"]),
        ({"attacks": [{"name": "fgsm"}]}, ["attack 1", "'fgsm'", "'images'"]),
        ({"attacks": [{"name": "fgsm", "images": 9, "accuracy": 2}]}, ["'accuracy'", "[0, 1]", "2"]),
        ({"attacks": [{"name": "a", "images": 9, "accuracy": 1, "low": "x"}]}, ["'low'", "'x'"]),
        ({"model": []}, ["'model'", "list"]),
        ({"data": {"images": "many"}}, ["'images'", "'many'"]),
        ({"data": {"class_names": "cat"}}, ["'class_names'", "list of names"]),
        ({"data": {"class_names": ["cat", 1]}}, ["'class_names'", "list of names"]),
    ],
)
def test_damaged_results_are_named(tmp_path: Path, change: dict[str, object], words: list[str]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"model": {}, "data": {}, "attacks": [], **change}), encoding="utf-8")
    with pytest.raises(RunError) as caught:
        read_results(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in [str(path), *words]:
        assert word in message


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such results file"):
        read_results(tmp_path / "results.json")
