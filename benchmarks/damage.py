"""Random damage to the files of small runs, and what each command that reads them makes of it.

    python benchmarks/damage.py [--trials 1000] [--seed 0] [--csv results/damage.csv]

A search, a training that was attacked, a measurement of layers, and a search and a training that were interrupted are
made twice, with two seeds. A trial takes a copy of one of them, damages one file (a bit flipped, the end cut off,
emptied, or replaced by the file of the other seed) and runs one command. Its end is one of:

    refused    one line on stderr, exit code 2
    harmless   the command's results are, byte for byte, those without damage
    silent     other results
    traceback  anything else

Exporting is tried up to the model card and without its programs, which are made of what `rnas.load` gives.

The exit code is 1 if a trial ended in one of the last two.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.progress import track
from rich.table import Table

import rnas
from rnas.certification import read_certificates
from rnas.cli import main as command_line
from rnas.errors import RnasError
from rnas.evaluation import read_outcomes
from rnas.reports.ledger import csv_text
from rnas.run.directory import Run
from rnas.run.files import write_atomically
from rnas.run.provenance import origin

TINY = "--data.limit 40 --threads 1 --checkpoint_every 1"
SEARCH = (
    f"search {TINY} --search.channels 2 --search.cells 3 --search.epochs 2 --search.warmup_epochs 1 "
    "--search.batch_size 10 --search.constraint.images 10 --search.attack.steps 1"
)
TRAIN = (
    f"train {TINY} --training.epochs 2 --training.batch_size 20 --training.attack.steps 1 --network.name racl "
    "--network.channels 2 --network.cells 3"
)
CERTIFY = "--certification.methods interval --certification.images 60 --certification.halvings 2 --threads 1"
EVALUATE = "--evaluation.attacks fgsm,pgd2 --evaluation.images 60 --save_images 3 --threads 1"
LAYERS = "--images 10 --attack.steps 1 --threads 1"

#: How often each kind of damage is done.
DAMAGES = {"flip": 12, "cut": 4, "emptied": 1, "swap": 3}
ENDS = ("refused", "harmless", "silent", "traceback")


def digest(content: bytes | str) -> str:
    """A short name of a content."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def bytes_of(*names: str) -> Callable[[Path], dict[str, str]]:
    """Results that are files: their contents."""
    return lambda folder: {name: digest((folder / name).read_bytes()) for name in names}


def evaluated(folder: Path) -> dict[str, str]:
    """What an evaluation found, without how long it took and who asked."""
    rows = json.loads((folder / "results.json").read_text())["attacks"]
    found = [{key: value for key, value in row.items() if key not in ("seconds", "call")} for row in rows]
    outcomes = {name: column.tolist() for name, column in vars(read_outcomes(folder / "outcomes.parquet")).items()}
    images = bytes_of("adversarial/fgsm.safetensors", "adversarial/pgd2.safetensors")(folder)
    return {"rows": digest(json.dumps(found)), "outcomes": digest(json.dumps(outcomes)), **images}


def certified(folder: Path) -> dict[str, str]:
    """What is certified, in the same way."""
    rows = json.loads((folder / "results.json").read_text())["certificates"]
    found = [{key: value for key, value in row.items() if key not in ("seconds", "call")} for row in rows]
    kept = read_certificates(folder / "certificates.parquet").to_table().to_pydict()
    return {"rows": digest(json.dumps(found)), "certificates": digest(json.dumps(kept))}


def loaded(folder: Path) -> dict[str, str]:
    """The weights that `rnas.load` gives."""
    return {name: digest(tensor.numpy().tobytes()) for name, tensor in rnas.load(folder).state_dict().items()}


def without_program(path: Path, *_: object) -> float:
    """In place of a saver of programs."""
    path.write_bytes(b"")
    return 0.0


@dataclass(frozen=True)
class Subject:
    """A directory to be damaged.

    Args:
        make: command lines that make it; {out} is the directory, {seed} the seed.
        files: in it, that are damaged.
        commands: by name: a command line, empty for Python's `rnas.load`, and what it results in.
        unreported: those of the files that a report does not look at.
        stop: after how many checkpoints the making is interrupted; 0 for never.
    """

    make: tuple[str, ...]
    files: tuple[str, ...]
    commands: dict[str, tuple[str, Callable[[Path], dict[str, str]]]]
    unreported: tuple[str, ...] = ()
    stop: int = 0


