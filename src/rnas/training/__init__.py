"""Training of a fixed network: one loop for every network and objective."""

from rnas.lazy import lazily

__all__ = ["TrainingConfig", "train"]

__getattr__ = lazily(__name__, {"TrainingConfig": "config", "train": "loop"})
