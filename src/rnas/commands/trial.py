"""One trial of a study: a run directory of its recipe, or the reason why there will be none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnas.certification.config import CertificationSettings
from rnas.commands.certify import run_certification
from rnas.commands.config import CertifyCommand, RecipeCommand
from rnas.commands.run import complete_recipe
from rnas.errors import RnasError, RunError
from rnas.run.files import make_folder, read_bytes, write_atomically
from rnas.run.manifest import read_manifest
from rnas.run.results import read_results

__all__ = ["failure_of", "is_ended", "run_trial"]

#: In the folder of a trial that failed for good: why.
FAILURE = "failure.txt"


def run_trial(command: RecipeCommand, certification: CertificationSettings) -> None:
    """The work of a trial. What would happen again is noted in its folder; anything else is raised.

    Args:
        command: the recipe.
        certification: of the found network; with no method it is not certified.
    """
    try:
        complete_recipe(command)
        if certification.methods:
            certify = CertifyCommand(certification=certification, **command.compute_settings())
            run_certification([str(Path(command.out) / "searched")], certify)
    except RunError:
        raise
    except RnasError as error:
        make_folder(Path(command.out))
        write_atomically(Path(command.out) / FAILURE, f"{error}\n")


def failure_of(folder: Path) -> str | None:
    """Why the trial in a folder failed for good, in one line; None if it did not."""
    try:
        return " ".join(read_bytes(folder / FAILURE).decode(errors="replace").split())
    except FileNotFoundError:
        return None


def is_ended(folder: Path, methods: Sequence[str]) -> bool:
    """Whether a trial's run has ended, and its network is certified by all methods."""
    if not (folder / "manifest.json").is_file() or read_manifest(folder)["finished"] is None:
        return False
    certified = {row.name for row in read_results(folder / "searched" / "results.json").certificates}
    return certified >= set(methods)
