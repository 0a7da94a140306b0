"""Odd command lines by the thousand: each ends with exit code 0, 2 or 130, and an error is one short line.

    python benchmarks/command_lines.py [--count 100000] [--seed 0] [--csv FILE] [--state FILE]

Line i of a seed is always the same. It is drawn over all commands and all settings: sound lines into which one to three
slips are put (wrong types, huge, negative and empty numbers, Unicode, NUL, escape sequences, odd files, missing values,
duplicates, wrong places, near-miss names). It runs in this process, in a folder of odd files, up to the point where the
work would begin: `stopped` replaces that by a stop, so everything before it is real.

A line is at fault if it raises anything but SystemExit, ends with another code, takes more than `PATIENCE` seconds of
CPU, or if its error is not one printable line of at most 500 characters that names a key or a word of the command line.

Every 500 lines the counts go to the state file; the same command continues from there. The exit code is 1 if there was
a fault; each is printed with its line.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rnas import plugins
from rnas.arguments import known_keys
from rnas.cli import COMMANDS, main
from rnas.commands import config, kinds
from rnas.models.spec import NetworkSpec
from rnas.recipes import recipe_names
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin

PATIENCE = 30
CHUNK = 500

KINDS = {command: kind.settings for command, kind in kinds.KINDS.items()}
#: What each command takes before its settings.
FIRST: dict[str, list[str]] = {
    "run": recipe_names(),
    "tune": recipe_names(),
    "reproduce": ["table1", "table4", "figure1", "figure3"],
    "benchmark": ["rnas", "largest"],
    "certify": ["made", "resnet18:w.safetensors", "smoothed:0.25:made", "smoothed:x:made", "absent"],
    "evaluate": ["made", "resnet18:w.safetensors", "absent", "json:loads", "nomodule:f"],
    "vulnerability": ["made", "absent"],
    "report": ["made", "absent", "nothing"],
    "export": ["made", "nothing"],
    "zoo": ["rnas_l", "resnet18", "dsrna"],
}
SOUND = {
    "tune": ["--space", "search.constraint.bound=40%..95%"],
    "train": ["--network.name", "resnet18"],
    "benchmark": ["--table", "missing.parquet"],
}
#: Values that fit somewhere, so that lines come further than their first slip.
FITTING = [
    "1",
    "2",
    "3",
    "4",
    "8",
    "0.1",
    "0.5",
    "8/255",
    "50%",
    "true",
    "null",
    "cpu",
    "digits",
    "resnet18",
    "kl",
    "new",
]
ODD = [
    *("0", "-1", "-0", "1.5", "1e300", "-1e300", "1e-400", "nan", "inf", "-inf", "1e999999999", "0x10", "1_000", "+3"),
    *("9" * 60, "9" * 5000, "9223372036854775808", "9223372036854775807", "4294967296", "2147483648", "100000", "1e5"),
    *("8/0", "1/3/5", "1/" + "9" * 400, "9/1", "%", "-5%", "1e-400%", "9" * 20 + "%", "nan%", "8", "16", "256"),
    *("\u0663", "\uff11\uff12", "\u00bd", "\U0001f600", "\u202eabc", "na\u00efve", "\ufeff1", "e\u0301"),
    *("", " ", "\t", "\n", "a\nb", "'", '"', "\\", "`", "$HOME", "${HOME}", "\x1b[31mred\x1b[0m", "\x07", "\x9b2J"),
    *("\udcff", "ab\udc80c", "a\x00b", "\x00", "\x7f"),
    *(
        "[]",
        "[1]",
        "[[[[1]]]]",
        "[" * 400,
        "{}",
        "{a: 1}",
        "{" * 400,
        "{a: {b: {c: 1}}}",
        "[fgsm, fgsm]",
        "[null]",
        "[,]",
    ),
    *("*a", "&a [*a]", "!!python/object/apply:os.system [x]", "- x", "a: b: c", "# comment", "|", ">", "@", "? x"),
    *("true", "null", "~", "yes", "None", "2020-01-01", "1:30", "0o17", ".inf", ".nan"),
    *(
        "40%..95%",
        "95%..40%",
        "1..",
        "..1",
        "0.01..0.2:log",
        "search.channels=2..8:step=2",
        "training.epochs=1..2:points",
    ),
    *("-", "--", "---", "-x", "=", "==", "..", "../..", "/", ".", "~", "~nobody", "//", "/dev/null", "/proc/self/mem"),
    *("a" * 300, "a" * 10_000, "x/" * 2000, "b" * 250 + ".json", "\U0001f600" * 200, "-" * 600, "a " * 3000),
    *("resnet81", "RESNET-18", "digit", "own/er", "own/er:x/y", "a:b", ":", "a:", ":b", "cuda:99", "meta", "cpu:0"),
    *("pgd", "pgd0", "pgd" + "9" * 30, "pgd20x99999999", "pgd5x1", "pgd\u0663", "fgsm,,pgd20", ",", "transfer"),
    *("made", "file", "nothing", "missing", "missing.yaml", "list.yaml", "deep.yaml", "bomb.yaml", "bytes.yaml"),
    *(
        "unknown.yaml",
        "typed.yaml",
        "broken.yaml",
        "numbers.yaml",
        "empty.yaml",
        "nul.yaml",
        "fifo",
        "made/config.yaml",
    ),
    *("fails.py", "ends.py", "made/manifest.json", "os.path", ".relative", "a b", "missing.py"),
]
FILES: dict[str, bytes] = {
    "list.yaml": b"- search\n",
    "deep.yaml": b"[" * 3000 + b"]" * 3000,
    "bomb.yaml": b"a: &a [x, x]\n"
    + b"".join(b"%c: &%c [*%c, *%c]\n" % (98 + i, 98 + i, 97 + i, 97 + i) for i in range(24)),
    "bytes.yaml": b"out: \xff\xfe\n",
    "unknown.yaml": b"search:\n  epoch: 3\nsed: 1\n",
    "typed.yaml": b"training:\n  epochs: many\nseed: []\n",
    "broken.yaml": b"search: [1, 2\n",
    "numbers.yaml": b"seed: " + b"9" * 5000 + b"\nthreads: .inf\n",
    "empty.yaml": b"",
    "nul.yaml": b'out: "a\\0b"\n',
    "file": b"no folder\n",
    "fails.py": b"raise RuntimeError('as it is written')\n",
    "ends.py": b"import sys; sys.exit(3)\n",
}


class Stop(BaseException):
    """Where the work would begin."""


def stop(*_: object, **__: object) -> Any:
    """Raise `Stop`, whatever is asked."""
    raise Stop


@contextmanager
def stopped() -> Iterator[None]:
    """Replace what computes, writes or fetches by a stop; parsing, names, ranges and models stay real."""
    from rnas import reports

    def page(folder: Path) -> Path:
        return stop() if (folder / "manifest.json").exists() else report(folder)

    report = reports.report
    places = (
        *("commands.search.stage", "commands.train.stage", "commands.run.stage", "commands.benchmark.stage"),
        *("commands.tune.stage", "commands.tune_checks.load_data"),
        *(
            "commands.evaluate.evaluate_model",
            "commands.certify.certify_model",
            "commands.each_model.locked",
            "commands.export.trace",
        ),
        *("commands.comparing.load_data", "studies.running.load_data", "studies.running.open_executor"),
    )
    with contextlib.ExitStack() as patches:
        # All modules first: one that is imported meanwhile would keep another's stop for good.
        modules = [importlib.import_module(f"rnas.{place.rpartition('.')[0]}") for place in places]
        for module, place in zip(modules, places, strict=True):
            patches.enter_context(patch.object(module, place.rpartition(".")[2], stop))
        patches.enter_context(patch("rnas.reports.report", page))
        patches.enter_context(patch("rnas.reports.draw_genotype", stop))
        yield


@contextmanager
def folder_of_odd_files() -> Iterator[None]:
    """Work in a new folder that holds `FILES`, a FIFO, an empty folder and a trained network."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name, content in FILES.items():
                Path(name).write_bytes(content)
            Path("nothing").mkdir()
            os.mkfifo("fifo")
            make_run(Path("made"))
            yield
        finally:
            os.chdir(before)


