"""The command line: parse, build, run. What is done stands in `rnas.recipes.stages`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentError
from rich.console import Console

from rnas import __version__, parallel, recipes, reports
from rnas.arguments import parse, positionals
from rnas.errors import ConfigError, RnasError, nearest
from rnas.evaluation.suite import describe_attacks
from rnas.files import read_summary
from rnas.networks.cards import published_cards
from rnas.networks.catalogue import card_sheet, card_table
from rnas.recipes.config import (
    BenchmarkCommand,
    EvaluateCommand,
    ExportCommand,
    RecipeCommand,
    SearchCommand,
    TrainCommand,
    VulnerabilityCommand,
    ZooCommand,
)
from rnas.recipes.studies.config import ReproduceCommand

if TYPE_CHECKING:
    from rnas.reports import ModelResults

__all__ = ["main"]

HELP = """\
usage: rnas COMMAND ...

Find and prove adversarially robust neural networks.

commands:
  run RECIPE         search, train, attack and report: quickstart, small-cifar10 or paper-cifar10
  search             search for a robust architecture under a bound on its vulnerability
  reproduce STUDY    repeat table1 to table4 or figure1 to figure3 of the paper: its numbers beside ours
  benchmark NAME     repeat a search and look what it finds up in NAS-RobBench-201
  train              train a found architecture, or a network of the zoo by name
  evaluate MODEL ... attack networks: run directories, zoo weights, TorchScript, torch.export, module:function
                     (rnas evaluate --help lists all attacks)
  vulnerability MODEL ...  measure and plot how far an attack moves each layer's feature maps
  report RUN         write the page and the figures of a run
  export RUN         write a trained network as a torch.export program, as ONNX, and its model card
  zoo [NETWORK]      list all networks of the paper's tables; show one and draw its cells

