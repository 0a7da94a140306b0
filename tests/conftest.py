"""What tests of several folders share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure

from rnas.registry import Lookup
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


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers, and the modules of examples that it imports, are gone after it."""
    from rnas.evaluation import ATTACKS
    from rnas.networks.zoo import NETWORKS
    from rnas.objectives import OBJECTIVES
    from rnas.search import ALGORITHMS
    from rnas.search.projection import SOLVERS
    from rnas.search.settings import SETTINGS
    from rnas.supernets.space import SPACES

    filled: list[Lookup[Any]] = [ALGORITHMS, SETTINGS, ATTACKS, NETWORKS, OBJECTIVES, SOLVERS, SPACES]
    for registry in filled:
        len(registry)  # filled from now on: what fills it is imported once
        monkeypatch.setattr(registry, "_items", dict(registry._items))
    yield
    for name in [name for name in sys.modules if name.startswith(("mine", "own_"))]:
        del sys.modules[name]


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