def make_run(folder: Path) -> None:
    """A run directory with fresh weights, as far as commands read it before they work."""
    from rnas.config import plain
    from rnas.networks.config import NetworkConfig
    from rnas.run.checkpoints import save_tensors
    from rnas.run.manifest import describe, now

    folder.mkdir()
    network = NetworkConfig(name="resnet18", channels=8)
    spec = NetworkSpec.of(network, num_classes=10, in_channels=1, image_size=(8, 8))
    spec.save(folder)
    save_tensors(folder / "weights.safetensors", spec.build(seed=0).state_dict())
    manifest = describe("train", plain(config.TrainCommand(out="made", network=network)), seed=0, device="cpu")
    manifest["finished"] = now()
    write_atomically(folder / "manifest.json", json.dumps(manifest))
    write_atomically(folder / "config.yaml", json.dumps(manifest["config"]))


def odd_line(seed: int, index: int) -> list[str]:
    """A command line, the same for the same numbers."""
    draw = random.Random(f"{seed} {index}")
    command = draw.choice(COMMANDS)
    keys = known_keys(KINDS[command]) if command in KINDS else ["out", "seed"]
    first = draw.choices(FIRST.get(command, [""]))
    words = [word for word in first if word]
    settings = [
        pair
        for key in draw.sample(keys, min(len(keys), draw.choice([0, 0, 1, 2])))
        for pair in [[f"--{key}", fitting(draw)]]
    ]
    settings += [SOUND[command]] if command in SOUND and draw.random() < 0.8 else []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        command, words, settings = slip(draw, command, words, settings, keys)
    draw.shuffle(settings)
    line = [command, *words, *(word for pair in settings for word in pair)]
    if draw.random() < 0.03:  # wrong places
        draw.shuffle(line)
    return line


