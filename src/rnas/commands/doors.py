"""The door of each command: parse its arguments, check, run, print. The work stands in modules beside this."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.console import Console

from rnas import commands, parallel, plugins, recipes, reports, studies
from rnas.arguments import parse, positionals
from rnas.certification.card import describe_certifiers
from rnas.commands.config import (
    BenchmarkCommand,
    CertifyCommand,
    EvaluateCommand,
    ExportCommand,
    JudgingCommand,
    RecipeCommand,
    SearchCommand,
    TrainCommand,
    VulnerabilityCommand,
    ZooCommand,
)
from rnas.commands.tune_config import TuneCommand
from rnas.data.finding import check
from rnas.errors import ConfigError, nearest
from rnas.evaluation.suite import describe_attacks
from rnas.models.smoothed_texts import base_text
from rnas.networks.cards import known_cards
from rnas.networks.catalogue import card_sheet, card_table
from rnas.run.contents import load_results
from rnas.run.search_results import read_search_results
from rnas.run.study_results import read_study
from rnas.search.listing import describe_algorithms
from rnas.short_help import Lists, asks_for_help, listing
from rnas.studies.config import ReproduceCommand
from rnas.terminal import tell, warn
from rnas.tuning.objectives import describe_objectives
from rnas.tuning.samplers import describe_samplers
from rnas.tuning.words import one_space

if TYPE_CHECKING:
    from rnas.run.results import ModelResults

__all__ = [
    "benchmark",
    "certify",
    "evaluate",
    "export",
    "report",
    "reproduce",
    "run",
    "search",
    "train",
    "tune",
    "vulnerability",
    "zoo",
]


def refuse_early(out: str, *sources: str | None) -> None:
    """Tell, before torch is imported for the work, that a plug-in of the run is missing, or the data cannot be.

    Args:
        out: the run directory; what was begun there finds its data by itself, or is finished and needs none.
        sources: of the images, each as `DataConfig.source`; None for those that a model was trained on.
    """
    plugins.require(Path(out))
    if not (Path(out) / "manifest.json").exists():
        for source in sources:
            if source is not None:
                check(source)


def search(arguments: list[str]) -> None:
    """`rnas search`: where the genotype is."""
    with listing(arguments, {"search algorithms": describe_algorithms}):
        command: SearchCommand = parse("search", SearchCommand, arguments, resumable=True)
    refuse_early(command.out, command.data.source)
    out = commands.run_search(command)
    if words := parallel.from_first(lambda: read_search_results(out).bound_in_words()):
        tell(words)
    tell(f"found: {out}/genotype.json")
    tell(f"next: rnas train --network.genotype {quote(str(out))} --data {quote(command.data.source)} --out runs/found")


def benchmark(arguments: list[str]) -> None:
    """`rnas benchmark ALGORITHM`: the table of its searches."""
    names, rest = positionals(arguments)
    if len(names) > 1:
        raise ConfigError(f"expected one search algorithm: rnas benchmark ALGORITHM, got {' '.join(names)}")
    if names:
        rest = ["--search.algorithm", names[0], *rest]
    command: BenchmarkCommand = parse("benchmark ALGORITHM", BenchmarkCommand, rest, resumable=True)
    refuse_early(command.out, command.data.source)
    Console().print(reports.benchmark_table(commands.run_benchmark(command)))
    tell(f"searches: {command.out}/benchmark.csv")


def reproduce(arguments: list[str]) -> None:
    """`rnas reproduce STUDY`: the table beside the paper's."""
    names, rest = positionals(arguments)
    if len(names) > 1 or not (names or {"-h", "--help", "--print_config"} & set(rest)):
        raise ConfigError(f"expected one table or figure: rnas reproduce STUDY, got {' '.join(names) or 'none'}")
    budgets = [following for name, following in pairwise([*rest, ""]) if name == "--budget"]
    budgets += [name.partition("=")[2] for name in rest if name.startswith("--budget=")]
    file = studies.budget_file(budgets[-1] if budgets else "smoke")
    command: ReproduceCommand = parse("reproduce STUDY", ReproduceCommand, rest, recipe=file)
    table = studies.run_study(names[0], command)
    Console().print(studies.tabulate_study(names[0], command))
    tell(f"figure: {table.with_suffix('.png')}")
    tell(f"table: {table}")


