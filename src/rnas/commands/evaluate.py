"""What `rnas evaluate` does: any models, attacked with the same settings, their outcomes kept where they belong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rnas.commands.attack_progress import attack_progress
from rnas.commands.checks import check_attacks
from rnas.commands.comparing import compared_on, trained_eps
from rnas.commands.config import EvaluateCommand
from rnas.config import Distance, plain
from rnas.data import ImageDataset
from rnas.devices import select_device
from rnas.errors import ConfigError, ModelError, RnasError, RunError
from rnas.evaluation import evaluate
from rnas.evaluation.config import PAPER_EPS, EvaluationSettings
from rnas.evaluation.fingerprints import model_fingerprint
from rnas.evaluation.inputs import check_model
from rnas.evaluation.outcomes import Outcomes
from rnas.evaluation.records import Record
from rnas.evaluation.summary import Evaluation
from rnas.models.resolve import LoadedModel, load_model
from rnas.networks.zoo import count_parameters
from rnas.reproducibility import computing
from rnas.run.attack_results import AttackResult
from rnas.run.files import LARGEST, read_object, read_sealed, refuse_link, write_atomically
from rnas.run.integrity import identity, seal_document
from rnas.run.lock import locked
from rnas.run.manifest import describe, now, read_manifest
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
        ConfigError: if a model that is no run directory comes without images, or without a place for its outcomes; if
            the models do not share one set of test images, or an attack needs more classes.
        RunError: if a model or its outcomes are missing or damaged, or a folder is in use or holds something else.
        ModelError: if a network does not fit its weights or the images.
    """
    device = select_device(command.device)
    finished: list[ModelResults] = []
    with computing(command.threads, deterministic=command.deterministic, device=device.type):
        loaded = [load_model(text, device) for text in models]
        second = load_second(command.evaluation, device)
        folders = destinations(loaded, command)
        names = [model.name for model in loaded]
        images = compared_on(loaded, command.data, command.seed)
        check_attacks(command.evaluation, images[0])
        for model, folder, data in zip(loaded, folders, images, strict=True):
            name = model.name if names.count(model.name) == 1 else model.text
            with locked(folder), kept(finished):
                manifest = describe("evaluate", plain(command), seed=command.seed, device=str(device))
                manifest["inputs"]["model"] = model_fingerprint(model.network)
                own = model.folder != folder
                if own:
                    check_model_of(folder, manifest)
                before = earlier_results(folder)  # damaged ones are told before the attacks, not hours after
                if own:
                    write_atomically(folder / "manifest.json", seal_document(manifest))
                found = evaluate_model(model, name, folder, command, data, second)
                manifest["finished"] = now()
                results = with_calls(replace(found, model=manifest["inputs"]["model"]), before, manifest)
                owner = identity(manifest if own else read_manifest(folder))
                write_atomically(folder / "results.json", seal_document(results.to_json(), owner))
                if own:
                    write_atomically(folder / "manifest.json", seal_document(manifest))
            finished.append(results)
    return finished


@contextmanager
def kept(finished: Sequence[ModelResults]) -> Iterator[None]:
    """An error with one model is no loss of the others, and says so."""
    try:
        yield
    except RnasError as error:
        names = " and ".join(results.source for results in finished)
        raise type(error)(f"{error}; results of {names} are kept" if names else str(error)) from error


def check_model_of(folder: Path, manifest: dict[str, Any]) -> None:
    """Make sure that the results in a folder, if there are any, are of the model that is to be evaluated."""
    if (folder / "manifest.json").exists():
        before = identity(read_manifest(folder))
        if before not in ("", identity(manifest)):
            raise RunError(f"{folder} holds results of another model; choose another --out")


def earlier_results(folder: Path) -> ModelResults | None:
    """The results that a folder holds already, None if there are none; raises RunError if they are damaged."""
    path = folder / "results.json"
    document = read_object(path) or {}
    return ModelResults.from_json(document, str(path), name=folder.name) if "attacks" in document else None


def destinations(models: Sequence[LoadedModel], command: EvaluateCommand) -> list[Path]:
    """The folder of each model's outcomes: its run directory, or one of its name below `command.out`."""
    folders: dict[Path, LoadedModel] = {}
    for model in models:
        alone = command.data.source is None and all(other.folder is None for other in models)
        if model.folder is None and (alone or command.out is None):
            give = "--data SOURCE and --out FOLDER" if alone else "--out FOLDER"
            raise ConfigError(
                f"{model.text} is no run directory, which would name its images and keep its outcomes: give {give}"
            )
        folder = Path(model.folder or "")
        if command.out is not None:
            folder = Path(command.out) / model.name
            refuse_link(folder)
        if folder in folders:
            raise ConfigError(
                f"{folders[folder].text} and {model.text} would be kept in one folder, {folder}: "
                "evaluate them with different --out"
            )
        folders[folder] = model
        for path in (folder, Path(command.out or folder)):
            if path != model.folder and (path / "manifest.json").exists():
                kind = read_manifest(path)["kind"]
                if kind != "evaluate" or path != folder:
                    raise RunError(f"{path} holds a run of kind {kind!r}; choose another --out")
    return list(folders)


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
    model: LoadedModel,
    name: str,
    folder: Path,
    command: EvaluateCommand,
    data: ImageDataset,
    second: tuple[str, nn.Module] | None,
) -> ModelResults:
    """The results of one model, those of earlier calls included; no result says yet which call made it."""
    eps, eps_from = eps_of(model, command)
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
    weights = None if model.folder is None else read_sealed(model.folder / "weights.safetensors", limit=LARGEST)[1]
    numbers = tuple(str(label) for label in range(data.num_classes))
    return ModelResults(
        name=name,
        attacks=everything.rows,
        parameters=count_parameters(model.network) or None,
        data=data.name,
        fingerprint=data.fingerprint,
        images=everything["clean"].images,
        classes=data.num_classes,
        # Names that only number the classes say nothing that a label does not.
        class_names=() if tuple(data.class_names) == numbers else tuple(data.class_names),
        radius=str(settings.eps),
        radius_from=eps_from,
        size=data.size,
        sanity=everything.sanity,
        # So that results of these weights are not shown for others.
        weights="" if weights is None else weights.digest,
        source=model.text,
        test_images=len(data.test),
    )


def eps_of(model: LoadedModel, command: EvaluateCommand) -> tuple[Distance, str]:
    """The radius of the attacks, and where it comes from: "command", "training" or "default"."""
    if command.evaluation.eps is not None:
        return command.evaluation.eps, "command"
    eps = trained_eps(model)
    return (PAPER_EPS, "default") if eps is None else (eps, "training")


def with_calls(results: ModelResults, before: ModelResults | None, manifest: Mapping[str, Any]) -> ModelResults:
    """The results, each with the call that made it: this one, or where it is as it was, the earlier one.

    Args:
        results: the new ones, without calls.
        before: what they replace, if there was something.
        manifest: of this call.
    """
    told = ("command", "seed", "git_commit", "git_dirty", "versions", "hardware", "finished")
    this = {key: manifest[key] for key in told}

    def call(attack: AttackResult) -> Mapping[str, Any]:
        earlier = None if before is None else before.attack(attack.name)
        return earlier.call if earlier and earlier.call and replace(earlier, call={}) == attack else this

    return replace(results, attacks=tuple(replace(attack, call=call(attack)) for attack in results.attacks))
