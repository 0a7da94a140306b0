"""Every field of every document of small runs, replaced by hostile values: each command must end in one line.

    python benchmarks/mutations.py [--share 1] [--seed 0] [--csv FILE]

Small runs are made of the embedded digits: a recipe with its search, training, evaluation and saved images, a
vulnerability, a benchmark on made-up accuracies and a study. Then one field at a time (of lists the first two entries)
is replaced by each of the values below, in the JSON documents, in the last line of each kind of metrics.jsonl and in
the cells of vulnerability.csv, and the commands that read the document run in this process. What they write is undone.
The documents are as older versions wrote them, without the checksums that would refuse every mutation at once.

An attempt is refused if the command exits with 2 after one line of at most 500 characters, accepted if it exits with 0;
anything else is a fault: an exception, more lines, or 120 seconds. The exit code is 1 if there is one.

Figures are made and not drawn, which would take most of a report's time and reads no document.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import track

import rnas
from rnas.cli import main as rnas_command
from rnas.errors import RnasError
from rnas.reports.figures import style as figures
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.integrity import KEY
from rnas.run.provenance import origin
from rnas.spaces import nasbench201

#: The texts that take the place of a value, as JSON (and as a cell of a CSV file).
HOSTILE = {
    "null": "null",
    "true": "true",
    "empty text": '""',
    "text": '"x"',
    "half a letter": '"\\ud800"',
    "-1": "-1",
    "0": "0",
    "1.5": "1.5",
    "10**9": "1000000000",
    "1e300": "1e300",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "10**400": "1" + "0" * 400,
    "5000 digits": "9" * 5000,
    "[]": "[]",
    "[1]": "[1]",
    "{}": "{}",
    "3000 lists": "[" * 3000 + "]" * 3000,
}
PLACE = "@the hostile value@"
SECONDS = 120
LONGEST = 500

TINY = "--data.limit 60 --threads 1"
SEARCH = (
    "--search.channels 8 --search.cells 3 --search.epochs 1 --search.warmup_epochs 0 --search.batch_size 20 "
    "--search.attack.steps 1 --search.constraint.images 10"
)
NETWORK = "--network.channels 8 --network.cells 3"
TRAINING = "--training.epochs 1 --training.batch_size 20 --training.attack.steps 1"
EVALUATION = "--evaluation.attacks fgsm --evaluation.images 20"
MAKE = [
    f"run quickstart --out run {TINY} {SEARCH} --search.constraint.bound 1 --search.shortlist.count 1 {NETWORK} "
    f"--baseline.name racl --baseline.channels 8 --baseline.cells 3 {TRAINING} {EVALUATION}",
    f"evaluate run/searched {EVALUATION} --evaluation.eps 0.1 --save_images 2 --threads 1",
    "vulnerability run/searched --out vulnerability --images 8 --threads 1",
    f"benchmark random --out benchmark --table table.parquet --data digits --data.pixels 8 {TINY} {SEARCH} "
    "--search.shortlist.count 2 --search.shortlist.epochs 1 --search.shortlist.images 10",
    f"reproduce table2 --out study {TINY} --networks darts_v2 {NETWORK} {TRAINING} {EVALUATION}",
]
RECIPE, EVALUATE, VULNERABILITY, BENCHMARK, STUDY = MAKE
AGAIN = {
    "report": "report run",
    "report the model": "report run/searched",
    "report the study": "report study",
    "resume the recipe": "run --resume run",
    "resume the search": "search --resume run/search",
    "resume the training": "train --resume run/searched",
    "train the genotype": f"train --out new --network.genotype run/search/genotype.json {TINY} {NETWORK} {TRAINING}",
    "evaluate": EVALUATE,
    "export": "export run/searched --out exported",
    "vulnerability": VULNERABILITY,
    "measure the model": "vulnerability run/searched --out other --images 8 --threads 1",
    "benchmark": BENCHMARK,
    "reproduce": STUDY,
}
MODEL = ["report", "report the model", "resume the recipe", "resume the training", "evaluate", "load"]
BUILT = [*MODEL, "export", "measure the model"]
READERS = {
    "run/manifest.json": ["report", "resume the recipe"],
    "run/results.json": ["report", "resume the recipe"],
    "run/search/manifest.json": ["report", "resume the recipe", "resume the search"],
    "run/search/results.json": ["report", "resume the recipe", "resume the search"],
    "run/search/genotype.json": ["report", "resume the recipe", "resume the search", "train the genotype"],
    "run/search/splits.json": ["report", "resume the search"],
    "run/search/metrics.jsonl": ["report", "resume the search"],
    "run/searched/manifest.json": BUILT,
    "run/searched/results.json": MODEL,
    "run/searched/model.json": BUILT,
    "run/searched/genotype.json": BUILT,
    "run/searched/metrics.jsonl": ["report", "resume the training"],
    "vulnerability/manifest.json": ["vulnerability"],
    "vulnerability/vulnerability.csv": ["vulnerability"],
    "benchmark/manifest.json": ["benchmark"],
    "benchmark/results.json": ["benchmark"],
    "benchmark/seed-0/manifest.json": ["benchmark"],
    "benchmark/seed-0/results.json": ["benchmark"],
    "study/runs/cifar10-standard-darts_v2/manifest.json": ["reproduce", "report the study"],
    "study/runs/cifar10-standard-darts_v2/results.json": ["reproduce", "report the study"],
    "study/runs/cifar10-standard-darts_v2/model.json": ["reproduce"],
}


@dataclass(frozen=True)
class Attempt:
    """A document with a hostile value in it, and a command that reads it."""

    document: str
    field: str
    value: str
    content: str
    command: str


def make_table(path: Path) -> None:
    """A benchmark of made-up accuracies, which grow with a cell's size."""
    cells = list(nasbench201.all_cells())
    whole = [nasbench201.without_dead_edges(cell) for cell in cells]
    sizes = [nasbench201.count_parameters(cell) / 2e6 for cell in whole]
    columns = {
        "arch": [nasbench201.format_operations(cell) for cell in cells],
        "arch_id": list(range(len(cells))),
        "isomorph_id": [cells.index(cell) for cell in whole],
        "cifar10/val_pgd_8_acc": sizes,
        "cifar10/val_acc": [1 - size for size in sizes],
    }
    pq.write_table(pa.table(columns), path)