def train(arguments: list[str]) -> None:
    """`rnas train`: where the weights are."""
    command: TrainCommand = parse("train", TrainCommand, arguments, resumable=True)
    refuse_early(command.out, command.data.source)
    out = commands.run_training(command)
    tell(f"trained: {out}/weights.safetensors")
    tell(f"next: rnas evaluate {quote(str(out))}")


def evaluate(arguments: list[str]) -> None:
    """`rnas evaluate MODEL ...`: the table of accuracies."""
    models, rest = positionals(arguments)
    command: EvaluateCommand = judging("evaluate", EvaluateCommand, models, rest, {"attacks": describe_attacks})
    results = commands.run_evaluation(models, command)
    show(results)
    tell_where(models, command, results)
    if command.out is None and len(models) == 1:
        tell(f"next: rnas report {quote(models[0])}")


def certify(arguments: list[str]) -> None:
    """`rnas certify MODEL ...`: the table of what is proved."""
    models, rest = positionals(arguments)
    command: CertifyCommand = judging("certify", CertifyCommand, models, rest, {"methods": describe_certifiers})
    results = commands.run_certification(models, command)
    show(results)
    tell_where(models, command, results)


def judging(command: str, kind: type, models: list[str], rest: list[str], lists: Lists) -> Any:
    """The configuration of a command that judges models; with --help, also the lists after it.

    Raises:
        ConfigError: if there is no model, or the settings make no configuration.
    """
    with listing(rest, lists):
        found: JudgingCommand = parse(f"{command} MODEL ...", kind, rest)
    if not models:
        raise ConfigError(f"expected at least one model: rnas {command} MODEL ... (--help says what a model is)")
    for folder in [*models, *filter(None, [found.out])]:
        plugins.require(Path(base_text(folder)))
    if found.data.source is not None:
        check(found.data.source)
    return found


def tell_where(models: list[str], command: JudgingCommand, results: list[ModelResults]) -> None:
    """Say where the report of models that were judged is, or the figure that compares them."""
    folders = {Path(model).parent for model in models}
    if command.out is not None:
        tell(f"report: {reports.report(Path(command.out))}")
    elif len(models) > 1 and len(folders) == 1:
        tell(f"figure: {reports.save_comparison(results, folders.pop())}")
    elif len(models) > 1:
        print("figure: none, for the models lie in different folders; --out FOLDER keeps all of it in one")


def vulnerability(arguments: list[str]) -> None:
    """`rnas vulnerability MODEL ...`: a table for each metric."""
    models, rest = positionals(arguments)
    if models:
        rest = ["--models", json.dumps(models), *rest]
    command: VulnerabilityCommand = parse("vulnerability MODEL ...", VulnerabilityCommand, rest, resumable=True)
    for model in command.models:
        plugins.require(Path(base_text(model)))
    refuse_early(command.out, command.data.source)
    out = commands.run_vulnerability(command)
    for table in reports.layer_tables(reports.read_layers(out / "vulnerability.csv")):
        Console().print(table)
    tell(f"figure: {out}/vulnerability.png")


def report(arguments: list[str]) -> None:
    """`rnas report RUN`: where the page is."""
    if arguments[:1] in (["-h"], ["--help"]):
        print("usage: rnas report RUN\n\nWrite report.html, results.csv and figures/ into a run directory.")
        return
    folders, rest = positionals(arguments)
    if len(folders) != 1 or rest:
        raise ConfigError(f"expected one run directory: rnas report RUN, got {' '.join(arguments) or 'none'}")
    tell(f"report: {reports.report(Path(folders[0]))}")


