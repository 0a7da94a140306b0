"""A directory that was made for nothing goes away; whatever else is in it, or around it, stays."""

from pathlib import Path

import pytest

from rnas.cli import main
from rnas.errors import DataError, RunError
from rnas.run.lock import locked

TRAIN = "train --data ./absent --network.name resnet18 --network.channels 2 --threads 1"


def begin(path: Path, *files: str, error: type[BaseException] = DataError) -> None:
    """Make files in a locked directory, then fail."""
    with locked(path):
        for name in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text("")
        raise error


def fail_in(path: Path, *files: str) -> None:
    with pytest.raises(DataError):
        begin(path, *files)


def test_a_failed_command_leaves_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN.split(), "--out", "bad/deep/y"]) == 2
    assert "./absent" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_only_what_was_made_here_goes(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    fail_in(tmp_path / "old" / "new" / "run", "manifest.json", "search/config.yaml")
    assert not list((tmp_path / "old").iterdir())
    fail_in(tmp_path / "old", "manifest.json")
    assert (tmp_path / "old" / "manifest.json").exists()


@pytest.mark.parametrize("name", ["metrics.jsonl", "seed-0/metrics.jsonl", "candidates/0/checkpoint.pt", "notes.txt"])
def test_what_is_worth_keeping_stays(name: str, tmp_path: Path) -> None:
    fail_in(tmp_path / "run", "manifest.json", name)
    assert (tmp_path / "run" / "manifest.json").exists()
    assert (tmp_path / "run" / name).exists()


def test_an_interrupted_beginning_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "run", "config.yaml", error=KeyboardInterrupt)
    assert (tmp_path / "run" / "config.yaml").exists()


def test_folders_that_others_use_stay(tmp_path: Path) -> None:
    fail_in(tmp_path / "runs" / "mine", "../other/notes.txt")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["other"]


def test_who_is_kept_out_removes_nothing(tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        with pytest.raises(RunError, match="in use"), locked(tmp_path / "run"):
            pass
        assert (tmp_path / "run").is_dir()
