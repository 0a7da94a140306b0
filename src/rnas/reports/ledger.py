"""The results as a CSV table in which each row carries all that is needed to repeat it."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any, Final

from rnas.run.attack_results import AttackResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rnas.run.certificate_results import CertificateResult
    from rnas.run.contents import Contents

__all__ = ["csv_text", "harmless", "recorded_origin", "results_csv", "written"]

#: What spreadsheets take for a formula, also behind apostrophes, of which each keeps the next as it is.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n]")


def results_csv(contents: Contents) -> str:
    """One row a model and attack, or method of proof, with command, seed, commit and hardware.

    Args:
        contents: what a folder holds.

    Returns:
        CSV text with a header; accuracies are fractions in [0, 1], times are in seconds.
    """
    return csv_text(
        [
            {
                "model": part.name,
                "parameters": part.results.parameters,
                "data": part.results.data,
                "image_size": "x".join(map(str, part.results.size or ())),
                "attack": entry.name if isinstance(entry, AttackResult) else f"certified/{entry.name}",
                "images": entry.images,
                "accuracy": entry.accuracy,
                "low": entry.low,
                "high": entry.high,
                "median_l2": entry.median_l2 if isinstance(entry, AttackResult) else None,
                "seconds": entry.seconds,
                "settings": json.dumps(_settings(entry)),
                "failed_checks": " ".join(dict.fromkeys(verdict.name for verdict in part.results.doubts)),
                **recorded_origin(entry.call or contents.manifest or part.manifest),
            }
            for part in contents.models
            if part.results is not None
            for entry in part.results.judgements
        ]
    )


def _settings(entry: AttackResult | CertificateResult) -> dict[str, Any]:
    """What a row was measured with; of a certificate also the ball, which its method need not know."""
    return {**({} if isinstance(entry, AttackResult) else {"norm": entry.norm, "eps": entry.eps}), **entry.settings}


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV text with a header; empty if there is no row."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: harmless(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def harmless(value: Any) -> Any:
    """A value as a cell that no spreadsheet takes for a formula: such text gets an apostrophe before it.

    Numbers stay as they are, also those that are written as text. `written` takes the apostrophe off again.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value) else value


def written(cell: str) -> str:
    """The text that `harmless` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def recorded_origin(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a row of numbers needs to be repeated.

    Args:
        manifest: of the run that made it.
    """
    hardware = manifest.get("hardware") or {}
    versions = manifest.get("versions") or {}
    return {
        "command": manifest.get("command"),
        "seed": manifest.get("seed"),
        "commit": manifest.get("git_commit"),
        "uncommitted_changes": manifest.get("git_dirty"),
        "hardware": hardware.get("gpu") or f"{hardware.get('cpu')}, {hardware.get('cores')} cores",
        "torch": versions.get("torch"),
        "finished": manifest.get("finished"),
    }
