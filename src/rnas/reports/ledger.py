"""The results as a CSV table in which each row carries all that is needed to repeat it."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnas.reports.reading import Contents

__all__ = ["results_csv"]


def results_csv(contents: Contents) -> str:
    """One row a model and attack, with command, seed, commit and hardware.

    Args:
        contents: what a folder holds.

    Returns:
        CSV text with a header; accuracies are fractions in [0, 1], times are in seconds.
    """
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for part in contents.models:
        if part.results is None:
            continue
        for attack in part.results.attacks:
            row = {
                "model": part.name,
                "parameters": part.results.parameters,
                "data": part.results.data,
                "attack": attack.name,
                "images": attack.images,
                "accuracy": attack.accuracy,
                "low": attack.low,
                "high": attack.high,
                "seconds": attack.seconds,
                "settings": json.dumps(attack.settings),
                **_provenance(attack.call or contents.manifest or part.manifest),
            }
            if writer is None:
                writer = csv.DictWriter(text, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
    return text.getvalue()


def _provenance(manifest: Mapping[str, Any]) -> dict[str, Any]:
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
