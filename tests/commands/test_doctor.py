"""`rnas doctor`: what is told of each problem, without importing what is looked at."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from rnas.cli import main
from rnas.commands import doctor

Usage = namedtuple("Usage", "total used free")


def of(name: str, place: Path) -> doctor.Finding:
    (found,) = (finding for finding in doctor.examine(place) if finding.what == name)
    return found


def test_it_imports_neither_torch_nor_the_parser_and_ends_as_it_finds(tmp_path: Path) -> None:
    code = "import sys; from rnas.cli import main; code = main(['doctor']); print(*sys.modules); sys.exit(code)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode in (0, 1), answer.stderr
    *lines, modules = answer.stdout.splitlines()
    assert not {"torch", "jsonargparse", "numpy"} & set(modules.split())
    assert (answer.returncode == 1) == any(line.startswith("!! ") for line in lines)
    assert re.search(r"torch \d", answer.stdout)


@pytest.mark.parametrize(
    ("version", "least", "problem"),
    [
        ("2.10.1", "2.11", True),
        ("2.11", "2.11", False),
        ("2.11.0+cpu", "2.11", False),
        ("10", "9.9", False),
        (None, "1", True),
    ],
)
def test_a_package_that_is_missing_or_old(
    version: str | None, least: str, problem: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: {"": [("torch", least)]})
    monkeypatch.setattr(doctor, "version_of", lambda _: version)
    first = next(doctor.packages())
    assert first.problem is problem
    if problem:
        assert f"python -m pip install 'torch>={least}'" in str(first)


def test_what_the_package_needs_is_what_pyproject_says() -> None:
    found = doctor.requirements()
    assert ("torch", "2.11") in found[""]
    assert {name for name, _ in found["onnx"]} == {"onnx", "onnxruntime", "onnxscript"}
    assert not any(name == "ray" for name, _ in found[""])


@pytest.mark.parametrize(
    ("cards", "torch", "problem", "says"),
    [
        (2, "2.13.0+cpu", True, "2 x NVIDIA H100, but torch is built for CPUs only"),
        (1, "2.13.0", False, "1 x NVIDIA H100"),
        (0, "2.13.0+cpu", False, "no NVIDIA driver"),
    ],
)
def test_a_card_that_torch_cannot_use(
    cards: int, torch: str, problem: bool, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(cards):
        folder = tmp_path / "gpus" / str(number)
        folder.mkdir(parents=True)
        (folder / "information").write_text("Model: \t NVIDIA H100\nIRQ: 3\n")
    named = doctor.nvidia_cards(tmp_path)
    monkeypatch.setattr(doctor, "nvidia_cards", lambda: named)
    monkeypatch.setattr(doctor, "version_of", lambda _: torch)
    (finding,) = doctor.devices()
    assert finding.problem is problem
    assert says in finding.found


def test_little_memory_and_little_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  8388608 kB\nMemAvailable:  524288 kB\n")
    assert str(doctor.memory(file)).startswith("!! memory           0.5 GiB free of 8.0 GiB: ")
    file.write_text("MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n")
    assert not doctor.memory(file).problem
    assert not doctor.memory(tmp_path / "absent").problem
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 9, 1))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "!! disk" in told
    assert re.search(r"^\d problems?$", told, re.MULTILINE)


def test_a_plug_in_that_fails_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = metadata.EntryPoint("broken", "nobody_has_this_module", "rnas.plugins")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry] * (group == entry.group))
    finding = of("plug-in", tmp_path)
    assert finding.problem
    assert "ModuleNotFoundError" in finding.remedy


def test_it_takes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "now"]) == 2
    assert "rnas doctor takes nothing, got now" in capsys.readouterr().err
    assert main(["doctor", "--help"]) == 0
