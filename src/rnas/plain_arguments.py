"""Plain arguments of the functions in `rnas.surface` as the typed configurations that the commands take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rnas.config import Distance, PgdConfig, default_step, require
from rnas.data.config import DataChoice, DataConfig

__all__ = ["as_choice", "as_config", "attack_at", "given", "named_images", "optional"]


def given(**settings: Any) -> dict[str, Any]:
    """The settings that were given."""
    return {name: value for name, value in settings.items() if value is not None}


def attack_at(eps: float | str, attack: PgdConfig) -> PgdConfig:
    """The attack of a search or a training at another radius."""
    radius = Distance(eps)
    return replace(attack, eps=radius, step_size=default_step(radius))


def as_config(data: str | Path | DataConfig) -> DataConfig:
    """All about the images of a name or a path."""
    return data if isinstance(data, DataConfig) else DataConfig(source=str(data))


def as_choice(data: str | Path | DataChoice | None) -> DataChoice:
    """The test images of a name or a path; those of the training where there is none."""
    return data if isinstance(data, DataChoice) else DataChoice(source=optional(data))


def named_images(data: str | Path | DataChoice | None) -> DataConfig:
    """The images of a torch module, which knows of none.

    Raises:
        ConfigError: if none are named.
    """
    choice = as_choice(data)
    require(choice.source is not None, "data", "a name, a hub id or a path: a torch module knows of no images", data)
    return DataConfig(**given(**vars(choice)))


def optional(path: str | Path | None) -> str | None:
    """A path as the configurations take it."""
    return None if path is None else str(path)
