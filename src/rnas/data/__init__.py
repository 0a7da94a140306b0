"""Images: from a name or a path to uint8 tensors on the device, and from there to batches.

In the order in which data flows: `finding` (a name or path -> a source, in `folders` or on the `hub`), `decoding` with
`labels` and `pictures`, and `cache` (a source -> uint8 tensors), `loading` (all of that together: `load`), `splits`
(seeded stratified index sets), `augmentation` and `batches`.
`config` imports no torch; what does is imported when it is first used.
"""

from typing import TYPE_CHECKING

from rnas.data.config import DataChoice, DataConfig
from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.data.augmentation import crop_and_flip
    from rnas.data.batches import Batches
    from rnas.data.images import ImageDataset, LabelledImages
    from rnas.data.loading import load
    from rnas.data.splits import halves, stratified_subset
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "augmentation": ("crop_and_flip",),
            "batches": ("Batches",),
            "images": ("ImageDataset", "LabelledImages"),
            "loading": ("load",),
            "splits": ("halves", "stratified_subset"),
        },
    )

__all__ = [
    "DataChoice",
    "DataConfig",
    "LabelledImages",
    "ImageDataset",
    "load",
    "stratified_subset",
    "halves",
    "crop_and_flip",
    "Batches",
]