def places(value: Any, path: str = "") -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Every field below a value, containers too, with what puts another value there."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:2]
    for key, item in items:

        def put(other: Any, key: Any = key) -> None:
            value[key] = other

        yield f"{path}.{key}".removeprefix("."), put
        if isinstance(item, (dict, list)):
            yield from places(item, f"{path}.{key}")


def mutations_of(text: str) -> Iterator[tuple[str, str, str]]:
    """Field, name of the value and text of each mutation of a JSON document."""
    document = json.loads(text)
    fields = [name for name, _ in places(document)]
    for index, field in enumerate(fields):
        other = json.loads(text)
        list(places(other))[index][1](PLACE)
        written = json.dumps(other)
        for name, raw in HOSTILE.items():
            yield field, name, written.replace(json.dumps(PLACE), raw)


def mutations(path: str) -> Iterator[tuple[str, str, str]]:
    """Field, name of the value and text of each mutation of a file."""
    text = Path(path).read_text(encoding="utf-8")
    if path.endswith(".json"):
        yield from mutations_of(text)
    elif path.endswith(".jsonl"):
        lines = text.splitlines(keepends=True)
        last = {json.loads(line)["kind"]: number for number, line in enumerate(lines)}
        for kind, number in last.items():
            for field, name, line in mutations_of(lines[number]):
                yield f"{kind}.{field}", name, "".join([*lines[:number], line + "\n", *lines[number + 1 :]])
    else:
        header, first, *rest = csv.reader(io.StringIO(text, newline=""))
        for column, title in enumerate(header):
            for name, raw in HOSTILE.items():
                out = io.StringIO()
                changed = [*first[:column], raw, *first[column + 1 :]]
                csv.writer(out, lineterminator="\n").writerows([header, changed, *rest])
                yield title, name, out.getvalue()


def unseal() -> None:
    """Take the checksums out of the documents, as older versions wrote them: else no mutation would be read at all."""
    for path in Path().rglob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        kept = {key: value for key, value in document.items() if key not in (KEY, "files")}
        path.write_text(json.dumps(kept, indent=1), encoding="utf-8")


