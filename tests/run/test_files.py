"""What is written is written whole and through no link; what is read is a regular file of a bounded size."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rnas.errors import GenotypeError, RunError
from rnas.evaluation.outcomes import read_outcomes
from rnas.genotype import Genotype
from rnas.models.spec import NetworkSpec
from rnas.reports.layers import read_layers
from rnas.run.files import (
    append,
    cut_back,
    make_folder,
    read_bytes,
    read_object,
    write_atomically,
)
from rnas.run.lock import locked
from rnas.run.metrics import read_metrics


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file outside the run."""
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "diary.txt"
    path.write_text("dear diary\n")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_the_new_content_is_there_and_nothing_else(run: Path) -> None:
    for content in ("first", b"second"):
        write_atomically(run / "file", content)
    assert (run / "file").read_text() == "second"
    assert [path.name for path in run.iterdir()] == ["file"]
    (run / "made").write_text("")
    assert stat.S_IMODE((run / "file").stat().st_mode) == stat.S_IMODE((run / "made").stat().st_mode)


@pytest.mark.parametrize("name", ["report.html", ".report.html.partial"])
def test_a_link_is_replaced_and_its_target_left_alone(name: str, run: Path, victim: Path) -> None:
    (run / name).symlink_to(victim)
    write_atomically(run / "report.html", "page")
    assert victim.read_text() == "dear diary\n"
    assert not (run / "report.html").is_symlink()
    assert (run / "report.html").read_text() == "page"


def test_what_grows_or_is_cut_refuses_a_link(run: Path, victim: Path) -> None:
    (run / "metrics.jsonl").symlink_to(victim)
    with pytest.raises(RunError, match=r"metrics\.jsonl is a link"):
        append(run / "metrics.jsonl", "line\n")
    with pytest.raises(RunError, match=r"metrics\.jsonl is a link"):
        cut_back(run / "metrics.jsonl", 0)
    assert victim.read_text() == "dear diary\n"
    (run / "plain").write_text("one\n")
    append(run / "plain", "two\n")
    assert (run / "plain").read_text() == "one\ntwo\n"
    cut_back(run / "plain", 4)
    assert (run / "plain").read_text() == "one\n"


def test_a_linked_lock_and_a_linked_folder_are_refused(run: Path, victim: Path) -> None:
    (run / ".lock").symlink_to(victim)
    with pytest.raises(RunError, match=r"\.lock is a link"), locked(run):
        pass
    (run / "figures").symlink_to(victim.parent)
    with pytest.raises(RunError, match="figures is a link"):
        make_folder(run, "figures")
    assert victim.read_text() == "dear diary\n"
    # The run's own folder may be on another disk.
    (run.parent / "runs").symlink_to(run)
    assert make_folder(run.parent / "runs", "adversarial", "corruptions").is_dir()


def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    killed = run / ".page.0123456789abcdef.partial"
    killed.write_bytes(b"half")
    inside: list[list[str]] = []

    def meanwhile(descriptor: int) -> None:
        """The first time that content goes to the disk, another writes."""
        monkeypatch.setattr(os, "fsync", fsync)
        write_atomically(run / "page", "of the other")
        inside.append(sorted(path.name for path in run.iterdir()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    write_atomically(run / "page", "of the one")
    assert len(inside[0]) == 2
    assert killed.name not in inside[0]
    assert (run / "page").read_text() == "of the one"
    assert [path.name for path in run.iterdir()] == ["page"]


def test_many_who_write_at_once_leave_one_whole_file(run: Path) -> None:
    contents = [str(number) * 100_000 for number in range(4)]

    def write(content: str) -> None:
        for _ in range(10):
            write_atomically(run / "page", content)

    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (run / "page").read_text() in contents
    assert [path.name for path in run.iterdir()] == ["page"]


def test_a_full_disk_leaves_what_was_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(run / "figure.png", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; what was saved there before is intact"):
        write_atomically(run / "figure.png", b"new")
    assert (run / "figure.png").read_bytes() == b"old"
    assert [path.name for path in run.iterdir()] == ["figure.png"]


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, replace = os.fsync, os.replace
    steps: list[str] = []

    def synced(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        steps.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_atomically(run / "checkpoint.pt", b"state")
    assert steps == ["content", "name", "folder"]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_folder_there(path: Path) -> None:
    path.mkdir()


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_memory(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (make_fifo, "is a FIFO, expected a file"),
        (make_folder_there, "is a folder, expected a file"),
        (link_to_a_device, "is a device, expected a file"),
        pytest.param(
            link_to_memory, "cannot be read", marks=pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
        ),
    ],
)
def test_only_regular_files_are_read(make: Callable[[Path], None], told: str, run: Path) -> None:
    names = ("results.json", "metrics.jsonl", "model.json", "genotype.json", "vulnerability.csv", "outcomes.parquet")
    for name in names:
        make(run / name)
    with pytest.raises(RunError, match=told):
        read_object(run / "results.json")
    with pytest.raises(RunError, match=told):
        read_metrics(run / "metrics.jsonl")
    with pytest.raises(RunError, match=told):
        NetworkSpec.load(run)
    # A genotype may be named by the folder that holds it.
    with pytest.raises(GenotypeError, match="holds no genotype.json" if make is make_folder_there else told):
        Genotype.load(run / "genotype.json")
    with pytest.raises(RunError, match=told):
        read_layers(run / "vulnerability.csv")
    with pytest.raises(RunError, match=told):
        read_outcomes(run / "outcomes.parquet")


def test_a_file_that_is_too_large_is_not_read_to_its_end(run: Path) -> None:
    with (run / "results.json").open("wb") as file:
        file.truncate(2**40)  # of nothing: it takes no space
    with pytest.raises(RunError, match="expected at most 64 MiB"):
        read_object(run / "results.json")
    assert read_object(run / "absent.json") is None
    (run / "file").write_text("")
    assert read_object(run / "file" / "results.json") is None
    assert read_bytes(run / "file") == b""


def test_settings_may_be_infinite_and_results_not(run: Path) -> None:
    path = run / "manifest.json"
    path.write_text(json.dumps({"gradient_clip": float("inf")}))
    assert read_object(path, finite=False) == {"gradient_clip": float("inf")}
    with pytest.raises(RunError, match="Infinity is no number that it may hold"):
        read_object(path)
