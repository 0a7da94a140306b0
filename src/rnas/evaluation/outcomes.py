"""What happened to each image under each attack, and the parquet file that keeps it.

The file grows by finished batches and is replaced as a whole, so that a killed evaluation loses one batch at most. Its
metadata say of which model, images and settings it tells, and in which batches the images were attacked; outcomes of
anything else are refused.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnas.documents import parse_object
from rnas.errors import RunError
from rnas.evaluation.card import Settings
from rnas.run.files import MEBIBYTE, make_folder, read_bytes, write_atomically
from rnas.run.integrity import KEY, blank, seal

__all__ = ["FILE_NAME", "Outcomes", "Record", "read_outcomes"]

FILE_NAME = "outcomes.parquet"

SCHEMA = pa.schema(
    [
        ("image", pa.int64()),
        ("label", pa.int64()),
        ("clean_prediction", pa.int64()),
        ("attack", pa.string()),
        ("prediction", pa.int64()),
        ("broken", pa.bool_()),
        ("margin", pa.float64()),
        ("linf", pa.float64()),
        ("l2", pa.float64()),
        ("denied", pa.bool_()),
    ]
)

METADATA_KEY = b"rnas"

#: Bytes of a file: a row has about ten, and AutoAttack on ImageNet leaves some million rows.
LARGEST = 1024 * MEBIBYTE
REMEDY = "remove the file or choose another folder (--out FOLDER)"


@dataclass(frozen=True)
class Outcomes:
    """Columns of equal length; a row is one image under one attack.

    Args:
        image: index of the image in the test set.
        label: its class.
        clean_prediction: the class predicted for the image itself.
        attack: name of the attack, "clean" for none; of a corruption "corruptions/NAME/SEVERITY".
        prediction: the class predicted for the adversarial image.
        broken: whether the prediction is not the label; true for every attack where the clean prediction is wrong, as
            such images are not attacked. Corruptions are applied to them too.
        margin: the label's logit minus the largest other one, for the adversarial image: negative where it is broken.
            Attacks that keep successes only (C&W, DeepFool, Square, APGD, AutoAttack) return the image itself where
            they fail.
        linf: largest change of a pixel, in units of images in [0, 1].
        l2: Euclidean norm of the change, in the same units.
        denied: whether the attack broke the view of the model that it saw and not the model, which it then attacked.
    """

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    clean_prediction: NDArray[np.int64]
    attack: NDArray[np.str_]
    prediction: NDArray[np.int64]
    broken: NDArray[np.bool_]
    margin: NDArray[np.float64]
    linf: NDArray[np.float64]
    l2: NDArray[np.float64]
    denied: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.image)

    def of(self, *attacks: str) -> Outcomes:
        """The rows of some attacks, or of all members of a collection; each attack's in the order of the images."""
        rows = np.flatnonzero(self._under(attacks))
        _, first, which = np.unique(self.attack[rows], return_index=True, return_inverse=True)
        # An evaluation that was extended to more images has rows of an attack in several places.
        return self._rows(rows[np.lexsort((self.image[rows], first[which]))])

    def robust_accuracy(self, attack: str) -> float:
        """Share of an attack's rows, or of those of all members of a collection, that are not broken; at least one."""
        return 1 - float(self.broken[self._under((attack,))].mean())

    def on(self, images: NDArray[np.int64]) -> Outcomes:
        """The rows of some images, by their indices."""
        return self._rows(np.flatnonzero(np.isin(self.image, images)))

    def followed_by(self, *others: Outcomes) -> Outcomes:
        """These rows, then the others."""
        columns = [outcomes._columns() for outcomes in (self, *others)]
        return Outcomes(**{name: np.concatenate([part[name] for part in columns]) for name in columns[0]})

    def to_table(self) -> pa.Table:
        """The columns as an Arrow table."""
        return pa.table({name: pa.array(column) for name, column in self._columns().items()}, schema=SCHEMA)

    @classmethod
    def from_table(cls, table: pa.Table) -> Outcomes:
        """The columns of an Arrow table that `to_table` made."""
        columns = {name: table.column(name).to_numpy() for name in SCHEMA.names}
        return cls(**{**columns, "attack": columns["attack"].astype(np.str_)})

    def _under(self, attacks: Sequence[str]) -> NDArray[np.bool_]:
        """Which rows are of some attacks, or of members of a collection."""
        chosen = np.isin(self.attack, attacks)
        for name in attacks:
            chosen |= np.strings.startswith(self.attack, f"{name}/")
        return chosen

    def _rows(self, rows: NDArray[np.int64]) -> Outcomes:
        return Outcomes(**{name: column[rows] for name, column in self._columns().items()})

    def _columns(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


class Record:
    """The outcomes of one model on one set of images, kept in a file where there is a folder.

    Args:
        folder: where `outcomes.parquet` is or will be; None keeps the outcomes in memory.
        identity: what every attack's outcomes depend on, by name: model, images, seed.

    Raises:
        RunError: if the folder holds outcomes of another identity, or a damaged file, or cannot be used.
    """

    def __init__(self, folder: Path | None, identity: dict[str, str | int]) -> None:
        self.path: Path | None = None
        self.identity = identity
        self.settings: dict[str, Settings] = {}
        self.seconds: dict[str, float] = {}
        self.batches: dict[str, list[int]] = {}
        self.checks: dict[str, list[dict[str, Any]]] = {}
        self.remarks: dict[str, list[str]] = {}
        self.outcomes = Outcomes.from_table(SCHEMA.empty_table())
        if folder is None:
            return
        self.path = make_folder(folder) / FILE_NAME
        if self.path.exists():
            self.outcomes, about = _read(self.path)
            for name, asked in identity.items():
                self._require_same(name.replace("_", " "), about["identity"].get(name), asked)
            self.settings, self.seconds = about["settings"], about["seconds"]
            self.batches, self.checks, self.remarks = about["batches"], about["checks"], about["remarks"]

    def refuse_others(self, attack: str, settings: Settings) -> None:
        """Make sure that an attack's outcomes, if there are any, were made with these settings.

        Raises:
            RunError: if they were made with others.
        """
        recorded = self.settings.get(attack, settings)
        for name in {**settings, **recorded}.keys() - {"images"}:
            self._require_same(f"{name} of {attack}", recorded.get(name), settings.get(name))

    def begin(self, attack: str, settings: Settings, images: int) -> list[NDArray[np.int64]]:
        """Get ready for an attack's outcomes.

        Args:
            attack: its name.
            settings: what its outcomes depend on.
            images: how many it shall run on. They are all within those of a larger number.

        Returns:
            Indices of the images of each batch that the record holds already, in the order in which they were attacked.

        Raises:
            RunError: if the record holds outcomes of that attack with other settings.
        """
        self.refuse_others(attack, settings)
        before = int(self.settings.get(attack, {}).get("images", 0))
        self.settings[attack] = {**settings, "images": max(images, before)}
        self.seconds.setdefault(attack, 0.0)
        sizes = self.batches.setdefault(attack, [])
        return np.split(self.outcomes.image[self.outcomes.attack == attack], np.cumsum(sizes))[: len(sizes)]

    def append(self, attack: str, outcomes: Outcomes, seconds: float, remarks: Sequence[str] = ()) -> None:
        """Add a finished batch of an attack that has begun, with what the attack's code remarked on it, and save.

        Raises:
            RunError: if the file cannot be written; what it held before is intact.
        """
        self.outcomes = self.outcomes.followed_by(outcomes)
        self.batches[attack].append(len(outcomes))
        if remarks:
            self.remarks[attack] = list(dict.fromkeys([*self.remarks.get(attack, []), *remarks]))
        self.seconds[attack] += seconds
        self._save()

    def keep_checks(self, eps: float, checks: list[dict[str, Any]]) -> None:
        """Add what the sanity checks said of the model at an eps, as JSON values, and save.

        Raises:
            RunError: as `append`.
        """
        self.checks[str(eps)] = checks
        self._save()

    def _save(self) -> None:
        if self.path is not None:
            about = {
                "identity": self.identity,
                "settings": self.settings,
                "seconds": self.seconds,
                "batches": self.batches,
                "checks": self.checks,
                "remarks": self.remarks,
            }
            table = self.outcomes.to_table().replace_schema_metadata({METADATA_KEY: json.dumps(about).encode()})
            buffer = io.BytesIO()
            with pq.ParquetWriter(buffer, table.schema) as writer:
                writer.write_table(table)
                writer.add_key_value_metadata({KEY: blank()})
            write_atomically(self.path, seal(buffer.getvalue()))

    def _require_same(self, name: str, recorded: object, asked: object) -> None:
        if recorded != asked:
            # Fingerprints say nothing to a reader.
            values = "" if name in ("model", "images") else f" ({recorded} there, {asked} here)"
            raise RunError(f"{self.path} holds outcomes for another {name}{values}; {REMEDY}")


def read_outcomes(path: Path) -> Outcomes:
    """Read an `outcomes.parquet`.

    Raises:
        RunError: if it is missing, damaged or no file of outcomes.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[Outcomes, dict[str, Any]]:
    try:
        # In this thread alone: one of Arrow's that still holds the bytes when Python ends would abort the process.
        table = pq.ParquetFile(io.BytesIO(read_bytes(path, limit=LARGEST)), pre_buffer=False).read(use_threads=False)
        about = parse_object((table.schema.metadata or {})[METADATA_KEY], str(path), finite=False)
        if not table.schema.equals(SCHEMA):
            raise ValueError(f"unexpected columns {', '.join(table.schema.names)}")
        if set(about) != {"identity", "settings", "seconds", "batches", "checks", "remarks"}:
            raise ValueError("unexpected metadata")
        outcomes = Outcomes.from_table(table)
        if any(sum(sizes) != (outcomes.attack == name).sum() for name, sizes in about["batches"].items()):
            raise ValueError("its batches are not those of its rows")
        return outcomes, about
    except OSError as error:
        # Arrow raises OSError for damaged pages too, then without an error number.
        reason = error.strerror or "damaged"
    except RunError as error:
        reason = str(error)
    except (pa.ArrowException, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
    raise RunError(f"cannot read {path} as a file of outcomes ({reason}); {REMEDY}")