def run(arguments: list[str]) -> None:
    """`rnas run RECIPE`: the table of accuracies, and where the page is."""
    names, rest = positionals(arguments)
    if arguments[:1] in (["-h"], ["--help"]):
        parse("run RECIPE", RecipeCommand, arguments, resumable=True)
    resumed = any(argument.partition("=")[0] == "--resume" for argument in rest)
    if len(names) != (0 if resumed else 1):
        raise ConfigError(f"expected one recipe: rnas run RECIPE{nearest(' '.join(names), recipes.recipe_names())}")
    file = None if resumed else recipes.recipe_file(names[0])
    command: RecipeCommand = parse("run RECIPE", RecipeCommand, rest, recipe=file, resumable=True)
    refuse_early(command.out, command.data.source)
    page = commands.run_recipe(command)
    show(load_results(page.parent))
    if words := read_search_results(page.parent / "search").bound_in_words():
        tell(words)
    tell(f"report: {page}")


def tune(arguments: list[str]) -> None:
    """`rnas tune RECIPE`: the trials that no other dominates, and where the page is."""
    names, rest = positionals(arguments)
    resumed = any(argument.partition("=")[0] == "--resume" for argument in rest)
    asked = asks_for_help(rest)
    if len(names) != (0 if resumed else 1) and not (asked and not names):
        raise ConfigError(f"expected one recipe: rnas tune RECIPE{nearest(' '.join(names), recipes.recipe_names())}")
    file = recipes.recipe_file(names[0]) if names else None
    rest = [*(["--recipe", names[0], "--out", f"runs/tune-{names[0]}"] if names else []), *one_space(rest)]
    with listing(rest, {"samplers": describe_samplers, "objectives": describe_objectives}):
        command: TuneCommand = parse("tune RECIPE", TuneCommand, rest, recipe=file, resumable=True)
    refuse_early(command.out, command.data.source)
    page = commands.run_tuning(command)
    Console().print(reports.front_table(read_study(page.parent)))
    tell(f"trials: {page.parent}/trials.csv")
    tell(f"report: {page}")


def export(arguments: list[str]) -> None:
    """`rnas export RUN`: the files."""
    folders, rest = positionals(arguments)
    command: ExportCommand = parse("export RUN", ExportCommand, rest)
    if len(folders) != 1:
        raise ConfigError(f"expected one run directory: rnas export RUN, got {' '.join(folders) or 'none'}")
    plugins.require(Path(folders[0]))
    files = commands.run_export(Path(folders[0]), command)
    tell(f"exported: {' '.join(map(str, files))}")
    if not any(file.suffix == ".onnx" for file in files):
        print("no ONNX: it needs the packages onnx, onnxscript and onnxruntime; pip install 'rnas[onnx]'")


def zoo(arguments: list[str]) -> None:
    """`rnas zoo [NETWORK]`: the list, or one card and its drawn cells."""
    names, rest = positionals(arguments)
    command: ZooCommand = parse("zoo [NETWORK]", ZooCommand, rest)
    if len(names) > 1:
        raise ConfigError(f"expected at most one network: rnas zoo [NETWORK], got {' '.join(names)}")
    if not names:
        Console().print(card_table())
        return
    Console().print(card_sheet(names[0]))
    genotype = known_cards()[names[0]].genotype
    if genotype is not None:
        reports.save(reports.draw_genotype(genotype, title=names[0]), Path(command.out), names[0])
        tell(f"drawn: {command.out}/{names[0]}.svg and .png")


def show(results: Sequence[ModelResults]) -> None:
    """Print a table of all networks' accuracies, one of what is proved, and a line for each check that failed."""
    if any(model.attacks for model in results):
        Console().print(reports.rich_table(results))
    if any(model.certificates for model in results):
        Console().print(reports.certificates_table(results))
    for warning in reports.contradictions(results):
        warn(f"warning: {warning}")
    for model in results:
        for doubt in model.doubts:
            warn(f"warning: {model.name}: sanity check {doubt.name!r} failed: {doubt.finding}")
    if doubted := [model.name for model in results if model.doubts]:
        names = " and ".join(doubted)
        tell(f"Robust accuracies of {names} are upper bounds until the failed sanity checks are explained.")
