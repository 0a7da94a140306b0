"""Find out what a folder holds: a whole run, a search, models, or one of these alone.

A part is recognised by its manifest's kind; a folder without a manifest by its files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import yaml

from rnas.errors import GenotypeError, RunError
from rnas.genotype import Genotype
from rnas.run.files import MEBIBYTE, manifest_in, read_bytes, read_object, read_sealed
from rnas.run.integrity import owner_of
from rnas.run.manifest import check_manifest, early_stop
from rnas.run.metrics import Metrics, read_metrics
from rnas.run.results import ModelResults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Contents", "Part", "load_results", "read_folder"]

LARGEST = 64 * 1024 * MEBIBYTE  # bytes of weights and images
_DEPTH = 3  # runs/study/recipe/model: what lies deeper is not a run's

_KINDS = ("search", "model", "benchmark", "vulnerability")
_SEARCH_RECORDS = frozenset({"theta", "alpha_step", "vulnerability", "projection", "alpha"})


@dataclass(frozen=True)
class Part:
    """A search, a model, a benchmark or a measurement of vulnerabilities: the content of one directory.

    Args:
        name: how the report calls it.
        kind: "search", "model", "benchmark" or "vulnerability".
        path: its directory.
        manifest: content of manifest.json, empty if there is none.
        configuration: the full configuration as YAML text, empty if there is none.
        metrics: what was recorded on the way.
        genotype: the architecture, or None.
        summary: content of results.json, empty if there is none.
        results: a model's results, or None if it has not been evaluated.
    """

    name: str
    kind: str
    path: Path
    manifest: Mapping[str, Any] = field(default_factory=dict)
    configuration: str = ""
    metrics: Metrics = field(default_factory=Metrics)
    genotype: Genotype | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    results: ModelResults | None = None

    @property
    def ended(self) -> bool:
        """Whether the search or the training has ended; without a manifest nothing says that it has not."""
        return not self.manifest or bool(self.manifest.get("finished"))

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return not self.manifest or bool(self.ended and (self.kind != "model" or self.results))

    @property
    def state(self) -> str:
        """Whether it is finished, in words."""
        if not self.manifest:
            return "not recorded (no manifest.json)"
        if self.ended:
            words = "finished" if self.complete else "finished, not evaluated yet"
            return "; ".join(filter(None, [words, early_stop(self.manifest)]))
        last = self.metrics.last_step
        return "unfinished" if last is None else f"unfinished, last record at step {last}"

    def setting(self, *keys: str) -> object:
        """A setting that its manifest names, by the keys that lead to it; None if there is none."""
        value: object = self.manifest.get("config")
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


@dataclass(frozen=True)
class Contents:
    """All that there is to report.

    Args:
        path: the folder.
        manifest: of the whole run, empty if the folder is not a run.
        configuration: of the whole run, as YAML text.
        searches: the searches.
        models: the models, those made of cells first.
        benchmarks: repeated searches, looked up in a table; the searches themselves are among `searches`.
        measurements: of the vulnerability of trained networks.
    """

    path: Path
    manifest: Mapping[str, Any]
    configuration: str
    searches: tuple[Part, ...]
    models: tuple[Part, ...]
    benchmarks: tuple[Part, ...] = ()
    measurements: tuple[Part, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that was made: searches, models, measurements."""
        return self.searches + self.models + self.measurements

    @property
    def only_evaluated(self) -> bool:
        """Whether everything was made elsewhere and attacked here."""
        kinds = {part.manifest.get("kind") for part in self.parts}
        return kinds == {"evaluate"} and not self.manifest

    @property
    def results(self) -> tuple[ModelResults, ...]:
        """The results of the models that were evaluated."""
        return tuple(model.results for model in self.models if model.results is not None)


