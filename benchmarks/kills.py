"""Commands killed at random moments, and at each system call of their last writes: do the same files come out?

    python benchmarks/kills.py [--moments 8] [--calls 24] [--only train,export] [--seed 0] [--csv FILE]

Every command runs on the embedded digits, once undisturbed. Then, from the same beginning, it is killed (SIGKILL) and
started again until it ends. Its files have to be those of the undisturbed one, byte for byte, apart from times and what
is computed from them (digests of files that hold times). No temporary file may be left.

A kill at a call comes instead of one of the last calls that change files: open, write (half of it is written), fsync,
rename, remove, truncate. They are counted in the killed process itself, in Python, without a tracer; reads are not.
The exit code is 1 if any trial ended with other files.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sklearn.datasets  # noqa: F401 (imported before the forks)
import torch
from forking import fork, wait_for
from rich.console import Console
from rich.progress import track

from rnas.cli import main as rnas_command
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.integrity import KEY
from rnas.run.provenance import origin

TINY = "--data.limit 60 --threads 1"
SEARCH = (
    "--search.channels 8 --search.cells 3 --search.epochs 2 --search.warmup_epochs 1 --search.batch_size 15 "
    "--search.attack.steps 1 --search.constraint.images 10 --search.shortlist.count 1"
)
NETWORK = "--network.channels 8 --network.cells 3"
TRAINING = "--training.epochs 2 --training.batch_size 20 --training.attack.steps 1 --checkpoint_every 2"
EVALUATION = "--evaluation.attacks fgsm,pgd20 --evaluation.images 12"
CERTIFICATION = "--certification.methods interval,crown_ibp --certification.images 12 --certification.batch_size 4"
#: In this order: what a command reads was made by one before.
COMMANDS = {
    "search": f"search --out search --checkpoint_every 2 {TINY} {SEARCH}",
    "train": f"train --out train --network.name darts_v2 {TINY} {NETWORK} {TRAINING}",
    "evaluate": f"evaluate train {EVALUATION} --save_images 2 --threads 1",
    "certify": f"certify train {CERTIFICATION} --threads 1",
    "vulnerability": "vulnerability train --out vulnerability --images 8 --threads 1",
    "report": "report train",
    "export": "export train",
    "run": f"run quickstart --out run {TINY} {SEARCH} --search.constraint.bound 1 {NETWORK} --baseline.name racl "
    f"--baseline.channels 8 --baseline.cells 3 {TRAINING} --evaluation.attacks fgsm --evaluation.images 12",
    "benchmark": "benchmark random --out benchmark --table table.parquet --seeds 2 --data digits --data.pixels 8 "
    f"{TINY} {SEARCH}",
    "reproduce": f"reproduce table2 --out study {TINY} --networks darts_v2 {NETWORK} {TRAINING} "
    "--evaluation.attacks pgd20 --evaluation.images 12",
}

#: Fields and columns that say when, how long, in how many attempts, or what a file with such fields hashes to.
TIMES = {"created", "finished", "seconds", "sessions", "files", KEY}
SPOKEN_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00| UTC)?|\b\d+ min \d+ s\b|\b\d+(\.\d+)? s\b|\b[0-9a-f]{64}\b"
)


def count_calls(number: Any, kill_at: int | None) -> None:
    """From now on, count the calls of this process that change files, and be killed instead of one of them.

    Args:
        number: where the count is kept, a value in shared memory.
        kill_at: that call; None for none.
    """

    def next_call(last_act: Callable[[], object] | None = None) -> None:
        if number.value == kill_at:
            if last_act is not None:
                last_act()
            os.kill(os.getpid(), signal.SIGKILL)
        number.value += 1

    def counted(function: Callable[..., Any], *, only_writing: bool = False) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if not only_writing or arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                next_call()
            return function(*arguments, **named)

        return call

    def opened(descriptor: int, mode: str) -> Any:
        file = fdopen(descriptor, mode)
        if mode == "rb":
            return file
        write = file.write

        class Counted:
            """The file, each of whose writes is a call."""

            def __enter__(self) -> Counted:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, content: bytes) -> int:
                next_call(lambda: (write(content[: len(content) // 2]), file.flush()))
                return int(write(content))

        return Counted()

    fdopen = os.fdopen
    os.fdopen = opened  # type: ignore[assignment]
    os.open = counted(os.open, only_writing=True)
    for name in ("fsync", "replace", "unlink", "ftruncate", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))


def run(folder: Path, command: str, said: Path, *, number: Any = None, kill_at: int | None = None) -> int:
    """Begin a command in a folder; returns the process's number."""

    def work() -> int:
        os.chdir(folder)
        if number is not None:
            count_calls(number, kill_at)
        sys.argv = ["rnas", *command.split()]
        return rnas_command()

    return fork(work, said, said)


def without_times(value: Any) -> Any:
    """A JSON value without the fields of `TIMES`."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def comparable(path: Path) -> Any:
    """What has to be equal of a file."""
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        return [without_times(row) for row in rows]
    if path.suffix == ".parquet":
        table = pq.ParquetFile(io.BytesIO(path.read_bytes()), pre_buffer=False).read(use_threads=False)
        return table.to_pydict(), without_times(json.loads((table.schema.metadata or {}).get(b"rnas", b"{}")))
    if path.suffix in (".html", ".md"):
        return SPOKEN_TIMES.sub("TIME", path.read_text(encoding="utf-8"))
    if path.suffix == ".pt":
        return flat(without_times(torch.load(path, weights_only=True)))
    return path.read_bytes()


def flat(value: Any) -> Any:
    """A checkpoint without tensors, which `==` does not compare."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    return [flat(item) for item in value] if isinstance(value, (list, tuple)) else value


