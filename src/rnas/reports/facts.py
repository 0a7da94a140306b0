"""The facts of the page in words: what was run, on what, for how long, and how it was measured."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rnas.documents import is_number
from rnas.reports.tables import columns
from rnas.reports.wording import describe_images, describe_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rnas.run.attack_results import AttackResult
    from rnas.run.contents import Contents, Part

__all__ = ["bound", "facts", "headline", "measurements", "outcome", "sources", "stage"]

_NAMES = {
    "none": "mass on none",
    "parameters": "parameters of the cells at their published size",
    "passes": "passes of the supernet",
}
_COMMANDS: Final = 5
_TOLERANCE: Final = 1e-3  # on F / H - 1, where a manifest names none


def headline(contents: Contents) -> str:
    """The page's title: the run, or where nothing was searched or trained, the models that were attacked."""
    if not contents.only_evaluated:
        return f"Run {contents.path.resolve().name}"
    names = [part.name for part in contents.models]
    if len(names) > 3:
        names = [*names[:2], f"{len(names) - 2} more"]
    return "Evaluation of " + " and ".join(", ".join(names).rsplit(", ", 1))


def sources(contents: Contents) -> tuple[Mapping[str, Any], str, list[Mapping[str, Any]]]:
    """The manifests that the page's first lines quote.

    Returns:
        The manifest that says when; whose it is, if not the whole page's; and the manifest and calls that made what is
        shown, which say by which commands, on what hardware, of which commits and seeds.
    """
    calls = [entry.call for model in contents.results for entry in model.judgements if entry.call]
    if contents.only_evaluated and calls:
        # A manifest is of the last call, which may have made nothing.
        return max(calls, key=lambda call: str(call.get("finished") or "")), "", calls
    if contents.manifest or not contents.parts:
        return contents.manifest, "", [contents.manifest, *calls]
    part = next((part for part in contents.parts if part.manifest), contents.parts[0])
    of = part.name if len(contents.parts) > 1 else ""
    return part.manifest, of, [part.manifest, *calls]


def facts(
    contents: Contents, manifest: Mapping[str, Any], of: str, made_by: Sequence[Mapping[str, Any]] = ()
) -> list[tuple[str, str]]:
    """What was run, when and on what, as far as it is known.

    Args:
        contents: names the data.
        manifest: says when.
        of: whose manifest it is; empty where that is clear.
        made_by: the manifests and calls that say the rest, each value once; by default the manifest.
    """
    made_by = made_by or [manifest]
    commands = _each(str(call.get("command") or "") for call in made_by)
    more = len(commands) - _COMMANDS
    beside = " and the records of the attacks" if len(made_by) > 1 else ""
    known = [
        ("From", f"the manifest of {of}{beside}" if of else ""),
        *(("Command", command) for command in commands[:_COMMANDS]),
        ("More commands", f"and {more} more, in results.csv" if more > 0 else ""),
        ("Data", ", ".join(sorted({model.data for model in contents.results if model.data}))),
        ("Begun", _time(manifest.get("created"))),
        ("Finished", _finished(manifest) if manifest else ""),
        ("Hardware", "; ".join(_each(_hardware(call.get("hardware")) for call in made_by))),
        ("Commit", "; ".join(_each(_commit(call) for call in made_by))),
        ("Seed", ", ".join(_each("" if call.get("seed") is None else str(call["seed"]) for call in made_by))),
    ]
    return [(name, value) for name, value in known if value]


def _each(values: Iterable[str]) -> list[str]:
    """The values that are not empty, each once, in order."""
    return list(dict.fromkeys(value for value in values if value))


def _commit(manifest: Mapping[str, Any]) -> str:
    commit = manifest.get("git_commit")
    return f"{commit}{' with uncommitted changes' if manifest.get('git_dirty') else ''}" if commit else ""


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
    span = _span(manifest)
    return f"{_time(manifest['finished'])}, {span} after the beginning" if span else _time(manifest["finished"])


def _span(manifest: Mapping[str, Any]) -> str:
    """The time from the beginning of a manifest's work to its end, in words; empty if it is not recorded."""
    try:
        span = datetime.fromisoformat(str(manifest["finished"])) - datetime.fromisoformat(str(manifest["created"]))
    except (KeyError, TypeError, ValueError):
        return ""
    return _duration(span.total_seconds())


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(max(0.0, seconds)), 60)  # a clock may be set back
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {seconds} s"


