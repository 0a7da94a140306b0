"""docs/extending.md keeps its word: its diffs apply to the package, are as small as it says, and work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnas

PACKAGE = Path(rnas.__file__).parent
TEXT = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
DIFFS = {
    section.partition("\n")[0].rpartition(" ")[2]: diff
    for section in TEXT.split("\n## ")[1:]
    for diff in re.findall(r"```diff\n(.*?)```", section, re.DOTALL)
}

#: What the examples are used for, in one process: a command on each line.
COMMANDS = """
search --search.algorithm smallest --search.smallest.draws 5 --search.space one_edge --search.channels 2
 --search.cells 3 --search.batch_size 20 --search.attack.steps 1 --search.constraint.metric cosine
 --search.shortlist.count 2 --search.shortlist.epochs 1 --search.shortlist.images 10 --search.shortlist.metric cosine
 --data.limit 40 --threads 1 --out found
train --network.genotype found/genotype.json --network.channels 2 --network.cells 3 --training.objective mixed
 --training.epochs 1 --training.batch_size 20 --training.attack.steps 1 --training.cells.drop_path 0.1
 --data.limit 40 --threads 1 --out trained
evaluate trained --evaluation.attacks fgsm,random_signs --evaluation.images 10 --threads 1
report found
report trained
"""


def files_of(diff: str) -> dict[str, tuple[bool, list[str], list[str]]]:
    """For each file of a diff whether it is new, its added and its removed lines."""
    found = {}
    for part in re.split(r"^(?=--- )", diff, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        changed = [line for line in lines[2:] if line[:1] in "+-"]
        found[lines[1].removeprefix("+++ b/")] = (
            lines[0] == "--- /dev/null",
            [line[1:] for line in changed if line[0] == "+"],
            [line[1:] for line in changed if line[0] == "-"],
        )
    return found


@pytest.mark.parametrize("what", ["algorithm", "space", "vulnerability", "attack", "objective", "set", "report"])
def test_an_addition_is_one_file_or_folder_and_one_line(what: str) -> None:
    files = files_of(DIFFS[what])
    new = [Path(name) for name, (is_new, _, _) in files.items() if is_new]
    lines = [line for is_new, added, _ in files.values() if not is_new for line in added]
    assert [removed for _, _, removed in files.values() if removed] == []
    if what == "report":  # its import, and its place in the page
        assert lines == ["from rnas.reports.sections.cost import cost", "    cost,"]
        assert len(new) == 1
        return
    assert len(lines) == 1
    if what == "set":
        assert new == []
        return
    assert lines[0].startswith("import rnas.")
    if what == "space":
        (folder,) = {path.parent for path in new}
        assert not (PACKAGE.parents[1] / folder).exists()
    else:
        assert len(new) == 1
    assert any(lines[0] == f"import {'.'.join(path.with_suffix('').parts[1:])}" for path in new)


def test_all_of_them_apply_and_work(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "src" / "rnas", ignore=shutil.ignore_patterns("__pycache__"))
    for what, diff in DIFFS.items():
        answer = subprocess.run(
            ["git", "apply", "--unidiff-zero", "-"],
            cwd=tmp_path,
            input=diff,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, f"{what}: {answer.stderr}"
    code = """
import json, sys
from pathlib import Path
import rnas
from rnas.cli import main
from rnas.data.finding import HUB_DATASETS, check

assert Path(rnas.__file__).is_relative_to(Path.cwd()), rnas.__file__
for line in sys.argv[1:]:
    assert main(line.split()) == 0, line
check("fashion_mnist")
assert HUB_DATASETS["fashion_mnist"] == "zalando-datasets/fashion_mnist"
manifest = json.loads(Path("found/manifest.json").read_text())
assert manifest["config"]["search"]["smallest"] == {"draws": 5}
document = json.loads(Path("found/genotype.json").read_text())
assert document["space"] == "one_edge"
assert {len(node) for cell in document["cells"].values() for node in cell["nodes"]} == {1}
assert "random_signs" in [row["name"] for row in json.loads(Path("trained/results.json").read_text())["attacks"]]
assert "What it cost" in Path("found/report.html").read_text()
assert main(["search", "--search.smallest.draws", "3"]) == 2
try:
    main(["search", "--search.algorithm", "smallest", "--help"])
except SystemExit:
    print("helped")
"""
    lines = COMMANDS.strip().replace("\n ", " ").splitlines()
    answer = subprocess.run(
        [sys.executable, "-c", code, *lines],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "Random signs" in answer.stdout
    assert "--search.smallest.draws DRAWS" in answer.stdout
    assert "search.smallest.draws: expected its default, 10, where search.algorithm is" in answer.stderr
