"""The errors a user can cause or meet.

Each message is one line that names what was expected, what came and, where there is one, the nearest choice.
The command line prints that line and exits with code 2; a Python caller catches `RnasError`.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CollapseError",
    "ConfigError",
    "DataError",
    "DivergenceError",
    "GenotypeError",
    "ModelError",
    "RnasError",
    "RunError",
    "UnknownNameError",
    "nearest",
    "reason_of",
]


class RnasError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(RnasError, ValueError):
    """A setting has a value that it cannot have."""


class UnknownNameError(ConfigError, KeyError):
    """A name that no registered item carries."""

    def __str__(self) -> str:
        """Undo KeyError, which would print the message in quotes."""
        return str(self.args[0])


class DataError(RnasError):
    """A data set is missing, malformed or too small for its use."""


class GenotypeError(RnasError, ValueError):
    """A genotype, or its file, does not describe a network."""


class ModelError(RnasError):
    """A network does not fit its weights, its images or its task."""


class RunError(RnasError):
    """A run directory cannot be used: foreign, damaged, unfinished or not writable."""


class DivergenceError(RnasError):
    """A loss or a gradient is no longer finite; the message names the last good checkpoint.

    Args:
        message: what is not finite.
        remedy: what the user can choose instead, in words; None where whoever raises the error cannot tell.
    """

    remedy: str | None = None

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy or self.remedy


class CollapseError(DivergenceError):
    """Training on one-step examples has ended in catastrophic overfitting."""

    remedy: str | None = "a smaller fast_at.step, a lower learning_rate or the objective pgd_at"


def nearest(given: str, known: Iterable[str]) -> str:
    """The end of an error message: the choices, the most similar one first named.

    Args:
        given: what the user wrote.
        known: the names that would have been right.

    Returns:
        For example ``"; did you mean 'resnet18'? (choices: resnet18, vgg16)"``, or only the choices where none is near.
    """
    choices = sorted(known)
    # Papers write RNAS-L where a name here is rnas_l, and DARTS where it is darts_v2.
    letters = {re.sub(r"[\W_]", "", choice).lower(): choice for choice in reversed(choices)}
    asked = re.sub(r"[\W_]", "", given).lower()
    begun = sorted(name for name in letters if asked and name.startswith(asked))
    similar = begun or difflib.get_close_matches(asked, letters, n=1, cutoff=0.5)
    hint = f"; did you mean {letters[similar[0]]!r}?" if similar else ""
    return f"{hint} (choices: {', '.join(choices)})"


def reason_of(error: BaseException) -> str:
    """Kind and telling line of an error that is not ours, fit to end one of ours.

    TorchScript first says where in the program it happened, over many lines, and last what happened.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "TorchScript" in lines[0]:
        causes = [line.removeprefix("builtins.") for line in lines if re.match(r"[\w.]*(?:Error|Exception): ", line)]
        if causes:
            return causes[-1]
    if isinstance(error, SystemExit):
        return f"it ends the program by sys.exit({error.code!r})"
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
