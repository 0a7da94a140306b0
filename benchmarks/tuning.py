"""Studies under kills, and the front of TPE against that of random search.

    python benchmarks/tuning.py kills --out FOLDER [--kills 20] [--longest 2] [-- SETTINGS ...]
    python benchmarks/tuning.py hypervolume --out FOLDER [--seeds 5] [--trials 24] [-- SETTINGS ...]

`kills` makes a study undisturbed, and once more while it is killed (kill -9) at random moments, and compares the two
results.json. `hypervolume` makes a study of each sampler with each seed and prints what their fronts dominate, as a
share of the box from no accuracy and the most parameters of all trials to full accuracy and none.

SETTINGS go to `rnas tune smoke`. The exit code of `kills` is 1 if the studies differ.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rnas.run.study_results import StudyResults, read_study
from rnas.tuning.front import hypervolume

SPACE = (
    *("--space", "search.constraint.bound=40%..95%"),
    *("--space", "network.channels=2..8:step=2"),
    *("--space", "training.learning_rate=0.02..0.2:log"),
)


def begin(out: Path, settings: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a study in a process of its own."""
    line = [sys.executable, "-m", "rnas", "tune", "smoke", *SPACE, *settings, "--out", str(out)]
    with (out.parent / f"{out.name}.log").open("ab") as log:
        return subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def finish(out: Path, settings: Sequence[str]) -> StudyResults:
    """Run a study to its end."""
    if (status := begin(out, settings).wait()) != 0:
        raise SystemExit(f"{out}: ended with {status}; see {out}.log")
    return read_study(out)


def length(journal: Path) -> int:
    """How many lines a journal has; 0 where there is none."""
    return len(journal.read_bytes().splitlines()) if journal.is_file() else 0


def kills(out: Path, count: int, longest: float, settings: Sequence[str]) -> bool:
    """Whether a study that is killed so many times is the undisturbed one; prints when it was killed.

    Args:
        out: a folder for both studies.
        count: kills.
        longest: seconds at most from the moment when the journal has its share of lines to the kill.
        settings: of the study.
    """
    begun = time.monotonic()
    undisturbed = finish(out / "undisturbed", settings)
    print(f"undisturbed: {len(undisturbed.finished)} trials in {time.monotonic() - begun:.0f} s", flush=True)
    draw = random.Random(0)
    journal = out / "killed" / "journal.log"
    lines = len((out / "undisturbed" / "journal.log").read_bytes().splitlines())
    for number in range(count):
        process = begin(out / "killed", settings)
        while length(journal) < lines * number // count and process.poll() is None:
            time.sleep(0.02)
        time.sleep(draw.uniform(0.0, longest))
        ended = process.poll()
        process.kill()
        process.wait()
        words = "" if ended is None else ", had ended"
        print(f"kill {number + 1}: {length(journal)} of {lines} lines of the journal{words}", flush=True)
    same = finish(out / "killed", settings).to_json() == undisturbed.to_json()
    print("the same study" if same else "ANOTHER STUDY", flush=True)
    return same


def fronts(out: Path, seeds: int, trials: int, settings: Sequence[str]) -> None:
    """Print the hypervolume of each study; arguments as above."""
    studies = {
        (sampler, seed): finish(
            out / f"{sampler}-{seed}", [*settings, "--sampler", sampler, "--seed", str(seed), "--trials", str(trials)]
        )
        for seed in range(seeds)
        for sampler in ("tpe", "random")
    }
    names = next(iter(studies.values())).objectives
    every = [trial for study in studies.values() for trial in study.finished]
    most = {one.name: max(trial.values[one.name].value for trial in every) for one in names}
    box = 1.0
    for one in names:
        box *= 1.0 if one.maximise else most[one.name]
    reference = [0.0 if one.maximise else most[one.name] for one in names]
    for (sampler, seed), study in studies.items():
        points = [[trial.values[one.name].value for one in names] for trial in study.finished]
        share = hypervolume(points, reference, [one.sign for one in names]) / box
        print(f"{sampler},{seed},{len(points)},{share:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", choices=["kills", "hypervolume"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    options, settings = parser.parse_args(given[:split]), given[split + 1 :]
    options.out.mkdir(parents=True, exist_ok=True)
    if options.campaign == "hypervolume":
        fronts(options.out, options.seeds, options.trials, settings)
        sys.exit(0)
    sys.exit(not kills(options.out, options.kills, options.longest, settings))
