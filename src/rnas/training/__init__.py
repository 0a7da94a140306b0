"""Training of a fixed network: one loop for every network and objective."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.training.config import TrainingConfig
    from rnas.training.loop import train
else:
    __getattr__, __dir__ = lazily(__name__, {"config": ("TrainingConfig",), "loop": ("train",)})

__all__ = ["TrainingConfig", "train"]
