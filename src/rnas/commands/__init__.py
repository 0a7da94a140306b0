"""The settings and the work of each command: one file a command, without its arguments and its printing (`doors`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnas.commands.config import (
    BenchmarkCommand,
    CertifyCommand,
    EvaluateCommand,
    ExportCommand,
    RecipeCommand,
    SearchCommand,
    TrainCommand,
    VulnerabilityCommand,
)
from rnas.commands.tune_config import TuneCommand
from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.commands.benchmark import run_benchmark
    from rnas.commands.certify import run_certification
    from rnas.commands.evaluate import run_evaluation
    from rnas.commands.export import run_export
    from rnas.commands.run import run_recipe
    from rnas.commands.search import run_search
    from rnas.commands.train import run_training
    from rnas.commands.tune import run_tuning
    from rnas.commands.vulnerability import run_vulnerability
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "benchmark": ("run_benchmark",),
            "certify": ("run_certification",),
            "evaluate": ("run_evaluation",),
            "export": ("run_export",),
            "run": ("run_recipe",),
            "search": ("run_search",),
            "train": ("run_training",),
            "tune": ("run_tuning",),
            "vulnerability": ("run_vulnerability",),
        },
    )

__all__ = [
    "BenchmarkCommand",
    "CertifyCommand",
    "EvaluateCommand",
    "ExportCommand",
    "RecipeCommand",
    "SearchCommand",
    "TrainCommand",
    "TuneCommand",
    "VulnerabilityCommand",
    "run_benchmark",
    "run_certification",
    "run_evaluation",
    "run_export",
    "run_recipe",
    "run_search",
    "run_training",
    "run_tuning",
    "run_vulnerability",
]
