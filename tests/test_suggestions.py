"""What comes without a name and was given one."""

import pytest

from rnas.cli import main


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("evaluate --model runs/found", "rnas evaluate MODEL ..."),
        ("evaluate --checkpoint=w.pth --data digits", "rnas evaluate MODEL ..."),
        ("vulnerability --network runs/found", "rnas vulnerability MODEL ..."),
        ("export --run runs/found", "rnas export RUN"),
        ("zoo --network resnet18", "rnas zoo [NETWORK]"),
        ("benchmark --algorithm rnas", "rnas benchmark ALGORITHM"),
    ],
)
def test_a_name_that_is_not_needed(line: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.endswith(f"it comes first and without a name, {usage}")
    assert line.split()[1].partition("=")[0] in told
