"""Does the package work with the oldest versions that it allows, and with the newest?

    python benchmarks/dependency_versions.py oldest newest [--torch 2.11.*] [--dry-run] [--folder FOLDER] [--csv FILE]

For each set a virtual environment is made from the package index: of the oldest every dependency in its lowest version
that pyproject.toml allows, of the newest the newest there is. In it `rnas doctor` looks at the installation, and a tiny
network is trained, attacked, certified and reported. With --dry-run pip only says which versions it would install.
The exit code is 1 if a set cannot be installed or the chain fails in it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin

ROOT = Path(__file__).parents[1]
TRAIN = (
    "train --network resnet18 --network.channels 2 --data.limit 60 --training.epochs 1 --training.batch_size 20 "
    "--training.attack.eps 0.1 --training.attack.steps 1 --threads 1 --out trained"
)
CHAIN = (
    "doctor",
    "search --search.algorithm rnas --search.channels 2 --search.cells 3 --search.epochs 2 --search.warmup_epochs 1 "
    "--search.batch_size 20 --search.attack.steps 1 --search.constraint.images 20 --data.limit 60 --threads 1 "
    "--search.constraint.max_iterations 1 --out searched",
    TRAIN,
    "evaluate trained --evaluation.attacks fgsm,pgd20,apgd --evaluation.images 20 --evaluation.apgd_steps 2",
    "certify trained --certification.images 4 --certification.methods interval --certification.halvings 0",
    "report trained",
    "report searched",
)


def lowest(requirement: str) -> str:
    """The lowest versions that a requirement allows, as pip takes them: "numpy>=2.0" -> "numpy==2.0.*"."""
    name, _, least = requirement.partition(">=")
    parts = least.split(".")
    return f"{name}=={'.'.join(parts if len(parts) > 1 else [*parts, '0'])}.*"


def requirements() -> list[str]:
    """What pyproject.toml asks for."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        needed: list[str] = tomllib.load(file)["project"]["dependencies"]
    return needed


def run(words: list[str], folder: Path) -> tuple[int, str]:
    """The exit code of a command, and the end of what it said."""
    answer = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return answer.returncode, (answer.stdout + answer.stderr)[-3000:]


def attempt(which: str, torch: str | None, folder: Path, *, dry: bool) -> dict[str, object]:
    """Install a set and use it; a row of the table.

    Args:
        which: "oldest" or "newest".
        torch: its versions, as pip takes them; None for those of the set.
        folder: for the environment and the runs.
        dry: only ask pip.
    """
    begun = time.monotonic()
    wanted = [lowest(one) if which == "oldest" else one.partition(">=")[0] for one in requirements()]
    if torch is not None:
        wanted = [f"torch=={torch}" if re.match(r"torch\b", one) else one for one in wanted]
    place = folder / which
    venv.create(place / "environment", with_pip=True, clear=True)
    python = str(place / "environment" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--upgrade"]
    code, said = run([*install, *(["--dry-run", "--report", "report.json"] if dry else []), *wanted], place)
    failed = "install" if code else ""
    if not code and not dry:
        code, said = run([*install, "--no-deps", str(ROOT)], place)
        failed = "install" if code else ""
        for line in CHAIN if not code else ():
            code, said = run([python, "-m", "rnas", *line.split()], place)
            if code:
                failed = line.split()[0]
                break
    if failed:
        print(f"{which}: {failed} failed\n{said}", file=sys.stderr)
    versions = run([python, "-m", "pip", "freeze"], place)[1].split()
    return {"set": which, "failed": failed, "seconds": round(time.monotonic() - begun), "versions": " ".join(versions)}


def main() -> int:
    """Try each set that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=["oldest", "newest"])
    parser.add_argument("--torch", help="versions of torch, such as 2.11.*; by default those of the set")
    parser.add_argument("--dry-run", action="store_true", help="install nothing")
    parser.add_argument("--folder", type=Path, help="for the environments; by default one that is removed")
    parser.add_argument("--csv", type=Path, help="where the table goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        rows = []
        for which in options.sets:
            (folder / which).mkdir(parents=True, exist_ok=True)
            rows.append({**attempt(which, options.torch, folder, dry=options.dry_run), **origin("cpu")})
            print(f"{which}: {rows[-1]['failed'] or 'works'} after {rows[-1]['seconds']} s")
    if options.csv is not None:
        write_atomically(options.csv, csv_text(rows))
    return int(any(row["failed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