Every command has --help; all but report take --print_config and --config FILE.
A killed run is continued by the same command; run, search and train also by --resume RUN_DIRECTORY alone.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; None for this process's own.

    Returns:
        0; or 2 after an error that the user can mend, told in one line; or 130 after Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command, *rest = given or ["--help"]
        if command in ("-h", "--help"):
            print(HELP, end="")
        elif command == "--version":
            print(__version__)
        elif command.partition("=")[0] == "--resume":
            raise ConfigError(f"expected a command before --resume, such as rnas run {' '.join(given)}")
        elif command in COMMANDS:
            with parallel.launched() as several:
                if several and command not in DIVIDED:
                    raise ConfigError(f"rnas {command} is the work of one process; of several: {', '.join(DIVIDED)}")
                COMMANDS[command](rest)
        else:
            raise ConfigError(f"no command is called {command!r}{nearest(command, COMMANDS)}")
    except RnasError as error:
        return fail(str(error))
    except ArgumentError as error:
        return fail(error.message)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's; torch may not be imported here
            raise
        return fail("the device is out of memory: choose a smaller batch_size, then the same command continues")
    except OSError as error:
        return fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("rnas: interrupted; the same command continues from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def fail(message: str) -> int:
    print(f"rnas: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def search(arguments: list[str]) -> None:
    command: SearchCommand = parse("search", SearchCommand, arguments)
    out = recipes.run_search(command)
    results = parallel.from_first(lambda: read_summary(out))
    if results["H"] is not None:
        print(f"bound: F / H = {results['F'] / results['H']:.3g}, tolerance {command.search.constraint.tolerance:g}")
    print(f"found: {out}/genotype.json")


def benchmark(arguments: list[str]) -> None:
    names, rest = positionals(arguments)
    if len(names) > 1:
        raise ConfigError(f"expected one search algorithm: rnas benchmark ALGORITHM, got {' '.join(names)}")
    if names:
        rest = ["--search.algorithm", names[0], *rest]
    command: BenchmarkCommand = parse("benchmark ALGORITHM", BenchmarkCommand, rest)
    Console().print(reports.benchmark_table(recipes.run_benchmark(command)))
    print(f"searches: {command.out}/benchmark.csv")


def reproduce(arguments: list[str]) -> None:
    names, rest = positionals(arguments)
    if len(names) > 1 or not (names or {"-h", "--help", "--print_config"} & set(rest)):
        raise ConfigError(f"expected one table or figure: rnas reproduce STUDY, got {' '.join(names) or 'none'}")
    budgets = [following for name, following in pairwise([*rest, ""]) if name == "--budget"]
    budgets += [name.partition("=")[2] for name in rest if name.startswith("--budget=")]
    file = recipes.budget_file(budgets[-1] if budgets else "smoke")
    command: ReproduceCommand = parse("reproduce STUDY", ReproduceCommand, rest, recipe=file)
    table = recipes.run_study(names[0], command)
    Console().print(recipes.tabulate_study(names[0], command))
    print(f"figure: {table.with_suffix('.png')}")
    print(f"table: {table}")


def train(arguments: list[str]) -> None:
    command: TrainCommand = parse("train", TrainCommand, arguments)
    print(f"trained: {recipes.run_training(command)}/weights.safetensors")


def evaluate(arguments: list[str]) -> None:
    models, rest = positionals(arguments)
    try:
        command: EvaluateCommand = parse("evaluate MODEL ...", EvaluateCommand, rest)
    except SystemExit:
        if {"-h", "--help"} & set(rest):
            print("\nattacks:", *describe_attacks(), sep="\n  ")
        raise
    if not models:
        raise ConfigError("expected at least one model: rnas evaluate MODEL ... (--help says what a model is)")
    documents = recipes.run_evaluation(models, command)
    results = [
        reports.parse_results(document, model, name=model) for document, model in zip(documents, models, strict=True)
    ]
    show(results)
    folders = {Path(model).parent for model in models}
    if command.out is not None:
        print(f"report: {reports.report(Path(command.out))}")
    elif len(models) > 1 and len(folders) == 1:
        print(f"figure: {reports.save_comparison(results, folders.pop())}")
    elif len(models) > 1:
        print("figure: none, for the models lie in different folders; --out FOLDER keeps all of it in one")


def vulnerability(arguments: list[str]) -> None:
    models, rest = positionals(arguments)
    if models:
        rest = ["--models", json.dumps(models), *rest]
    command: VulnerabilityCommand = parse("vulnerability MODEL ...", VulnerabilityCommand, rest)
    out = recipes.run_vulnerability(command)
    for table in reports.layer_tables(reports.read_layers(out / "vulnerability.csv")):
        Console().print(table)
    print(f"figure: {out}/vulnerability.png")


def report(arguments: list[str]) -> None:
    if arguments in (["-h"], ["--help"]):
        print("usage: rnas report RUN\n\nWrite report.html, results.csv and figures/ into a run directory.")
        return
    folders, rest = positionals(arguments)
    if len(folders) != 1 or rest:
        raise ConfigError(f"expected one run directory: rnas report RUN, got {' '.join(arguments) or 'none'}")
    print(f"report: {reports.report(Path(folders[0]))}")


def run(arguments: list[str]) -> None:
    names, rest = positionals(arguments)
    if arguments in (["-h"], ["--help"]):
        parse("run RECIPE", RecipeCommand, arguments)
    resumed = any(argument.partition("=")[0] == "--resume" for argument in rest)
    if len(names) != (0 if resumed else 1):
        raise ConfigError(f"expected one recipe: rnas run RECIPE{nearest(' '.join(names), recipes.recipe_names())}")
    file = None if resumed else recipes.recipe_file(names[0])
    command: RecipeCommand = parse("run RECIPE", RecipeCommand, rest, recipe=file)
    page = recipes.run_recipe(command)
    show(reports.load_results(page.parent))
    print(f"report: {page}")


def export(arguments: list[str]) -> None:
    folders, rest = positionals(arguments)
    command: ExportCommand = parse("export RUN", ExportCommand, rest)
    if len(folders) != 1:
        raise ConfigError(f"expected one run directory: rnas export RUN, got {' '.join(folders) or 'none'}")
    files = recipes.run_export(Path(folders[0]), command)
    print(f"exported: {' '.join(map(str, files))}")
    if not any(file.suffix == ".onnx" for file in files):
        print("no ONNX: it needs the packages onnx, onnxscript and onnxruntime; pip install 'rnas[onnx]'")


def zoo(arguments: list[str]) -> None:
    names, rest = positionals(arguments)
    command: ZooCommand = parse("zoo [NETWORK]", ZooCommand, rest)
    if len(names) > 1:
        raise ConfigError(f"expected at most one network: rnas zoo [NETWORK], got {' '.join(names)}")
    if not names:
        Console().print(card_table())
        return
    Console().print(card_sheet(names[0]))
    genotype = published_cards()[names[0]].genotype
    if genotype is not None:
        reports.save(reports.draw_genotype(genotype, title=names[0]), Path(command.out), names[0])
        print(f"drawn: {command.out}/{names[0]}.svg and .png")


def show(results: Sequence[ModelResults]) -> None:
    """Print one table of all networks, and a line for each sanity check that failed."""
    Console().print(reports.rich_table(results))
    for model in results:
        for doubt in model.doubts:
            print(f"rnas: warning: {model.name}: sanity check {doubt.name!r} failed: {doubt.finding}", file=sys.stderr)
    if doubted := [model.name for model in results if model.doubts]:
        names = " and ".join(doubted)
        print(f"Robust accuracies of {names} are upper bounds until the failed sanity checks are explained.")


COMMANDS = {
    "run": run,
    "search": search,
    "reproduce": reproduce,
    "benchmark": benchmark,
    "train": train,
    "evaluate": evaluate,
    "vulnerability": vulnerability,
    "report": report,
    "export": export,
    "zoo": zoo,
}

#: Commands that torchrun may start in several processes.
DIVIDED = ("search", "train")
