"""What can be proved of a network: randomised smoothing, with its certificates in the L2 norm."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.certification.smoothing import ABSTAINED, SmoothedModel, certify, predict
else:
    __getattr__, __dir__ = lazily(__name__, {"smoothing": ("ABSTAINED", "SmoothedModel", "certify", "predict")})

__all__ = ["ABSTAINED", "SmoothedModel", "certify", "predict"]
