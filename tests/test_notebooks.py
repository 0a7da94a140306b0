"""The notebooks run from top to bottom, and what their sentences claim holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"


def run(name: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> dict[str, Any]:
    """The names of a notebook after its last cell; its runs go to another place."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    plain = [cell for cell in cells if not re.search(r"^(%|:tags:)", cell, re.MULTILINE)]
    assert len(plain) == len(cells) - 1 >= 4
    monkeypatch.chdir(place)
    (place / "examples").symlink_to(FOLDER.parents[1] / "examples")
    names: dict[str, Any] = {"__name__": name}
    with mpl.rc_context({"backend": "agg"}):
        for cell in plain:
            exec(compile(cell, f"{name}.md", "exec"), names)
    return names


def test_look_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run("look_inside", monkeypatch, tmp_path)
    kinds = [record.values["kind"] for record in names["metrics"].records]
    assert {"alpha", "vulnerability", "theta", "alpha_step"} <= set(kinds)
    assert (tmp_path / "runs/found/results.json").is_file()


def test_my_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run("my_model", monkeypatch, tmp_path)
    plain, masked, honest = names["result"], names["masked"], names["honest"]
    assert all(check.passed for check in plain.sanity)
    # The text says that PGD sees less of the masked model than there is, that a check tells, and that others see it.
    assert masked["pgd20"].accuracy > plain["pgd20"].accuracy + 0.2
    assert not all(check.passed for check in masked.sanity)
    assert honest["worst_case"].accuracy < masked["pgd20"].accuracy
    assert names["proved"].rows[-1].accuracy <= names["attacked"]["worst_case"].accuracy


@pytest.mark.usefixtures("registries")  # it imports a space of its own
def test_ground_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run("ground_truth", monkeypatch, tmp_path)
    assert len(names["truth"]) == 9
    assert set(names["found"]) == {"rnas", "random", "race"}
    assert max(names["truth"].values()) > 0.3
