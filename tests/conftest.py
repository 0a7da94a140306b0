"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rnas.reports.figures import style

# Before they are imported, so that a failed assertion of theirs shows its values.
pytest.register_assert_rewrite("tests.processes", "tests.refusals")

from tests.processes import Commands  # noqa: E402
from tests.refusals import Refused  # noqa: E402


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


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Gives wrong commands."""
    return Refused(capsys)