class Folder:
    """The working directory, which can be put back to what it was.

    What its files hold is kept in memory; those with another time or size are written anew.
    """

    def __init__(self) -> None:
        self.content = {path: path.read_bytes() for path in self.files()}
        self.state = {path: self.state_of(path) for path in self.content}

    def files(self) -> list[Path]:
        return [path for path in Path().rglob("*") if path.is_file()]

    def state_of(self, path: Path) -> tuple[int, int, int]:
        found = path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def put_back(self) -> None:
        present = set(self.files())
        for path in present - self.content.keys():
            path.unlink()
        for path, content in self.content.items():
            if path not in present or self.state_of(path) != self.state[path]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                os.utime(path, ns=(self.state[path][0], self.state[path][0]))
                self.state[path] = self.state_of(path)
        for folder in ("new", "other", "exported"):
            shutil.rmtree(folder, ignore_errors=True)


def too_long(_number: int, _frame: FrameType | None) -> None:
    """End what runs."""
    raise TimeoutError(f"still running after {SECONDS} s")


def run(command: str) -> tuple[str, str]:
    """Run a command in this process; "refused", "accepted" or "fault", and what was said."""
    out, error = io.StringIO(), io.StringIO()
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if command == "load":
                rnas.load("run/searched")
                return "accepted", ""
            status = rnas_command(AGAIN[command].split())
    except RnasError as problem:
        return ("refused" if command == "load" else "fault"), str(problem)
    except BaseException:
        return "fault", traceback.format_exc()
    finally:
        signal.alarm(0)
    said = error.getvalue()
    if status == 0:
        return "accepted", said
    lines = [line for line in said.splitlines() if line.startswith("rnas: error: ")]
    told = status == 2 and len(lines) == 1 and said.endswith(f"{lines[0]}\n") and len(lines[0]) <= LONGEST
    return ("refused" if told else "fault"), said


def main() -> None:
    """Make the runs, try the mutations, print and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="share of the attempts to make, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="of that choice")
    parser.add_argument("--runs", type=Path, help="where the runs are made, or lie already")
    parser.add_argument("--faults", type=Path, help="a file for what the faults said")
    parser.add_argument("--csv", type=Path, help="where to write the counts")
    arguments = parser.parse_args()
    csv_file, faults_file = (path and path.resolve() for path in (arguments.csv, arguments.faults))
    figures._encode = lambda figure, kind: kind.encode()  # noqa: ARG005 - its names are those of what it replaces
    signal.signal(signal.SIGALRM, too_long)
    counts: Counter[tuple[str, str, str]] = Counter()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        runs = arguments.runs or Path(place) / "made"
        runs.mkdir(exist_ok=True)
        with contextlib.chdir(runs):
            if not Path("table.parquet").exists():
                make_table(Path("table.parquet"))
            for command in MAKE:
                if rnas_command(command.split()) != 0:
                    sys.exit(f"rnas {command}: failed without any mutation")
        shutil.copytree(runs, Path(place) / "tried")
        os.chdir(Path(place) / "tried")
        unseal()
        folder = Folder()
        attempts = [
            Attempt(document, field, value, content, command)
            for document, commands in READERS.items()
            for field, value, content in mutations(document)
            for command in commands
        ]
        chosen = random.Random(arguments.seed).sample(attempts, round(arguments.share * len(attempts)))
        for attempt in track(chosen, "trying", console=Console(stderr=True)):
            path = Path(attempt.document)
            path.write_text(attempt.content, encoding="utf-8")
            os.utime(path, ns=(folder.state[path][0] + 1, folder.state[path][0] + 1))
            end, said = run(attempt.command)
            counts[attempt.document, attempt.command, end] += 1
            print(end, attempt.command, attempt.document, attempt.field, attempt.value, flush=True)
            if end == "fault":
                faults.append(f"{attempt.command}: {attempt.document}: {attempt.field} = {attempt.value}\n{said}")
                if faults_file:
                    faults_file.write_text("\n\n".join(faults), encoding="utf-8", errors="replace")
            folder.put_back()
    rows = [
        {"document": document, "read_by": command, "attempts": sum(ends), **dict(zip(ENDS, ends, strict=True))}
        for document, commands in READERS.items()
        for command in commands
        if sum(ends := [counts[document, command, end] for end in ENDS])
    ]
    print(f"{counts.total()} of {len(attempts)} attempts, {len(faults)} faults")
    print("\n\n".join(faults[:5]))
    if csv_file:
        common = {"share": arguments.share, "seed": arguments.seed, **origin("cpu")}
        write_atomically(csv_file, csv_text([{**row, **common} for row in rows]))
    sys.exit(1 if faults else 0)


ENDS = ("refused", "accepted", "fault")


if __name__ == "__main__":
    main()
