"""Ends of a process at a chosen moment, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """What no code of ours catches."""


def killing(function: Callable[..., Any], at: int, *, after: bool) -> Callable[..., Any]:
    """A function at whose call of a number the process ends, before it or after it."""
    calls = iter(range(1_000_000))

    def stand_in(*arguments: Any, **named: Any) -> Any:
        last = next(calls) == at
        if last and not after:
            raise Killed
        answer = function(*arguments, **named)
        if last:
            raise Killed
        return answer

    return stand_in
