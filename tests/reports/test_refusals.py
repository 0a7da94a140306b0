"""What cannot be reported is told in one line that names the file and what is wrong there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rnas.errors import RunError
from rnas.reports import report

pytestmark = pytest.mark.usefixtures("undrawn")


def _nothing(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _damage(name: str, content: bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return apply


def _measured(folder: Path) -> None:
    (folder / "measured").mkdir()
    manifest = {"kind": "vulnerability", "config": {}, "finished": "2026-01-02T03:04:05+00:00"}
    (folder / "measured" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _benchmark(folder: Path) -> None:
    _measured(folder)
    for name, document in (("manifest", {"kind": "benchmark", "finished": "then"}), ("results", {"searches": 3})):
        (folder / "measured" / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def _damage_line(folder: Path) -> None:
    path = folder / "search" / "metrics.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[6] = lines[6][:10]
    path.write_bytes(b"\n".join(lines))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (shutil.rmtree, ["no such folder"]),
        (_nothing, ["nothing to report", "metrics.jsonl"]),
        (_damage_line, ["metrics.jsonl, line 7", "not JSON"]),
        (_damage("manifest.json", b"{"), ["manifest.json", "not JSON", "line 1"]),
        (_damage("search/results.json", b"\xff\xfe"), ["results.json", "UTF-8"]),
        (_damage("search/results.json", b'{"operations": 3}'), ["results.json", "operations"]),
        (_damage("search/genotype.json", b"[]"), ["genotype.json", "cells"]),
        (_damage("searched/results.json", b"[]"), ["searched/results.json", "object", "list"]),
        (_damage("search/metrics.jsonl", b"3\n"), ["metrics.jsonl, line 1", "object", "int"]),
        (_damage("search/metrics.jsonl", b'{"step": 1}\n'), ["line 1", "'kind'"]),
        (_damage("search/metrics.jsonl", b'{"kind": "theta"}\n'), ["line 1", "'step'"]),
        (
            _damage("search/metrics.jsonl", b'{"kind": "theta", "step": 1, "loss": "low"}\n'),
            ["line 1", "'loss'", "number", "low"],
        ),
        (_damage("search/results.json", b'{"candidates": [1, 2]}'), ["results.json", "candidates", "objects"]),
        (
            _damage("search/results.json", b'{"candidates": [{"F": "low"}, {"F": 1}]}'),
            ["results.json, candidate 0", "'F'", "number", "low"],
        ),
        (_measured, ["vulnerability.csv is missing"]),
        (_benchmark, ["results.json", "'searches'", "objects"]),
        (_damage("figures", b""), ["figures", "cannot write"]),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    run_folder: Path, damage: Callable[[Path], object], words: list[str]
) -> None:
    damage(run_folder)
    with pytest.raises(RunError) as caught:
        report(run_folder)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not (run_folder / "report.html").exists()


def test_a_file_is_no_folder(run_folder: Path) -> None:
    with pytest.raises(RunError, match="is a file, expected a folder"):
        report(run_folder / "config.yaml")