def slip(
    draw: random.Random, command: str, words: list[str], settings: list[list[str]], keys: list[str]
) -> tuple[str, list[str], list[list[str]]]:
    """A line with one more thing wrong."""
    key, value = draw.choice(keys), draw.choice(ODD)
    kind = draw.random()
    if kind < 0.55:
        pair = [f"--{key}", value] if draw.random() < 0.7 else [f"--{key}={value}"]
    elif kind < 0.70:
        pair = [f"--{near_miss(draw, key)}", fitting(draw)]
    elif kind < 0.80:
        own = draw.choice(["--config", "--resume", "--plugin", "--data", "--network", "--baseline", "--help", "-h"])
        own = draw.choice([own, "--print_config", "--print_config=x", "--version", "--lr", "--model", "--eps", "-e"])
        pair = [own, value] if draw.random() < 0.85 else [own]
    elif kind < 0.84:
        pair = [f"--{key}"]  # no value
    elif kind < 0.88:
        pair = [f"--{key}", fitting(draw), f"--{key}", value]
    elif kind < 0.95:
        return command, [*words, value] if draw.random() < 0.5 else [value], settings
    elif kind < 0.98:
        return draw.choice([near_miss(draw, command), value]), words, settings
    else:
        return command, [], settings
    return command, words, [*settings, pair]


def fitting(draw: random.Random) -> str:
    """A value that is right for some setting."""
    return draw.choice(FITTING)


def near_miss(draw: random.Random, name: str) -> str:
    """A name that is nearly another."""
    place = draw.randrange(len(name))
    letter = draw.choice("abcxyz.-_0\u00e9")
    return draw.choice(
        [
            name[:place] + name[place + 1 :],
            name[:place] + letter + name[place:],
            name[:place] + letter + name[place + 1 :],
            name.upper(),
            name.replace("_", "-"),
            name.rpartition(".")[2],
            f"{name}.{letter}",
            f".{name}",
            f"{name}.",
            f"no_{name}",
            name.replace(".", ".."),
            f"{name}[0]",
        ]
    )


