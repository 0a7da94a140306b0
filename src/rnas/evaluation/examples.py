"""Adversarial images, kept exactly: those that an attack made of the first images which the model classifies correctly.

A file an attack, `adversarial/NAME.safetensors` (of a collection `adversarial/NAME/MEMBER.safetensors`), holds these
tensors, N images in the order of `image`:

    image, label, clean_prediction, prediction   (N,), int64; `image` as in outcomes.parquet
    clean, adversarial                           (N, C, H, W), float32 in [0, 1], not rounded to grey levels

Rounding to 8 bits, as a PNG does, moves a pixel by up to 1/510: enough to undo what an attack has done.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rnas.errors import RunError
from rnas.run.checkpoints import save_tensors
from rnas.run.files import MEBIBYTE, make_folder, read_bytes
from rnas.run.integrity import owner_of

__all__ = ["Examples"]

FOLDER = "adversarial"

#: Bytes of a file of images.
LARGEST = 16 * 1024 * MEBIBYTE


class Examples:
    """The images of one attack: which are wanted, and which are there.

    Args:
        folder: of the evaluation; the file stands below it.
        name: of the attack.
        wanted: indices of the images, in order.
        made_by: what the images depend on: fingerprints, seed, settings. A file of anything else is replaced.

    Raises:
        RunError: if the file is damaged.
    """

    def __init__(self, folder: Path, name: str, wanted: Tensor, made_by: dict[str, Any]) -> None:
        self.folder = folder
        self.path = path = folder / FOLDER / f"{name}.safetensors"
        self.owner = owner_of(str(made_by["model"]), name)
        self.wanted = wanted.tolist()
        self.made_by = json.dumps(made_by, sort_keys=True)
        self.rows: dict[int, dict[str, Tensor]] = {}
        if path.exists():
            try:
                read_bytes(path, limit=LARGEST)
                with safe_open(path, framework="pt") as file:
                    if (file.metadata() or {}).get("made_by") == self.made_by:
                        columns = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                        for row, index in enumerate(columns["image"].tolist()):
                            self.rows[index] = {name: column[row] for name, column in columns.items()}
            except (RunError, OSError, SafetensorError, KeyError) as error:
                raise RunError(f"{path} is damaged, truncated or no file of images: remove it") from error

    def lacks(self, batch: Tensor) -> bool:
        """Whether a batch holds wanted images that are not there."""
        return any(index in self.wanted and index not in self.rows for index in batch.tolist())

    def add(self, **columns: Tensor) -> None:
        """Take what is wanted of a batch's images, and save.

        Args:
            columns: the tensors of the file, by name, for any images.

        Raises:
            RunError: if the file cannot be written; what it held before is intact.
        """
        before = len(self.rows)
        for row, index in enumerate(columns["image"].tolist()):
            if index in self.wanted:
                self.rows[index] = {name: column[row].detach().cpu() for name, column in columns.items()}
        kept = [self.rows[index] for index in self.wanted if index in self.rows]
        if len(self.rows) > before:
            make_folder(self.folder, *self.path.parent.relative_to(self.folder).parts)
            tensors = {name: torch.stack([row[name] for row in kept]) for name in kept[0]}
            save_tensors(self.path, tensors, run=self.owner, about={"made_by": self.made_by})
