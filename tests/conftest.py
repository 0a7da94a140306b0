"""What tests of several folders share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

from rnas.reports.figures import style

# Before they are imported, so that a failed assertion of theirs shows its values.
pytest.register_assert_rewrite("tests.processes", "tests.refusals")

from tests.processes import Commands  # noqa: E402
from tests.refusals import Refused  # noqa: E402

ENCODE = style._encode


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector, which takes seconds to go through it, is told not to."""
    gc.collect()
    gc.freeze()


def outline(figure: Figure, kind: str) -> bytes:
    """What stands for a figure that is not drawn."""
    return f"{kind} of {len(figure.axes)} axes".encode()


@pytest.fixture(scope="session", autouse=True)
def nothing_drawn() -> Iterator[None]:
    """Figures are made and not drawn, which takes a second each, but for tests that ask for `drawn`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_encode", outline)
        yield


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn: for tests of what is in them, and one test of each command that makes some."""
    monkeypatch.setattr(style, "_encode", ENCODE)


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