REPORT = ("report {out}", bytes_of("report.html"))
OF_RUNS = ("manifest.json", "config.yaml", "metrics.jsonl", "checkpoint.pt")
FOUND = ("metrics.jsonl", "genotype.json", "alpha.safetensors", "results.json", "splits.json")
TRAINED = ("metrics.jsonl", "weights.safetensors", "model.json", "genotype.json")
SUBJECTS = {
    "search": Subject(
        (f"{SEARCH} --out {{out}} --seed {{seed}}",),
        (*OF_RUNS, *FOUND[1:]),
        {"resume": ("search --resume {out}", bytes_of(*FOUND)), "report": REPORT},
        unreported=("checkpoint.pt", "alpha.safetensors", "splits.json"),
    ),
    "interrupted search": Subject(
        (f"{SEARCH} --out {{out}} --seed {{seed}}",),
        (*OF_RUNS, "splits.json"),
        {"resume": ("search --resume {out}", bytes_of(*FOUND)), "report": REPORT},
        unreported=("checkpoint.pt", "splits.json"),
        stop=3,
    ),
    "training": Subject(
        (f"{TRAIN} --out {{out}} --seed {{seed}}", f"evaluate {{out}} {EVALUATE}", f"certify {{out}} {CERTIFY}"),
        (
            *OF_RUNS, *TRAINED[1:], "results.json", "outcomes.parquet", "certificates.parquet",
            "adversarial/fgsm.safetensors", "adversarial/pgd2.safetensors",
        ),
        {
            "resume": ("train --resume {out}", bytes_of(*TRAINED)),
            "report": REPORT,
            "evaluate": (f"evaluate {{out}} {EVALUATE}", evaluated),
            "certify": (f"certify {{out}} {CERTIFY}", certified),
            "vulnerability": (f"vulnerability {{out}} {LAYERS} --out {{out}}/layers", lambda folder: {
                "layers": re.sub(r",[^,\n]*\n", "\n", (folder / "layers" / "vulnerability.csv").read_text())
            }),
            "export": ("export {out}", bytes_of("export/README.md")),
            "load": ("", loaded),
        },
        unreported=("checkpoint.pt", "model.json", "outcomes.parquet", "certificates.parquet"),
    ),
    "interrupted training": Subject(
        (f"{TRAIN} --out {{out}} --seed {{seed}}",),
        (*OF_RUNS, "model.json", "genotype.json"),
        {"resume": ("train --resume {out}", bytes_of(*TRAINED)), "report": REPORT},
        unreported=("checkpoint.pt", "model.json"),
        stop=2,
    ),
    "layers": Subject(
        (f"{TRAIN} --out model{{seed}} --seed {{seed}}", f"vulnerability model{{seed}} {LAYERS} --out {{out}}"),
        ("manifest.json", "config.yaml", "vulnerability.csv"),
        {"resume": ("vulnerability --resume {out}", bytes_of("vulnerability.csv"))},
    ),
}  # fmt: skip


@contextlib.contextmanager
def interrupted(checkpoints: int) -> Iterator[None]:
    """Ctrl-C after so many checkpoints; 0 for never."""
    save, count = Run.save_checkpoint, 0

    def save_and_stop(run: Run, state: dict[str, object]) -> None:
        nonlocal count
        save(run, state)
        count += 1
        if count == checkpoints:
            raise KeyboardInterrupt

    with mock.patch.object(Run, "save_checkpoint", save_and_stop):
        yield