def read_folder(folder: Path) -> Contents:
    """Read what a folder holds.

    Args:
        folder: a run's directory, a search's, a model's, or one that holds such directories.

    Raises:
        RunError: if the folder does not exist, holds none of these, or a file in it is damaged.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder" if not folder.exists() else f"{folder} is a file, expected a folder")
    own = _read_part(folder)
    whole = own is None or own.kind == "benchmark"
    parts = ([own] if own is not None else []) + (_read_parts(folder, _DEPTH) if whole else [])
    manifest = _manifest(folder) if whole else {}
    if not parts and not manifest:
        raise RunError(
            f"{folder} has nothing to report: expected a run's folder, a search's or a model's "
            "(with manifest.json, metrics.jsonl, genotype.json or results.json)"
        )
    found = {kind: [part for part in parts if part.kind == kind] for kind in _KINDS}
    return Contents(
        path=folder,
        manifest=manifest,
        configuration=_configuration(folder, manifest) if manifest else "",
        searches=_distinct(found["search"], folder),
        models=_distinct(sorted(found["model"], key=lambda part: part.genotype is None), folder),
        benchmarks=_distinct(found["benchmark"], folder),
        measurements=_distinct(found["vulnerability"], folder),
    )


def load_results(folder: Path) -> tuple[ModelResults, ...]:
    """The results of every evaluated model in a folder, for the tables.

    Raises:
        RunError: as `read_folder`.
    """
    return read_folder(folder).results


def _read_parts(folder: Path, depth: int) -> list[Part]:
    """The parts below a folder; a directory that is a search, a model or a measurement is not looked into."""
    try:
        children = sorted(child for child in folder.iterdir() if child.is_dir() and child.name[0] != ".")
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror or error}") from error
    parts = []
    for child in children:
        part = _read_part(child)
        if part is not None:
            parts.append(part)
        if depth > 1 and (part is None or part.kind == "benchmark"):
            parts += _read_parts(child, depth - 1)
    return parts


def _read_part(path: Path) -> Part | None:
    """The part that a directory is, or None if it is none by itself."""
    manifest = _manifest(path)
    summary = read_object(path / "results.json") or {}
    metrics = read_metrics(path / "metrics.jsonl")
    genotype = None
    if (path / "genotype.json").is_file():
        try:
            genotype = Genotype.load(path / "genotype.json")
        except GenotypeError as error:
            raise RunError(str(error)) from error
    kind = _kind(manifest, summary, metrics, genotype)
    if kind is None:
        return None
    results = None
    if kind == "model" and "attacks" in summary:
        results = ModelResults.from_json(summary, str(path / "results.json"), name=path.name)
    if kind == "model":
        _check_weights(path, results)
        _check_images(path, results)
    return Part(
        name=results.name if results else path.name,
        kind=kind,
        path=path,
        manifest=manifest,
        configuration=_configuration(path, manifest),
        metrics=metrics,
        genotype=genotype,
        summary=summary,
        results=results,
    )


def _check_weights(path: Path, results: ModelResults | None) -> None:
    """Raise RunError if a model's weights are damaged, belong to another run, or are not the attacked ones."""
    weights = path / "weights.safetensors"
    if not weights.exists():
        return
    _, seal = read_sealed(weights, limit=LARGEST)
    if seal is not None and results is not None and results.weights not in ("", seal.digest):
        raise RunError(f"{path / 'results.json'} tells of other weights than {weights} holds: evaluate them again")


def _check_images(path: Path, results: ModelResults | None) -> None:
    """Raise RunError if saved adversarial images are damaged, or of another model or attack than their place says."""
    folder = path / "adversarial"
    for file in sorted(folder.glob("**/*.safetensors")):
        _, seal = read_sealed(file, limit=LARGEST)
        attack = file.relative_to(folder).with_suffix("").as_posix()
        model = "" if results is None else results.model
        if seal is not None and model and seal.run != owner_of(model, attack):
            raise RunError(f"{file} holds images of another model or attack: remove it")


def _manifest(folder: Path) -> dict[str, Any]:
    """The content of manifest.json, checked; empty if there is none."""
    manifest = manifest_in(folder)
    check_manifest(manifest, str(folder / "manifest.json"))
    return manifest


def _kind(
    manifest: Mapping[str, Any], summary: Mapping[str, Any], metrics: Metrics, genotype: Genotype | None
) -> str | None:
    if manifest.get("kind") == "run":
        return None
    if manifest.get("kind") in ("search", "benchmark", "vulnerability"):
        return str(manifest["kind"])
    if manifest.get("kind") in ("train", "evaluate") or "attacks" in summary:
        return "model"
    if metrics.records:
        return "search" if any(record.values["kind"] in _SEARCH_RECORDS for record in metrics.records) else "model"
    return "search" if genotype is not None else None


def _configuration(path: Path, manifest: Mapping[str, Any]) -> str:
    try:
        return read_bytes(path / "config.yaml").decode("utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        config = manifest.get("config")
        return yaml.safe_dump(config, sort_keys=False).strip() if config else ""


def _distinct(parts: list[Part], folder: Path) -> tuple[Part, ...]:
    """Parts of one kind under distinct names: parts that share one also show their folders."""
    names = [part.name for part in parts]
    named = []
    for part in parts:
        if names.count(part.name) > 1:
            name = f"{part.name} ({part.path.relative_to(folder)})"
            results = replace(part.results, name=name) if part.results else None
            named.append(replace(part, name=name, results=results))
        else:
            named.append(part)
    return tuple(named)