def files_of(folder: Path) -> set[str]:
    """Names of a folder's files, but for locks and the events of each attempt."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found if path.name != ".lock" and "tfevents" not in path.name}


def differences(whole: Path, other: Path) -> list[str]:
    """The files that are not the same."""
    names = files_of(whole)
    apart = [f"{name} is in one only" for name in sorted(names ^ files_of(other))]
    same = sorted(names & files_of(other))
    return apart + [f"{name} differs" for name in same if comparable(whole / name) != comparable(other / name)]


class Campaign:
    """The undisturbed commands, and what each began with.

    Args:
        place: an empty folder.
    """

    def __init__(self, place: Path, names: Sequence[str]) -> None:
        self.place, self.said = place, place / "said"
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self.number = RawValue("q", 0)  # in memory that a fork shares
        whole = place / "whole"
        whole.mkdir()
        if "benchmark" in names:
            make_table = importlib.import_module("mutations").make_table  # a script beside this one
            self.must(fork(lambda: make_table(whole / "table.parquet") or 0, self.said, self.said), "the table")
        for name in COMMANDS:
            if name not in names and name not in ("train", "evaluate"):
                continue
            shutil.copytree(whole, place / f"before-{name}")
            self.number.value = 0
            begun = time.monotonic()
            self.must(run(whole, COMMANDS[name], self.said, number=self.number), name)
            self.seconds[name], self.calls[name] = time.monotonic() - begun, self.number.value
            shutil.copytree(whole, place / f"after-{name}")

    def must(self, process: int, what: str) -> None:
        """Wait for a process that has to end well."""
        if wait_for(process) != 0:
            sys.exit(f"{what}: {self.said.read_text(encoding='utf-8')[-2000:]}")

    def trial(self, name: str, *, after: float | None = None, kill_at: int | None = None) -> tuple[bool, list[str]]:
        """Kill a command after some seconds or at a call, end it, and compare: whether it was killed, what differs."""
        folder = self.place / "trial"
        shutil.copytree(self.place / f"before-{name}", folder)
        self.said.unlink(missing_ok=True)
        self.number.value = 0
        process = run(folder, COMMANDS[name], self.said, number=self.number, kill_at=kill_at)
        if after is not None:
            time.sleep(after)
            os.kill(process, signal.SIGKILL)
        killed = wait_for(process) == -signal.SIGKILL
        apart = []
        if (status := wait_for(run(folder, COMMANDS[name], self.said))) != 0:
            apart.append(f"exit code {status}: {self.said.read_text(encoding='utf-8')[-600:]}")
        found = self.place / "found"

        def compare() -> int:
            found.write_text(json.dumps(differences(self.place / f"after-{name}", folder)), encoding="utf-8")
            return 0

        self.must(fork(compare, self.said, self.said), "the comparison")
        apart += json.loads(found.read_text(encoding="utf-8"))
        shutil.rmtree(folder)
        return killed, apart


def main() -> None:
    """Run the commands, kill them, print and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=8, help="kills of each command at a random moment")
    parser.add_argument("--calls", type=int, default=24, help="kills of each command at one of so many last calls")
    parser.add_argument("--only", default=",".join(COMMANDS), help="commands, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--csv", type=Path, help="where to write the counts")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    rng = random.Random(arguments.seed)
    ends: Counter[tuple[str, str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    about = origin("cpu")
    about["command_line"] = about.pop("command")
    with tempfile.TemporaryDirectory() as place:
        campaign = Campaign(Path(place), names)
        for name in names:
            calls = range(max(0, campaign.calls[name] - arguments.calls), campaign.calls[name])
            moments = [rng.random() * campaign.seconds[name] for _ in range(arguments.moments)]
            trials: list[tuple[str, dict[str, Any]]] = [("call", {"kill_at": call}) for call in calls]
            trials += [("moment", {"after": moment}) for moment in moments]
            for how, when in track(trials, f"killing {name}", console=Console(stderr=True)):
                killed, apart = campaign.trial(name, **when)
                ends[name, how, "different" if apart else "equal"] += 1
                ends[name, how, "killed"] += killed
                print(f"{name}, {how} {when}: {'; '.join(apart) or 'equal'}", flush=True)
            rows += [
                {
                    "command": name,
                    "killed_at": how,
                    **{key: ends[name, how, key] for key in ("killed", "equal", "different")},
                    "calls": campaign.calls[name],
                    "seconds": round(campaign.seconds[name], 2),
                    **about,
                    "seed": arguments.seed,
                }
                for how in ("call", "moment")
            ]
            if arguments.csv:  # after each command: a campaign takes hours
                write_atomically(arguments.csv, csv_text(rows))
    kills, equal, different = (sum(int(row[key]) for row in rows) for key in ("killed", "equal", "different"))
    print(f"{equal + different} trials, {kills} kills, {different} ended with other files")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
