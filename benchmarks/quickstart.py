"""The quickstart's numbers over seeds: a table of means with the range over the seeds, and each single row.

    python benchmarks/quickstart.py --seeds 5 --out FOLDER [--csv results/quickstart_seeds.csv]

Seed s is `rnas run quickstart --seed s --out FOLDER/seed-s`. Finished seeds are not repeated and killed ones continued,
so that the same command goes on, and with more seeds adds some. After each seed the CSV file is written anew: a row a
seed, model and attack, with all that it needs to be repeated. Settings that follow
a `--` are overrides of the recipe, for a quick try: `-- --training.epochs 1`.

A seed decides the search, so each has another cell; the images are always the same. The interval in brackets is the
smallest and the largest accuracy over the seeds, not a confidence interval of one of them.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from statistics import mean

from rnas.arguments import parse
from rnas.commands import RecipeCommand, run_recipe
from rnas.recipes import recipe_file
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.search_results import read_search_results

Row = dict[str, str]


def seed_rows(folder: Path, seed: int, overrides: list[str]) -> list[Row]:
    """Run the recipe with a seed, or go on with it; its rows of results.csv, whose command is what repeats it alone."""
    arguments = ["--seed", str(seed), "--out", str(folder), *overrides]
    command: RecipeCommand = parse("run quickstart", RecipeCommand, arguments, recipe=recipe_file("quickstart"))
    run_recipe(command)
    rows = list(csv.DictReader(io.StringIO((folder / "results.csv").read_text(encoding="utf-8"))))
    repeat = " ".join(["rnas run quickstart --seed", str(seed), *overrides])
    found = read_search_results(folder / "search").bound_in_words()
    return [{**row, "command": repeat, "seed": str(seed), "bound": found} for row in rows]


def table(rows: list[Row]) -> str:
    """Means and ranges over the seeds, as the README has them, in Markdown."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    seeds = len({row["seed"] for row in rows})
    heads = []
    for model in models:
        sizes = sorted({int(row["parameters"]) for row in rows if row["model"] == model})
        size = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        heads.append(f"{model} ({size} parameters)")
    lines = [f"| attack, {seeds} seeds | images | {' | '.join(heads)} |", f"| --- | --- |{' ---: |' * len(models)}"]
    for attack in dict.fromkeys(row["attack"] for row in rows):
        cells = []
        chosen = [row for row in rows if row["attack"] == attack]
        for model in models:
            found = [100 * float(row["accuracy"]) for row in chosen if row["model"] == model]
            cells.append(f"{mean(found):.1f} [{min(found):.1f}, {max(found):.1f}]" if found else "")
        images = ", ".join(dict.fromkeys(row["images"] for row in chosen))
        lines.append(f"| {attack} | {images} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run seed after seed, write the rows of all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--out", type=Path, required=True, help="where the runs go")
    parser.add_argument("--csv", type=Path, help="where to write the rows")
    parser.add_argument("overrides", nargs="*", help="settings of the recipe, after --")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for seed in range(arguments.seeds):
        rows += seed_rows(arguments.out / f"seed-{seed}", seed, arguments.overrides)
        if arguments.csv:
            write_atomically(arguments.csv, csv_text(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
