"""Quick work shows nothing; slow work shows plain lines where there is no terminal."""

from __future__ import annotations

import pytest

from rnas.data import progress


def test_plain_lines_only_when_slow(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track("abc", 3, "spelling")) == ["a", "b", "c"]
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(progress, "QUIET", 0.0)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    assert list(progress.track("abc", 3, "spelling")) == ["a", "b", "c"]
    assert capfd.readouterr().err.splitlines() == [f"spelling: {done} of 3" for done in (1, 2, 3)]