def _hardware(hardware: object) -> str:
    if not isinstance(hardware, dict):
        return ""
    words = [str(hardware[key]) for key in ("gpu", "cpu") if hardware.get(key)]
    if hardware.get("cores"):
        words.append(f"{hardware['cores']} cores")
    if hardware.get("device"):
        words.append(f"computed on {hardware['device']}")
    return ", ".join(words)


def stage(part: Part) -> tuple[str, str, str, str, str]:
    """Name of a stage, what it is, its state, its own time from beginning to end, and when it ended."""
    ended = bool(part.manifest.get("finished"))
    # The time of its own work, also where it was interrupted; older versions wrote down the ends only.
    worked = part.manifest.get("seconds")
    span = (_duration(worked) if isinstance(worked, float) else _span(part.manifest)) if ended else ""
    what = part.kind if part.kind != "vulnerability" else "vulnerability of trained networks"
    if part.kind == "model":
        attacks = part.results.attacks if part.results else ()
        # What a worst case took is that of its attacks.
        spent = [row.seconds for row in attacks if row.seconds is not None and not row.name.startswith("worst_case")]
        attacked = _duration(sum(spent)) if spent else ""
        if part.manifest.get("kind") == "evaluate":
            what, span = "evaluation", attacked
        else:
            what = "training and evaluation" if part.results else "training"
            span = ", ".join(f"{name} {time}" for name, time in (("training", span), ("attacks", attacked)) if time)
    return part.name, what, part.state, span, _time(part.manifest["finished"]) if ended else ""


def measurements(contents: Contents) -> list[tuple[str, ...]]:
    """For each attack what it ran with; models that differ in settings or images are told apart.

    Returns:
        Rows of name, source, settings, images, median norms of the changes that broke images (one a model), and time.
    """
    rows: list[tuple[str, ...]] = []
    for column in columns(contents.results):
        ways: dict[tuple[str, str], list[tuple[str, AttackResult]]] = {}
        seconds = [cell.seconds for cell in column.cells if cell is not None and cell.seconds is not None]
        for model, cell in zip(contents.results, column.cells, strict=True):
            if cell is not None:
                images = describe_images(cell).replace(" images", "")
                ways.setdefault((describe_settings(cell.settings), images), []).append((model.name, cell))
        for (settings, images), found in ways.items():
            title = column.title if len(ways) == 1 else f"{column.title} ({', '.join(name for name, _ in found)})"
            measured = [(name, cell.median_l2) for name, cell in found if cell.median_l2 is not None]
            several = len(contents.results) > 1
            norms = ", ".join(f"{name}: {norm:.3g}" if several else f"{norm:.3g}" for name, norm in measured)
            time = f"{sum(seconds):.1f} s" if seconds and len(ways) == 1 else ""
            rows.append((title, found[0][1].source, settings, images, norms, time))
    return rows


def outcome(search: Part) -> list[tuple[str, str]]:
    """The outcome that a search states, without what its kind of search does not have."""
    return [
        (_NAMES.get(name, name), _quantity(value))
        for name, value in search.summary.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool) and value != ""
    ]


def bound(search: Part) -> tuple[str, bool] | None:
    """Whether F ended within its bound H.

    Returns:
        In words, ``"bound NOT met: F / H = 1.56"``, and whether it was met; None where there is no bound.
    """
    limit, reached = search.summary.get("H"), search.summary.get("F")
    if not isinstance(limit, (int, float)) or not isinstance(reached, (int, float)) or limit <= 0:
        return None
    tolerance = search.setting("search", "constraint", "tolerance")
    met = search.summary.get("bound_met")
    if not isinstance(met, bool):  # of an older version
        met = reached / limit <= 1 + (tolerance if isinstance(tolerance, float) else _TOLERANCE)
    ratio = f"F / H = {reached / limit:.4g}"
    return (f"bound met: {ratio}" if met else f"bound NOT met: {ratio}"), met


def _quantity(value: float | str) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if is_number(value) else str(value)
