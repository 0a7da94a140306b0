"""Rows of images, and the parquet file that keeps them: what attacks did to each, or what is proved of it.

The file grows by finished batches and is replaced as a whole, so that a killed command loses one batch at most. Its
metadata say of which model, images and settings it tells, and in which batches the images were taken; rows of anything
else are refused.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnas.documents import parse_object
from rnas.errors import RunError
from rnas.evaluation.card import Settings
from rnas.run.files import MEBIBYTE, make_folder, read_bytes, write_atomically
from rnas.run.integrity import KEY, blank, seal

__all__ = ["Columns", "Record", "read_columns"]

METADATA_KEY = b"rnas"

#: Bytes of a file: a row has about ten, and AutoAttack on ImageNet leaves some million rows.
LARGEST = 1024 * MEBIBYTE
REMEDY = "remove the file or choose another folder (--out FOLDER)"


@dataclass(frozen=True)
class Columns:
    """Columns of equal length; a row is one image under one attack, or one method of proof.

    Subclasses are frozen dataclasses whose fields are the columns of the schema, `image` among them.
    """

    #: The file that keeps them in a folder, the column that says which attack or method, and the types of all columns.
    FILE_NAME: ClassVar[str]
    KEY: ClassVar[str]
    SCHEMA: ClassVar[pa.Schema]

    def __len__(self) -> int:
        return len(next(iter(self.columns().values())))

    def on(self, images: NDArray[np.int64]) -> Self:
        """The rows of some images, by their indices."""
        return self.rows(np.flatnonzero(np.isin(self.columns()["image"], images)))

    def followed_by(self, *others: Self) -> Self:
        """These rows, then the others."""
        columns = [part.columns() for part in (self, *others)]
        return type(self)(**{name: np.concatenate([part[name] for part in columns]) for name in columns[0]})

    def rows(self, rows: NDArray[np.int64]) -> Self:
        """Some rows, by their positions."""
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def to_table(self) -> pa.Table:
        """The columns as an Arrow table."""
        return pa.table({name: pa.array(column) for name, column in self.columns().items()}, schema=self.SCHEMA)

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """The columns of an Arrow table that `to_table` made."""
        columns = {name: table.column(name).to_numpy() for name in cls.SCHEMA.names}
        return cls(**{**columns, cls.KEY: columns[cls.KEY].astype(np.str_)})


Rows = TypeVar("Rows", bound=Columns)


class Record(Generic[Rows]):
    """The rows of one model on one set of images, kept in a file where there is a folder.

    Args:
        folder: where their file is or will be; None keeps the rows in memory.
        identity: what all of them depend on, by name: model, images, seed.
        kind: the class of the rows.

    Raises:
        RunError: if the folder holds rows of another identity, or a damaged file, or cannot be used.
    """

    def __init__(self, folder: Path | None, identity: dict[str, str | int], kind: type[Rows]) -> None:
        self.path: Path | None = None
        self.identity = identity
        self.settings: dict[str, Settings] = {}
        self.seconds: dict[str, float] = {}
        self.batches: dict[str, list[int]] = {}
        self.checks: dict[str, list[dict[str, Any]]] = {}
        self.remarks: dict[str, list[str]] = {}
        self.outcomes = kind.from_table(kind.SCHEMA.empty_table())
        if folder is None:
            return
        self.path = make_folder(folder) / kind.FILE_NAME
        if self.path.exists():
            self.outcomes, about = read_columns(self.path, kind)
            for name, asked in identity.items():
                self._require_same(name.replace("_", " "), about["identity"].get(name), asked)
            self.identity = about["identity"]
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
        columns = self.outcomes.columns()
        return np.split(columns["image"][columns[self.outcomes.KEY] == attack], np.cumsum(sizes))[: len(sizes)]

    def append(self, attack: str, outcomes: Rows, seconds: float, remarks: Sequence[str] = ()) -> None:
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


def read_columns(path: Path, kind: type[Rows]) -> tuple[Rows, dict[str, Any]]:
    """Read a file that a `Record` keeps, with its metadata.

    Args:
        path: the file.
        kind: the class of its rows.

    Raises:
        RunError: if it is missing, damaged or no file of such rows.
    """
    try:
        # In this thread alone: one of Arrow's that still holds the bytes when Python ends would abort the process.
        table = pq.ParquetFile(io.BytesIO(read_bytes(path, limit=LARGEST)), pre_buffer=False).read(use_threads=False)
        about = parse_object((table.schema.metadata or {})[METADATA_KEY], str(path), finite=False)
        if not table.schema.equals(kind.SCHEMA):
            raise ValueError(f"unexpected columns {', '.join(table.schema.names)}")
        if set(about) != {"identity", "settings", "seconds", "batches", "checks", "remarks"}:
            raise ValueError("unexpected metadata")
        rows = kind.from_table(table)
        if any(sum(sizes) != (rows.columns()[kind.KEY] == name).sum() for name, sizes in about["batches"].items()):
            raise ValueError("its batches are not those of its rows")
        return rows, about
    except OSError as error:
        # Arrow raises OSError for damaged pages too, then without an error number.
        reason = error.strerror or "damaged"
    except RunError as error:
        reason = str(error)
    except (pa.ArrowException, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
    raise RunError(f"cannot read {path} as a file of outcomes ({reason}); {REMEDY}")
