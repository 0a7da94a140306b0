"""The outcome of each attack for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rnas.evaluation.records import Columns, read_columns

__all__ = ["Outcomes", "read_outcomes"]


@dataclass(frozen=True)
class Outcomes(Columns):
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

    FILE_NAME: ClassVar[str] = "outcomes.parquet"
    KEY: ClassVar[str] = "attack"
    SCHEMA: ClassVar[pa.Schema] = pa.schema(
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

    def of(self, *attacks: str) -> Outcomes:
        """The rows of some attacks, or of all members of a collection; each attack's in the order of the images."""
        rows = np.flatnonzero(self._under(attacks))
        _, first, which = np.unique(self.attack[rows], return_index=True, return_inverse=True)
        # An evaluation that was extended to more images has rows of an attack in several places.
        return self.rows(rows[np.lexsort((self.image[rows], first[which]))])

    def robust_accuracy(self, attack: str) -> float:
        """Share of an attack's rows, or of those of all members of a collection, that are not broken; at least one."""
        return 1 - float(self.broken[self._under((attack,))].mean())

    def _under(self, attacks: Sequence[str]) -> NDArray[np.bool_]:
        """Which rows are of some attacks, or of members of a collection."""
        chosen = np.isin(self.attack, attacks)
        for name in attacks:
            chosen |= np.strings.startswith(self.attack, f"{name}/")
        return chosen


def read_outcomes(path: Path) -> Outcomes:
    """Read an `outcomes.parquet`.

    Args:
        path: the file.

    Raises:
        RunError: if it is missing, damaged or no file of outcomes.
    """
    return read_columns(path, Outcomes)[0]