def call(line: str) -> tuple[int, str]:
    """Exit code and errors of a command line."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = command_line(line.split())
    return code, said.getvalue()


class Campaign:
    """Subjects, made, and trials on copies of them.

    Args:
        folder: where all of it is; also the working directory while it lasts.
        names: of the subjects.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names
        self.expected: dict[tuple[str, str], dict[str, str]] = {}
        os.chdir(folder)
        for name in names:
            for seed in (0, 1):
                # The name of a directory is told in pages and cards: damaged copies have the same.
                Path(f"made{seed}").mkdir(exist_ok=True)
                self._make(SUBJECTS[name], seed)
                shutil.move("run", Path(f"made{seed}", name))

    def _make(self, subject: Subject, seed: int) -> None:
        for line in subject.make:
            with interrupted(subject.stop):
                code, said = call(line.format(out="run", seed=seed))
            if code != (130 if subject.stop else 0):
                raise RuntimeError(f"{line}: {said}")

    def trial(self, chance: random.Random) -> tuple[str, str, str, str, str, str]:
        """Damage one file and run one command; returns subject, file, command, damage, end and what was said."""
        name = chance.choice(self.names)
        subject = SUBJECTS[name]
        command = chance.choice(list(subject.commands))
        file = chance.choice([file for file in subject.files if command != "report" or file not in subject.unreported])
        damage = chance.choices(list(DAMAGES), list(DAMAGES.values()))[0]
        if (name, command) not in self.expected:
            self._restore(name)
            end, said = self._run(subject, command, None)
            if end != "":
                raise RuntimeError(f"{name}, {command}, without damage: {said}")
            self.expected[name, command] = subject.commands[command][1](Path("run"))
        self._restore(name)
        harm(Path("run", file), damage, Path("made1", name, file), chance)
        return name, file, command, damage, *self._run(subject, command, self.expected[name, command])

    def _restore(self, name: str) -> None:
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree(Path("made0", name), "run")

    def _run(self, subject: Subject, command: str, expected: dict[str, str] | None) -> tuple[str, str]:
        """How a command ends, and what it said; the end is empty where nothing is expected and it is a good one."""
        line, results = subject.commands[command]
        try:
            if line:
                with (
                    mock.patch("rnas.commands.export.trace"),
                    mock.patch("rnas.commands.export.save_program", without_program),
                    mock.patch("rnas.commands.export.onnx_is_installed", return_value=False),
                ):
                    code, said = call(line.format(out="run"))
                lines = [text for text in said.splitlines() if text.startswith("rnas: error: ")]
                if code == 2 and len(lines) == 1 and len(lines[0]) <= 500:
                    return "refused", lines[0]
                if code != 0:
                    return "traceback", said
            found = results(Path("run"))
        except RnasError as error:
            return "refused", str(error)
        except BaseException:
            return "traceback", traceback.format_exc()
        if expected is None:
            return "", ""
        return ("harmless" if found == expected else "silent"), ""


def harm(path: Path, damage: str, other: Path, chance: random.Random) -> None:
    """Damage a file; `other` is the one to swap it with."""
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif damage == "cut":
        del content[chance.randrange(len(content)) :]
    elif damage == "emptied":
        content.clear()
    else:
        content[:] = other.read_bytes()
    path.write_bytes(content)


def main() -> None:
    """Make, damage, count, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="files that are damaged")
    parser.add_argument("--seed", type=int, default=0, help="of the damage")
    parser.add_argument("--csv", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    target = arguments.csv.resolve() if arguments.csv else None
    about = origin("cpu")
    chance, counts, bad = random.Random(arguments.seed), Counter[tuple[str, ...]](), []
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), list(SUBJECTS))
        for _ in track(range(arguments.trials), "damaging", console=Console(stderr=True)):
            *what, end, said = campaign.trial(chance)
            counts[*what, end] += 1
            if end in ("silent", "traceback"):
                bad.append(f"{end}: {', '.join(what)}: {said}")
                print(bad[-1], file=sys.stderr, flush=True)
        os.chdir(Path(__file__).parent)
    rows: list[dict[str, str | int]] = []
    for key in sorted({key[:-1] for key in counts}):
        names = dict(zip(("subject", "file", "read_by", "damage"), key, strict=True))
        rows.append({**names, **{end: counts[*key, end] for end in ENDS}})
    if target:
        write_atomically(target, csv_text([{**row, "seed": arguments.seed, **about} for row in rows]))
    table = Table(title=f"{arguments.trials} damaged files")
    for column in ("damage", *ENDS):
        table.add_column(column, justify="left" if column == "damage" else "right")
    for damage in DAMAGES:
        table.add_row(damage, *[str(sum(int(row[end]) for row in rows if row["damage"] == damage)) for end in ENDS])
    Console().print(table)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
