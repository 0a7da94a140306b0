"""Find out from a few small files whether work is finished.

In doubt the answer is no. The work itself then finds out, which repeats nothing and refuses what does not fit.
"""

from __future__ import annotations

from pathlib import Path

from rnas.commands.config import EvaluateCommand, RunCommand, VulnerabilityCommand
from rnas.config import plain
from rnas.errors import RunError
from rnas.evaluation import ATTACKS
from rnas.evaluation.config import EvaluationConfig, EvaluationSettings
from rnas.run.attack_results import AttackResult
from rnas.run.integrity import identifying
from rnas.run.manifest import read_manifest
from rnas.run.results import read_results

__all__ = ["is_attacked_alike", "is_evaluated", "is_finished", "is_older"]


def is_finished(command: RunCommand | VulnerabilityCommand, kind: str) -> bool:
    """Whether the folder of a command holds its finished run.

    Args:
        command: the settings; those that decide results have to be the run's.
        kind: of run, as its manifest says it: "train", "search" or "vulnerability".
    """
    try:
        manifest = read_manifest(Path(command.out))
    except RunError:
        return False
    same = identifying(manifest["config"]) == identifying(plain(command))
    return manifest["kind"] == kind and manifest["finished"] is not None and same


def is_evaluated(folder: Path, command: EvaluateCommand) -> bool:
    """Whether a run directory holds the outcomes of all attacks of a command, on as many images, for its weights.

    Args:
        folder: the run directory.
        command: the evaluation; one whose eps is that of the training is left to the evaluation itself.
    """
    path = folder / "results.json"
    if command.evaluation.eps is None or command.save_images or not is_older(folder / "weights.safetensors", path):
        return False
    try:
        results = read_results(path)
    except RunError:
        return False
    config = command.evaluation.at(command.evaluation.eps)
    tested = results.test_images
    return tested is not None and all(
        ran_as_asked(results.attack(name), name, config, command.seed, tested) for name in ("clean", *config.attacks)
    )


def ran_as_asked(attack: AttackResult | None, name: str, config: EvaluationConfig, seed: int, tested: int) -> bool:
    """Whether an attack ran with these settings on at least as many of the test images."""
    card = None if name == "clean" else ATTACKS[name]
    return (
        attack is not None
        # What a collection consists of, and what a transfer started from, stands elsewhere.
        and (card is None or (card.parts is None and not card.transfers))
        and attack.images >= config.images_for(name, tested)
        and attack.call.get("seed") == seed
        and is_attacked_alike(attack, config)
    )


def is_attacked_alike(attack: AttackResult, settings: EvaluationSettings) -> bool:
    """Whether an attack ran with these settings, on however many images.

    Args:
        attack: what it found.
        settings: those asked for; where they leave eps to the training, any will do.
    """
    if attack.name == "clean" or settings.eps is None:
        return True
    asked = ATTACKS[attack.name].settings(settings.at(settings.eps))
    return all(attack.settings.get(key) == value for key, value in asked.items())


def is_older(first: Path, second: Path) -> bool:
    """Whether both files are there, and the first was written before the second."""
    return first.is_file() and second.is_file() and first.stat().st_mtime_ns <= second.stat().st_mtime_ns
