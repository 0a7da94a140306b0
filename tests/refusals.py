"""What a wrong command costs: exit code 2, one line, and nothing of what was there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from rnas.cli import main

#: How lines begin that tell of work, not of what is wrong.
PROGRESS = ("training ", "searching ", "attacking ", "Generating")


def content(folder: Path, apart: Sequence[str] = ()) -> dict[str, str]:
    """Every folder, and a hash of every file; not what holds nothing of the user's: locks and caches.

    Args:
        folder: where to look.
        apart: names in it that are left out.
    """
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
        if path.name != ".lock"
        and not {".cache", "__pycache__"} & set(path.parts)
        and path.relative_to(folder).parts[0] not in apart
    }


class Refused:
    """Gives a wrong command in the working directory, and has it refused."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, command: str, *says: str, apart: Sequence[str] = (), printed: bool = False) -> str:
        """The one line of error.

        Args:
            command: its arguments.
            says: what the line must hold.
            apart: names in the working directory that may be made or changed.
            printed: whether something was printed before.
        """
        before = content(Path.cwd(), apart)
        self.capsys.readouterr()
        assert main(command.split()) == 2
        output = self.capsys.readouterr()
        assert bool(output.out) == printed
        lines = [line for line in output.err.splitlines() if not line.startswith(PROGRESS)]
        assert len(lines) == 1, output.err
        assert lines[0].startswith("rnas: error: ")
        for words in says:
            assert words in lines[0]
        assert content(Path.cwd(), apart) == before
        return lines[0]
