"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.processes import Commands

from rnas.reports.figures import style


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not drawn, which takes seconds: for tests of what else is there."""
    monkeypatch.setattr(style, "_encode", lambda figure, kind: f"{kind} of {len(figure.axes)} axes".encode())


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """What runs commands in processes of their own."""
    commands = Commands(tmp_path_factory.mktemp("said"))
    yield commands
    commands.end()