def run(line: list[str]) -> tuple[int | str, str]:
    """Run a line; returns its exit code, or the fault in words, and what it wrote to standard error."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors=errors) for errors in ("strict", "backslashreplace"))
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    signal.alarm(20 * PATIENCE)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code: int | str = main(line)
            out.flush()
    except Stop:
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else f"exit {error.code!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        code = f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        plugins.ASKED.clear()
    err.flush()
    return code, err.buffer.getvalue().decode("utf-8", "replace")


def fault(line: list[str], code: int | str, said: str) -> str | None:
    """What is wrong with how a line ended, in words; None if nothing is."""
    if code not in (0, 2, 130):
        return f"ended with {code}"
    told = [row for row in said.splitlines() if not row.startswith("rnas: warning: ")]
    if code != 2:
        return None
    if len(told) != 1 or not told[0].startswith("rnas: error: "):
        return f"{len(told)} lines: {said[:300]!r}"
    if len(told[0]) > 500 or not told[0].isprintable():
        return f"a line of {len(told[0])} characters: {told[0]!r}"
    return None if any(word in told[0] for word in names(line)) else f"names no key: {told[0]}"


def names(line: list[str]) -> Iterator[str]:
    """What an error may name: an option, its last part, or the beginning of another word, as it would be printed."""
    for word in line:
        key, _, value = word.partition("=")
        key = key.lstrip("-")
        yield from (key[:20], key.rpartition(".")[2][:20]) if word.startswith("-") and key else ()
        yield from (repr(text)[1:20].rstrip("'\"") for text in (word, value, word.rpartition(":")[2]) if text)
        yield " ".join(word.split())[:20] or "''"  # what would move the cursor is printed as a space
    yield from (f"error: {key}: " for command in line if command in KINDS for key in known_keys(KINDS[command]))
    yield "rnas "  # the form that a command has


def report_hang(*_: object) -> None:
    """A signal's handler."""
    raise TimeoutError(f"nothing after {PATIENCE} seconds")


def campaign(count: int, seed: int, state: Path) -> dict[str, Any]:
    """Run the lines that the state file has not yet; returns its content."""
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, report_hang)
    done: dict[str, Any] = {"seed": seed, "lines": 0, "ends": {}, "faults": []}
    if state.exists() and (kept := json.loads(state.read_text()))["seed"] == seed:
        done = kept
    ends = Counter(done["ends"])
    with folder_of_odd_files(), stopped():
        while done["lines"] < count:
            for index in range(done["lines"], min(count, done["lines"] + CHUNK)):
                line = odd_line(seed, index)
                code, said = run(line)
                wrong = fault(line, code, said)
                ends[f"{line[0] if line[0] in COMMANDS else 'other'} {code if wrong is None else 'fault'}"] += 1
                if wrong is not None:
                    done["faults"].append([index, line, wrong])
                    print(f"{index}: {ascii(line)[:600]}\n    {wrong[:600]}", file=sys.stderr, flush=True)
            done["lines"], done["ends"] = min(count, done["lines"] + CHUNK), dict(ends)
            write_atomically(state, json.dumps(done))
            print(f"{done['lines']} lines, {len(done['faults'])} faults", flush=True)
    return done


def table(done: dict[str, Any]) -> str:
    """One row for each command: how many of its lines ended how."""
    rows = []
    for command in (*COMMANDS, "other"):
        ends = {name: done["ends"].get(f"{command} {name}", 0) for name in ("0", "2", "130", "fault")}
        row = {"command_of_line": command, "lines": sum(ends.values())}
        row |= {"fault" if name == "fault" else f"exit_{name}": number for name, number in ends.items()}
        rows.append(row | {"seed": done["seed"]} | origin("cpu"))
    return csv_text(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--state", type=Path, default=Path("command_lines.json"))
    options = parser.parse_args()
    target, kept = (path and path.resolve() for path in (options.csv, options.state))
    found = campaign(options.count, options.seed, kept)
    if target is not None:
        write_atomically(target, table(found))
    sys.exit(bool(found["faults"]))
