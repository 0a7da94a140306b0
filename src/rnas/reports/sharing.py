"""Text that is published: without the paths of the machine on which it was written, which tell others nothing."""

from __future__ import annotations

import re
import shlex

__all__ = ["shareable", "shareable_command"]

#: A path from the root or from somebody's home, not the second half of a fraction, of an address or of a relative path.
_PATH = re.compile(r"(?<![\w./~\\-])(?!//)(?:~[\w.-]*)?(?:/[^/\s'\",;:=()\[\]{}|]+)+/?")


def shareable(text: str) -> str:
    """A text in which each path from the root or from a home is shortened to its last name: ``.../cifar10``."""
    if re.fullmatch(r"(?:~[^/]*)?/[^\n]*", text):  # one path, in which a space is no end
        return _shortened(text)
    return _PATH.sub(lambda found: _shortened(found[0]), text)


def shareable_command(command: str) -> str:
    """A command in which paths are shortened likewise, also those of several words in quotes."""
    try:
        words = shlex.split(command)
    except ValueError:  # of another shell, or cut off
        return shareable(command)
    return shlex.join(
        f"{key}{equals}{shareable(value)}" if equals else shareable(word)
        for word in words
        for key, equals, value in [word.partition("=")]
    )


def _shortened(path: str) -> str:
    """``/home/someone/cifar10/`` as ``.../cifar10``; a path of one name stays: ``/tmp``."""
    names = [name for name in path.split("/") if name]
    return f".../{names[-1]}" if len(names) > 1 else path
