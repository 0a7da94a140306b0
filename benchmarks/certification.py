"""What is proved of networks trained in several ways, beside what attacks leave: the tables of docs/certification.md.

    python benchmarks/certification.py [--out FOLDER] [--cifar10 path/to/cifar10] [--csv FILE]

Small networks without batch norm are trained on the digits: on clean images, under PGD, on interval bounds, and under
noise for smoothing. With --cifar10 one is trained under PGD and one on bounds on 5,000 of its images, at 2/255. Each
is attacked and certified by the commands that a user would type; this prints them, and the same command continues.
"""

from __future__ import annotations

import argparse
import csv
import io
import shlex
from pathlib import Path

from rnas.cli import main as command_line
from rnas.reports.ledger import csv_text
from rnas.reports.sharing import shareable_command
from rnas.run.files import write_atomically

DIGITS = "--data digits --data.crop_padding 0"
NETWORK = "--network.name ibp_small --training.batch_size 64 --training.learning_rate 0.05 --training.weight_decay 0"
CIFAR = "--data.limit 5000 --training.epochs 20"
BOUNDED = "--training.objective ibp --training.ibp.kappa 0"
#: What is trained, by name.
TRAININGS = {
    "standard": f"{DIGITS} {NETWORK} --training.objective standard --training.epochs 30",
    "pgd": f"{DIGITS} {NETWORK} --training.attack.eps 0.1 --training.attack.step_size 0.025 --training.epochs 30",
    "ibp": f"{DIGITS} {NETWORK} {BOUNDED} --training.attack.eps 0.11 --training.epochs 100",
    "gaussian": f"{DIGITS} {NETWORK} --training.objective gaussian --training.epochs 30",
    "cifar10_pgd": f"{NETWORK} {CIFAR} --training.attack.eps 2/255 --training.attack.step_size 0.002",
    "cifar10_ibp": f"{NETWORK} {CIFAR} {BOUNDED} --training.attack.eps 0.0086",
}
#: What is done with them: a folder, a command, and its models.
JUDGED = (
    ("linf", "evaluate", ("standard", "pgd", "ibp"), "--evaluation.eps 0.1 --evaluation.attacks pgd20,autoattack"),
    ("linf", "certify", ("standard", "pgd", "ibp"), "--certification.eps 0.1 --certification.methods {methods}"),
    ("l2", "evaluate", ("gaussian",), "--evaluation.attacks pgd20,apgd_l2,deepfool --evaluation.eps_l2 0.5"),
    ("l2", "certify", ("gaussian",), "--certification.eps_l2 0.5"),
    ("cifar10", "evaluate", ("cifar10_pgd", "cifar10_ibp"), "--evaluation.eps 2/255 --evaluation.attacks pgd20"),
    ("cifar10", "certify", ("cifar10_pgd", "cifar10_ibp"), "--certification.eps 2/255"),
)
METHODS = "interval,crown_ibp,crown"
IMAGES = 200


def run(line: str) -> None:
    """A command of rnas; the script ends where it fails."""
    print(f"rnas {line}", flush=True)
    if status := command_line(shlex.split(line)):
        raise SystemExit(status)


def main() -> None:
    """Train, attack, certify and collect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/certification"), help="the folder of all runs")
    parser.add_argument("--cifar10", help="a path to CIFAR-10; without one its networks are left out")
    parser.add_argument("--csv", type=Path, help="where to write what was measured")
    options = parser.parse_args()
    rows = []
    for folder, command, names, settings in JUDGED:
        if folder == "cifar10" and options.cifar10 is None:
            continue
        for name in names:
            source = f"--data {options.cifar10}" if folder == "cifar10" else ""
            if not (options.out / name / "weights.safetensors").exists():
                run(f"train {TRAININGS[name]} {source} --threads 1 --out {options.out / name}")
        models = " ".join(f"{'smoothed:0.25:' if folder == 'l2' else ''}{options.out / name}" for name in names)
        group = "evaluation" if command == "evaluate" else "certification"
        run(
            f"{command} {models} {settings.format(methods=METHODS)} --{group}.images {IMAGES} --threads 1 "
            f"--out {options.out / folder}"
        )
        if command == "certify":
            table = (options.out / folder / "results.csv").read_text(encoding="utf-8")
            found = csv.DictReader(io.StringIO(table))
            rows += [row | {"command": shareable_command(row["command"])} for row in found]
    if options.csv is not None:
        write_atomically(options.csv, csv_text(rows).encode())


if __name__ == "__main__":
    main()
