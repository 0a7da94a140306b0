"""What tests of several folders share."""

from __future__ import annotations

import pytest

from rnas.reports.figures import style


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not drawn, which takes seconds: for tests of what else is there."""
    monkeypatch.setattr(style, "_encode", lambda figure, kind: f"{kind} of {len(figure.axes)} axes".encode())
