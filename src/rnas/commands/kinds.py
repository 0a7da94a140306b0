"""Which settings each command takes: for the reference, the completion of shells, and whoever reads a command line."""

from __future__ import annotations

from dataclasses import dataclass

from rnas.commands.config import (
    BenchmarkCommand,
    CertifyCommand,
    EvaluateCommand,
    ExportCommand,
    RecipeCommand,
    SearchCommand,
    TrainCommand,
    VulnerabilityCommand,
    ZooCommand,
)
from rnas.studies.config import ReproduceCommand

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """What a command takes.

    Args:
        settings: the dataclass of its settings.
        before: what stands before them, as its help names it; empty where nothing does.
        resumable: whether ``--resume RUN_DIRECTORY`` stands for the settings of that directory.
    """

    settings: type
    before: str = ""
    resumable: bool = False

    def title(self, command: str) -> str:
        """The command as its help calls it, such as "evaluate MODEL ..."."""
        return f"{command} {self.before}".strip()


#: By the command's name; a command that is not in here has no settings.
KINDS = {
    "run": Kind(RecipeCommand, "RECIPE", resumable=True),
    "search": Kind(SearchCommand, resumable=True),
    "reproduce": Kind(ReproduceCommand, "STUDY"),
    "benchmark": Kind(BenchmarkCommand, "ALGORITHM", resumable=True),
    "train": Kind(TrainCommand, resumable=True),
    "evaluate": Kind(EvaluateCommand, "MODEL ..."),
    "certify": Kind(CertifyCommand, "MODEL ..."),
    "vulnerability": Kind(VulnerabilityCommand, "MODEL ...", resumable=True),
    "export": Kind(ExportCommand, "RUN"),
    "zoo": Kind(ZooCommand, "[NETWORK]"),
}
