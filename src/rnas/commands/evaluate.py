"""`rnas evaluate`: attack any models with the same settings, and keep their outcomes where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from rnas.certification.summary import certificates_in
from rnas.commands.attack_progress import attack_progress
from rnas.commands.checks import check_attacks
from rnas.commands.config import EvaluateCommand
from rnas.commands.each_model import Judge, eps_of, judge_each, unjudged
from rnas.data import ImageDataset
from rnas.errors import ModelError, RnasError
from rnas.evaluation import evaluate
from rnas.evaluation.config import EvaluationSettings
from rnas.evaluation.inputs import check_model
from rnas.evaluation.outcomes import Outcomes
from rnas.evaluation.records import Record
from rnas.evaluation.summary import Evaluation
from rnas.executors import ExecutorConfig, Job, open_executor
from rnas.models.resolve import LoadedModel, load_model
from rnas.run.results import ModelResults

__all__ = ["load_second", "run_evaluation"]


def run_evaluation(models: Sequence[str], command: EvaluateCommand) -> list[ModelResults]:
    """Attack models; batches that were attacked before are not attacked again.

    Args:
        models: texts as `rnas.models.resolve.load_model` takes them.
        command: attacks and images.

    Returns:
        The results of each model, as its results.json holds them.

    Raises:
        ConfigError: as `judge_each`, and if an attack needs more classes.
        RnasError: as `judge_each`.
    """

    def begin(device: torch.device, data: ImageDataset) -> Judge:
        check_attacks(command.evaluation, data)
        second = load_second(command.evaluation, device)
        if command.engine != "local" or command.workers > 1:
            attack_elsewhere(models, command)
        return partial(evaluate_model, command, second)

    return judge_each(models, command, begin)


def attack_elsewhere(models: Sequence[str], command: EvaluateCommand) -> None:
    """Have models attacked several at a time; what is done there is not done again here, and what failed is told here.

    Models whose images only the others name are left for this process.

    Args:
        models: all of them, already found to be comparable.
        command: attacks and images.
    """
    alone = replace(command, **vars(ExecutorConfig()))
    told = [text for text in models if command.data.source is not None or Path(text).is_dir()]
    if len(told) > 1:
        with open_executor(command) as execute:
            for _ in execute([Job(f"attacks on {text}", partial(run_evaluation, [text], alone)) for text in told]):
                pass


def load_second(settings: EvaluationSettings, device: torch.device) -> tuple[str, nn.Module] | None:
    """Name and network of what transfer attacks are made on, if one is asked for.

    Raises:
        RnasError: as `load_model`, of the same class; the message names the setting.
    """
    if settings.transfer_from is None:
        return None
    try:
        second = load_model(settings.transfer_from, device)
    except RnasError as error:
        raise type(error)(f"evaluation.transfer_from: {error}") from error
    return second.name, second.network


def evaluate_model(
    command: EvaluateCommand,
    second: tuple[str, nn.Module] | None,
    model: LoadedModel,
    name: str,
    folder: Path,
    data: ImageDataset,
    before: ModelResults | None,  # noqa: ARG001 - the record of outcomes tells more
) -> ModelResults:
    """The results of one model, those of earlier calls included; no result says yet which call made it."""
    eps, eps_from = eps_of(model, command.evaluation.eps)
    settings = replace(command.evaluation.at(eps), save_images=command.save_images)
    with attack_progress(name, model.network, settings, len(data.test)) as progress:
        try:
            check_model(model.network, data.test.images, data.test.labels, classes=data.num_classes)
            evaluation = evaluate(
                model.network,
                data.test.images,
                data.test.labels,
                settings=settings,
                seed=command.seed,
                folder=folder,
                second_model=second,
                progress=progress,
            )
        except ModelError as error:
            raise ModelError(f"{model.text}: {error}") from error
    # Also what earlier calls found, within the same bounds.
    everything = Evaluation.of(Record(folder, {}, Outcomes), settings, examined=evaluation.examined)
    return replace(
        unjudged(model, name, data, settings.eps, eps_from),
        attacks=everything.rows,
        images=everything["clean"].images,
        sanity=everything.sanity,
        certificates=certificates_in(folder, float(settings.eps_l2)),
    )
