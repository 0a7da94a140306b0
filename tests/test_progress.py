"""Progress lines: within 80 columns, with a unit, and no negative time."""

import re
from collections.abc import Iterator
from itertools import count

import pytest
from rich.console import Console

from rnas import progress
from rnas.progress import reporting, seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each look at the clock is 7 s after the last."""
    ticks = count(0, 7)
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: float(next(ticks)))
        yield


VALUES: dict[str, float | str] = {
    "last": "APGD-CE + APGD-T, L2 on a folded copy",
    "robust": 0.123456789,
    "now": "sanity checks \x1b[31m[red]",
    "F/H": 1.23456e-11,
}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("title", ["training a", f"attacking {'a' * 200}", "searching \x1b[2J[bold]"])
@pytest.mark.parametrize("total", [1, 300, 123_456_789])
def test_plain_lines_fit(title: str, total: int, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(title, total, unit="passes") as reporter:
        for done in (0, total // 3, 2 * total // 3, total, total + 5):
            reporter.update(done, **VALUES)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    for line in lines:
        assert len(line) <= 80
        assert line.isprintable()
        assert re.search(r"\d+/\d+ passes  .*\d+(\.\d)? (s|min|h)", line)
        assert not re.search(r"-\d", line.partition("passes")[2].replace("e-11", ""))


@pytest.mark.parametrize("width", [80, 200])
def test_the_bar_is_one_line_of_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=width, force_terminal=True, stderr=True, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    with reporting("training a_run_of_some_length", 12_345) as reporter:
        assert reporter.bar is not None
        for done in (1, 6000, 12_345):
            reporter.update(done, **VALUES)
            (line,) = console.render_lines(reporter.bar.get_renderable())
            text = "".join(segment.text for segment in line)
            assert f"{done}/12345 steps" in text
            assert text.rstrip().endswith(" left")  # nothing is cut off
            assert ("robust 0.1235" in text) == (width == 200)


@pytest.mark.parametrize(
    ("duration", "words"), [(-3.0, "0 s"), (0.4, "0 s"), (99.0, "99 s"), (150.0, "2 min"), (9000.0, "2.5 h")]
)
def test_durations_in_words(duration: float, words: str) -> None:
    assert seconds(duration) == words
