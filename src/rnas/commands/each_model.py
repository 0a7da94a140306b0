"""What every command does that judges any models: each on the same test images, its results where they belong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from rnas.commands.comparing import compared_on, trained_eps
from rnas.commands.config import JudgingCommand
from rnas.config import Distance, plain
from rnas.data import ImageDataset
from rnas.devices import select_device
from rnas.errors import ConfigError, RnasError, RunError
from rnas.evaluation.config import PAPER_EPS
from rnas.evaluation.fingerprints import model_fingerprint
from rnas.models.resolve import LoadedModel, load_model
from rnas.networks.zoo import count_parameters
from rnas.reproducibility import computing
from rnas.run.attack_results import AttackResult
from rnas.run.certificate_results import CertificateResult
from rnas.run.files import LARGEST, read_object, read_sealed, refuse_link, write_atomically
from rnas.run.integrity import identity, seal_document
from rnas.run.lock import locked
from rnas.run.manifest import describe, now, read_manifest
from rnas.run.results import ModelResults

__all__ = ["Judge", "earlier_results", "eps_of", "judge_each", "unjudged"]

#: (model, its name in tables, folder, data, what its results.json held before or None) -> its results; those that no
#: earlier call told come without a call.
Judge = Callable[[LoadedModel, str, Path, ImageDataset, ModelResults | None], ModelResults]

Entry = TypeVar("Entry", AttackResult, CertificateResult)


def judge_each(
    models: Sequence[str], command: JudgingCommand, begin: Callable[[torch.device, ImageDataset], Judge]
) -> list[ModelResults]:
    """Judge models one after another and write each one's results.json.

    Args:
        models: texts as `rnas.models.resolve.load_model` takes them.
        command: where, and on which images.
        begin: called once with the device and the images of the first model, to check what is asked; returns what
            judges.

    Returns:
        The results of each model, as its results.json holds them.

    Raises:
        ConfigError: if a model that is no run directory comes without images, or without a place for its results; or if
            the models do not share one set of test images.
        RunError: if a model or its results are missing or damaged, or a folder is in use or holds something else.
        ModelError: if a network does not fit its weights or the images.
    """
    device = select_device(command.device)
    finished: list[ModelResults] = []
    with computing(command.threads, deterministic=command.deterministic, device=device.type):
        loaded = [load_model(text, device) for text in models]
        folders = destinations(loaded, command)
        names = [model.name for model in loaded]
        images = compared_on(loaded, command.data, command.seed)
        judge = begin(device, images[0])
        for model, folder, data in zip(loaded, folders, images, strict=True):
            name = model.name if names.count(model.name) == 1 else model.text
            with locked(folder), kept(finished):
                # Whatever judges it, a folder of a model's own results is of one kind.
                manifest = describe("evaluate", plain(command), seed=command.seed, device=str(device))
                manifest["inputs"]["model"] = model_fingerprint(model.network)
                own = model.folder != folder
                if own:
                    check_model_of(folder, manifest)
                before = earlier_results(folder)  # damaged ones are told before the work, not hours after
                if before is not None and before.model not in ("", manifest["inputs"]["model"]):
                    before = None  # of weights that were here before
                if own:
                    write_atomically(folder / "manifest.json", seal_document(manifest))
                found = judge(model, name, folder, data, before)
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


def destinations(models: Sequence[LoadedModel], command: JudgingCommand) -> list[Path]:
    """The folder of each model's results: its run directory, or one of its name below `command.out`."""
    folders: dict[Path, LoadedModel] = {}
    for model in models:
        alone = command.data.source is None and all(other.run is None for other in models)
        if model.folder is None and (alone or command.out is None):
            would, give = ("name its images and ", "--data SOURCE and ") if alone else ("", "")
            raise ConfigError(
                f"{model.text} is no run directory, which would {would}keep its results: give {give}--out FOLDER"
            )
        folder = Path(model.folder or "")
        if command.out is not None:
            folder = Path(command.out) / model.name
            refuse_link(folder)
        if folder in folders:
            raise ConfigError(
                f"{folders[folder].text} and {model.text} would be kept in one folder, {folder}: "
                "judge them with different --out"
            )
        folders[folder] = model
        for path in (folder, Path(command.out or folder)):
            if path != model.folder and (path / "manifest.json").exists():
                kind = read_manifest(path)["kind"]
                if kind != "evaluate" or path != folder:
                    raise RunError(f"{path} holds a run of kind {kind!r}; choose another --out")
    return list(folders)


def unjudged(model: LoadedModel, name: str, data: ImageDataset, eps: Distance, eps_from: str) -> ModelResults:
    """What results say of a model and its images before anything is known of it.

    Args:
        model: the model.
        name: its name in tables.
        data: the images.
        eps: the radius at which it is judged.
        eps_from: where that comes from: "command", "training" or "default".
    """
    weights = None if model.folder is None else read_sealed(model.folder / "weights.safetensors", limit=LARGEST)[1]
    numbers = tuple(str(label) for label in range(data.num_classes))
    return ModelResults(
        name=name,
        attacks=(),
        parameters=count_parameters(model.network) or None,
        data=data.name,
        fingerprint=data.fingerprint,
        classes=data.num_classes,
        # Names that only number the classes say nothing that a label does not.
        class_names=() if tuple(data.class_names) == numbers else tuple(data.class_names),
        radius=str(eps),
        radius_from=eps_from,
        size=data.size,
        # So that results of these weights are not shown for others.
        weights="" if weights is None else weights.digest,
        source=model.text,
        test_images=len(data.test),
    )


def eps_of(model: LoadedModel, asked: Distance | None) -> tuple[Distance, str]:
    """The radius at which a model is judged, and where it comes from: "command", "training" or "default".

    Args:
        model: the model.
        asked: what the command says.
    """
    if asked is not None:
        return asked, "command"
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

    def called(entry: Entry, earlier: Entry | None) -> Entry:
        same = earlier is not None and earlier.call and unbracketed(earlier) == unbracketed(entry)
        return replace(entry, call=earlier.call if same and earlier is not None else this)

    attacks = {} if before is None else {attack.name: attack for attack in before.attacks}
    certificates = {} if before is None else {row.name: row for row in before.certificates}
    return replace(
        results,
        attacks=tuple(called(attack, attacks.get(attack.name)) for attack in results.attacks),
        certificates=tuple(called(row, certificates.get(row.name)) for row in results.certificates),
    )


def unbracketed(entry: Entry) -> Entry:
    """What a call found, without that call, and of a certificate without what attacks of other calls leave."""
    if isinstance(entry, CertificateResult):
        return replace(entry, call={}, bracket=None)
    return replace(entry, call={})
