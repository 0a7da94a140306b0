"""The card of an exported network, in Markdown: what it is, how it was trained, how robust it is, how to load it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2

from rnas.objectives.config import OWN_SETTINGS
from rnas.reports.certificates import certificates_markdown
from rnas.reports.facts import facts
from rnas.reports.figures.style import cell_name
from rnas.reports.sharing import shareable, shareable_command
from rnas.reports.tables import markdown, percent
from rnas.reports.wording import describe_images, describe_settings
from rnas.run.contents import read_folder
from rnas.run.manifest import early_stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rnas.genotype import Cell
    from rnas.run.contents import Contents, Part

__all__ = ["ExportedFile", "NetworkFacts", "model_card"]


@dataclass(frozen=True)
class NetworkFacts:
    """What the network says of itself.

    Args:
        description: its name and form, in a line.
        image: the shape of the images (C, H, W).
        classes: number of classes.
        parameters: number of learned values.
        multiply_accumulates: of one image.
    """

    description: str
    image: tuple[int, int, int]
    classes: int
    parameters: int
    multiply_accumulates: int


@dataclass(frozen=True)
class ExportedFile:
    """A program beside the card.

    Args:
        name: of the file.
        difference: the largest difference of a logit from the network's, on random images.
        digest: SHA-256 of the file, in hexadecimal.
    """

    name: str
    difference: float
    digest: str


def model_card(folder: Path, network: NetworkFacts, files: Sequence[ExportedFile]) -> str:
    """The card of a trained network, as the text of a README.md.

    Args:
        folder: the directory of the training; its results are shown where it has been evaluated.
        network: what the files do not tell.
        files: the programs beside the card.

    Returns:
        Markdown. Where there are cells it shows ``cells.svg``, which is expected beside it.

    Raises:
        RunError: if the folder holds no trained network, or a file in it is damaged.
    """
    contents = read_folder(folder)
    (part,) = contents.models
    config = part.manifest.get("config") or {}
    named = config.get("data") or {}
    data = {"source": named} if isinstance(named, str) else named
    text = resources.files("rnas.reports").joinpath("card.md.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=False, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["md"] = lambda value: markdown(shareable(str(value)))
    results = part.results
    return environment.from_string(text).render(
        name=part.name,
        network=network,
        files=files,
        cells=[] if part.genotype is None else [(cell_name(kind), nodes(cell)) for kind, cell in part.genotype.cells],
        settings=[*flat(data, "data."), *flat(used(config.get("training") or {}), "training.")],
        early_stop=early_stop(part.manifest),
        fingerprint=(part.manifest.get("inputs") or {}).get("images", ""),
        results=results,
        accuracies=[
            (
                attack.title,
                *percent(attack),
                describe_images(attack).replace(" images", ""),
                describe_settings(attack.settings),
            )
            for attack in (results.attacks if results else ())
        ],
        certificates=certificates_markdown([results]) if results and results.certificates else "",
        origins=origins(contents, part),
        run=folder.resolve().name,
    )


def origins(contents: Contents, part: Part) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was called, when, on what, in which versions: for the training and each call that judged."""
    calls: dict[str, tuple[list[str], Mapping[str, Any]]] = {"": (["Training"], part.manifest)}
    for entry in part.results.judgements if part.results else ():
        if entry.call:
            calls.setdefault(json.dumps(entry.call, sort_keys=True), ([], entry.call))[0].append(entry.title)
    described = []
    for titles, manifest in calls.values():
        versions = ", ".join(f"{name} {version}" for name, version in (manifest.get("versions") or {}).items())
        known = [
            (name, shareable_command(value) if name == "Command" else value)
            for name, value in facts(contents, manifest, "")
        ]
        described.append((", ".join(titles), [*known, ("Versions", versions)]))
    return described


def nodes(cell: Cell) -> list[tuple[str, str]]:
    """Each node and what it adds up: ``("0", "sep_conv_3x3(c_(k-1)) + skip_connect(c_(k-2))")``."""
    names = [f"c_(k-{cell.inputs - index})" for index in range(cell.inputs)] + [str(k) for k in range(len(cell.nodes))]
    return [
        (names[cell.inputs + index], " + ".join(f"{edge.op}({names[edge.source]})" for edge in edges) or "nothing")
        for index, edges in enumerate(cell.nodes)
    ]


def used(training: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training without those of the objectives that it did not have."""
    others = set(OWN_SETTINGS) - {training.get("objective")}
    return {key: value for key, value in training.items() if key not in others}


def flat(settings: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """Nested settings as pairs of a full name and a value, without those that are null."""
    pairs: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, dict):
            pairs += flat(value, f"{prefix}{key}.")
        elif value is not None:
            pairs.append((f"{prefix}{key}", str(value)))
    return pairs
