"""What the page says in words: what was run, on what, for how long, and how it was measured."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rnas.reports.documents import is_number
from rnas.reports.tables import columns
from rnas.reports.wording import describe_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnas.reports.reading import Contents, Part

__all__ = ["facts", "measurements", "outcome", "stage"]

_NAMES = {"none": "mass on none", "passes": "passes of the supernet"}


def facts(contents: Contents, manifest: Mapping[str, Any], of: str) -> list[tuple[str, str]]:
    """What was run, when, on what: those of them that are known."""
    hardware = manifest.get("hardware")
    commit = manifest.get("git_commit")
    seed = manifest.get("seed")
    known = [
        ("From", f"the manifest of {of}" if of else ""),
        ("Command", str(manifest.get("command") or "")),
        ("Data", ", ".join(sorted({model.data for model in contents.results if model.data}))),
        ("Begun", _time(manifest.get("created"))),
        ("Finished", _finished(manifest) if manifest else ""),
        ("Hardware", _hardware(hardware) if isinstance(hardware, dict) else ""),
        ("Commit", f"{commit}{' with uncommitted changes' if manifest.get('git_dirty') else ''}" if commit else ""),
        ("Seed", "" if seed is None else str(seed)),
    ]
    return [(name, value) for name, value in known if value]


def _time(value: object) -> str:
    """An ISO time to the minute; anything else as it is."""
    if not value:
        return ""
    try:
        return datetime.fromisoformat(str(value)).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return str(value)


def _finished(manifest: Mapping[str, Any]) -> str:
    if not manifest.get("finished"):
        return "not yet"
    try:
        span = datetime.fromisoformat(str(manifest["finished"])) - datetime.fromisoformat(str(manifest["created"]))
    except (KeyError, TypeError, ValueError):
        return _time(manifest["finished"])
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    took = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {seconds} s"
    return f"{_time(manifest['finished'])}, {took} after the beginning"


def _hardware(hardware: Mapping[str, Any]) -> str:
    words = [str(hardware[key]) for key in ("gpu", "cpu") if hardware.get(key)]
    if hardware.get("cores"):
        words.append(f"{hardware['cores']} cores")
    if hardware.get("device"):
        words.append(f"computed on {hardware['device']}")
    return ", ".join(words)


def stage(part: Part) -> tuple[str, str, str, str]:
    """Name of a stage, what it is, when it finished and its state."""
    what = "search" if part.kind == "search" else "training and evaluation"
    return part.name, what, _finished(part.manifest) if part.manifest.get("finished") else "", part.state


def measurements(contents: Contents) -> list[tuple[str, str, str, str]]:
    """For each attack what it ran with, on how many images and for how long; models that differ are told apart."""
    rows = []
    for column in columns(contents.results):
        ways: dict[tuple[str, int], list[str]] = {}
        seconds = [cell.seconds for cell in column.cells if cell is not None and cell.seconds is not None]
        for model, cell in zip(contents.results, column.cells, strict=True):
            if cell is not None:
                ways.setdefault((describe_settings(cell.settings), cell.images), []).append(model.name)
        for (settings, images), names in ways.items():
            title = column.title if len(ways) == 1 else f"{column.title} ({', '.join(names)})"
            rows.append((title, settings, str(images), f"{sum(seconds):.1f} s" if seconds and len(ways) == 1 else ""))
    return rows


def outcome(search: Part) -> list[tuple[str, str]]:
    """What the search says about itself, and the ratio that matters."""
    bound, reached = search.summary.get("H"), search.summary.get("F")
    said = [
        (_NAMES.get(name, name), _quantity(value))
        for name, value in search.summary.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
    ]
    if isinstance(bound, (int, float)) and isinstance(reached, (int, float)) and bound > 0:
        said.insert(0, ("F / H", f"{reached / bound:.3f}"))
    return said


def _quantity(value: float | str) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if is_number(value) else str(value)
