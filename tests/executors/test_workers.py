"""Several worker processes: all jobs are done, deaths are survived, and nobody outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from tests.processes import PATIENCE, runs

from rnas.errors import ConfigError, DivergenceError
from rnas.executors import ExecutorConfig, Job, Outcome, open_executor
from rnas.executors.workers import RESTARTS


def note(folder: Path, name: str) -> None:
    """Leave a file that says which process was here."""
    with (folder / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


def note_and_die(folder: Path, name: str, times: int) -> None:
    """Be killed, but not more often than so many times."""
    note(folder, name)
    if len((folder / name).read_text().splitlines()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise DivergenceError("step 3: the loss is nan")


def slip() -> None:
    raise ZeroDivisionError("as it is written")


def outcomes(jobs: list[Job], workers: int = 2) -> dict[str, str | None]:
    with open_executor(ExecutorConfig(workers=workers)) as execute:
        found: list[Outcome] = list(execute(jobs))
    assert len(found) == len(jobs)
    return {outcome.job.name: outcome.failure for outcome in found}


def test_jobs_are_done_once_each_elsewhere_and_a_failure_stops_no_other(tmp_path: Path) -> None:
    jobs = [Job(str(number), partial(note, tmp_path, str(number))) for number in range(6)]
    failures = outcomes([*jobs[:2], Job("diverging", refuse), *jobs[2:]])
    assert failures == {**dict.fromkeys(map(str, range(6))), "diverging": "step 3: the loss is nan"}
    pids = [(tmp_path / str(number)).read_text().split() for number in range(6)]
    assert all(len(one) == 1 for one in pids)
    assert len({one[0] for one in pids}) <= 2
    assert str(os.getpid()) not in {one[0] for one in pids}


def test_a_job_whose_worker_dies_is_done_again_and_one_that_always_dies_fails(tmp_path: Path) -> None:
    jobs = [
        Job("once", partial(note_and_die, tmp_path, "once", 1)),
        Job("always", partial(note_and_die, tmp_path, "always", 1000)),
        Job("never", partial(note, tmp_path, "never")),
    ]
    failures = outcomes(jobs)
    assert failures["once"] is failures["never"] is None
    assert failures["always"] == f"its worker died {RESTARTS + 1} times"
    attempts = {name: len((tmp_path / name).read_text().splitlines()) for name in failures}
    assert attempts == {"once": 2, "always": RESTARTS + 1, "never": 1}


def test_a_bug_in_a_worker_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError, match="as it is written"):
        outcomes([Job("bug", slip)])


ORPHANS = """
from functools import partial
from pathlib import Path
from stays import stay
from rnas.executors import ExecutorConfig, Job, open_executor

if __name__ == "__main__":
    with open_executor(ExecutorConfig(workers=2)) as execute:
        list(execute([Job(str(number), partial(stay, Path(FOLDER))) for number in range(2)]))
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """Or a worker would hold the run directory that the next command wants."""
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS.replace("FOLDER", repr(str(tmp_path))))
    (tmp_path / "stays.py").write_text(
        "import os, time\ndef stay(folder):\n    (folder / f'pid-{os.getpid()}').touch()\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL) as parent:
        deadline = time.monotonic() + PATIENCE
        while len(found := list(tmp_path.glob("pid-*"))) < 2:
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.kill()
    pids = [int(path.name.removeprefix("pid-")) for path in found]
    while any(map(runs, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_are_of_the_local_engine() -> None:
    with pytest.raises(ConfigError, match=r"workers: expected .* 1 with engine ray"):
        ExecutorConfig(engine="ray", workers=2)
    with pytest.raises(ConfigError, match="workers: expected an integer >= 1"):
        ExecutorConfig(workers=0)
