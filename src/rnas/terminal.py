"""Make text fit for a terminal: no control characters, and messages of one short line."""

from __future__ import annotations

import sys

__all__ = ["MOST", "one_line", "printable", "shorten", "tell", "warn"]

#: Characters of the longest line that an error or a warning may be.
MOST = 500

#: Characters of the longest value that is repeated in an error.
LONGEST_VALUE = 120


def printable(text: str) -> str:
    """A text as it may be printed: what a terminal would obey, and what is no character at all, escaped.

    Names of files and models come from anywhere: an escape sequence in one must not move the cursor or rewrite a line.
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def shorten(text: str, most: int = LONGEST_VALUE) -> str:
    """A text of at most so many characters: where it is longer, its middle is left out."""
    if len(text) <= most:
        return text
    begin = (most - 3) * 2 // 3
    return f"{text[:begin]}...{text[len(text) - (most - 3 - begin) :]}"


def one_line(message: str, most: int = MOST) -> str:
    """A message in one line of at most so many characters: first its long words are shortened, then its middle."""
    words = printable(" ".join(message.split())).split(" ")
    line = " ".join(words)
    if len(line) > most:
        line = " ".join(shorten(word) for word in words)
    return shorten(line, most)


def tell(text: str) -> None:
    """Print what a command answers."""
    print(printable(text))


def warn(message: str) -> None:
    """Print a line beside the answer, on standard error."""
    print(one_line(f"rnas: {message}"), file=sys.stderr, flush=True)
