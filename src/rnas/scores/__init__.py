"""Training-free scores: how robust a network will be, judged by its fresh weights. One file a score."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.scores.registry import SCORES, Score
else:
    __getattr__, __dir__ = lazily(__name__, {"registry": ("SCORES", "Score")})

__all__ = ["SCORES", "Score"]
