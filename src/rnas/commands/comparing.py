"""Find the one set of test images, of one size, that several models are compared on, or refuse the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from rnas.config import Distance
from rnas.data import ImageDataset, load
from rnas.data.config import DataChoice, DataConfig
from rnas.documents import check_fields
from rnas.errors import ConfigError, GenotypeError, RunError
from rnas.evaluation.fingerprints import images_fingerprint
from rnas.genotype import Genotype
from rnas.models.resolve import LoadedModel
from rnas.objectives.config import UNATTACKED
from rnas.run.manifest import read_manifest
from rnas.seeding import derive

__all__ = ["bounded_metrics", "compared_on", "load_data", "trained_eps", "training_data"]

#: The settings of the data by the types that they have, as `check_fields` takes them.
DATA = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(DataConfig).items()}


def load_data(config: DataConfig, seed: int) -> ImageDataset:
    """The images of a configuration; of one seed they are the same in every stage."""
    return load(
        config.source,
        limit=config.limit,
        pixels=config.pixels,
        image_column=config.image_column,
        label_column=config.label_column,
        seed=derive(seed, "data"),
    )


def training_data(folder: Path) -> DataConfig:
    """The images that the network of a run directory was trained on.

    Raises:
        RunError: if its manifest is damaged.
    """
    settings = read_manifest(folder)["config"].get("data")
    try:
        check_fields({"data": settings}, {"data": (dict,)}, f"{folder}/manifest.json")
        check_fields(settings, DATA, f"{folder}/manifest.json")
        return DataConfig(**settings)
    except TypeError as error:
        raise RunError(f"{folder}/manifest.json is damaged: its settings of the data cannot be read") from error


def compared_on(
    models: Sequence[LoadedModel], choice: DataChoice, seed: int, *, whole: bool = False
) -> list[ImageDataset]:
    """The images of each model, whose test images are the same.

    A run directory knows what it was trained on, and the others take over what all of those agree on; what the choice
    names replaces it. Of another source than a network's own only the number of pixels is taken over.

    Args:
        models: at least one.
        choice: what the command names.
        seed: of the command; decides nothing about test images.
        whole: with all training images, where by default a data set has those that its network was trained on.

    Returns:
        A data set for each model, of the same test images.

    Raises:
        ConfigError: if nothing says which images, or the models do not agree on them.
        DataError: if they cannot be loaded.
    """
    trained = [None if model.run is None else training_data(model.run) for model in models]
    known = [choose_data(config, choice) for config in trained if config is not None]
    found: list[ImageDataset] = []
    loaded: dict[tuple[DataConfig, int], ImageDataset] = {}
    for model, config in zip(models, trained, strict=True):
        if config is not None and model.run is not None:
            own = choose_data(config, choice)
            own = replace(own, limit=None) if whole else own
            key = own, seed if own.limit is None else int(read_manifest(model.run)["seed"])
        elif known:
            key = replace(known[0], limit=None), seed
        elif choice.source is not None:
            key = choose_data(DataConfig(choice.source), choice), seed
        else:
            raise ConfigError(
                f"data: expected the name of a data set: {model.text} is no run directory, and names none; give --data "
                "SOURCE"
            )
        if key not in loaded:
            loaded[key] = load_data(*key)
        found.append(loaded[key])
    if len(loaded) == 1:
        return found
    prints = {id(data): images_fingerprint(data.test.images, data.test.labels) for data in loaded.values()}
    for model, data in zip(models, found, strict=True):
        if prints[id(data)] != prints[id(found[0])]:
            raise ConfigError(
                f"data: expected the name of one data set and size: {models[0].text} has {_words(found[0])}, "
                f"{model.text} {_words(data)}; give --data SOURCE and --data.pixels N, or compare only what is alike"
            )
    return found


def choose_data(trained: DataConfig, choice: DataChoice) -> DataConfig:
    """The images of a network, where what the command names replaces what the training had.

    Args:
        trained: the training's.
        choice: the command's.
    """
    if choice.source not in (None, trained.source):
        trained = DataConfig(source=trained.source, pixels=trained.pixels)
    named = {field.name: getattr(choice, field.name) for field in fields(choice)}
    return replace(trained, **{name: value for name, value in named.items() if value is not None})


def trained_eps(model: LoadedModel) -> Distance | None:
    """The radius of the attacks that a network was trained against; None if there were none, or nothing says so.

    Raises:
        RunError: if the run directory's manifest is damaged.
    """
    if model.run is None:
        return None
    config = read_manifest(model.run)["config"]
    eps = _inside(config, "training", "attack", "eps")
    # Other trainings have settings of that attack, too, and do not make it.
    if eps is None or _inside(config, "training", "objective") in UNATTACKED:
        return None
    check_fields({"eps": eps}, {"eps": (str, int, float)}, f"{model.run}/manifest.json")
    return Distance(eps)


def bounded_metrics(model: LoadedModel) -> list[str]:
    """The metric by which the search that found a network bounded its vulnerability; none if no search is known.

    The search is looked for where the training took the genotype from, and, for a run that was moved, beside it.
    """
    if model.run is None or not (model.run / "genotype.json").is_file():
        return []
    found = _inside(read_manifest(model.run)["config"], "network", "genotype")
    for folder in ([Path(found).parent] if isinstance(found, str) else []) + [model.run.parent / "search"]:
        try:
            search = read_manifest(folder)
            same = Genotype.load(folder / "genotype.json") == Genotype.load(model.run / "genotype.json")
        except (RunError, GenotypeError):
            continue
        metric = _inside(search["config"], "search", "constraint", "metric")
        if same and isinstance(metric, str):
            return [metric]
    return []


def _inside(settings: Any, *keys: str) -> Any:
    """A setting deep inside others; None where there is none."""
    for key in keys:
        settings = settings.get(key) if isinstance(settings, dict) else None
    return settings


def _words(data: ImageDataset) -> str:
    height, width = data.size
    return f"{data.name}, {height} x {width} pixels"
