"""What is proved of each image by each method, as rows of `certificates.parquet`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rnas.evaluation.records import Columns, read_columns

__all__ = ["Certificates", "read_certificates"]


@dataclass(frozen=True)
class Certificates(Columns):
    """Columns of equal length; a row is one image and one method.

    Args:
        image: index of the image in the test set.
        label: its class.
        method: name of the method.
        prediction: the class that the model says of the image itself; -1 where a smoothed one says none.
        radius: every image within this distance is proved to get that class, in units of images in [0, 1] and the
            method's norm; 0 where nothing is proved.
    """

    FILE_NAME: ClassVar[str] = "certificates.parquet"
    KEY: ClassVar[str] = "method"
    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            ("image", pa.int64()),
            ("label", pa.int64()),
            ("method", pa.string()),
            ("prediction", pa.int64()),
            ("radius", pa.float64()),
        ]
    )

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    method: NDArray[np.str_]
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]

    def of(self, method: str) -> Certificates:
        """The rows of a method, in the order of the images."""
        rows = np.flatnonzero(self.method == method)
        return self.rows(rows[np.argsort(self.image[rows], kind="stable")])

    def certified(self, radius: float) -> NDArray[np.bool_]:
        """Which rows are of images that are classified correctly in the whole ball of a radius; 0 is the image alone.

        Shape (rows,).
        """
        return (self.prediction == self.label) & (self.radius >= radius)


def read_certificates(path: Path) -> Certificates:
    """Read a `certificates.parquet`.

    Args:
        path: the file.

    Raises:
        RunError: if it is missing, damaged or no file of certificates.
    """
    return read_columns(path, Certificates)[0]
