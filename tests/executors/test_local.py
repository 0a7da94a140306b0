"""The engine that needs nothing: one job after another, and none stops another."""

from __future__ import annotations

from functools import partial

import pytest

from rnas.errors import DivergenceError
from rnas.executors import ExecutorConfig, Job, open_executor


def fail(error: Exception) -> None:
    raise error


def test_jobs_run_in_order_and_a_failure_stops_no_other() -> None:
    done: list[int] = []
    jobs = [Job(str(number), partial(done.append, number)) for number in range(3)]
    jobs.insert(1, Job("diverging", partial(fail, DivergenceError("step 3: the loss is nan"))))
    with open_executor(ExecutorConfig()) as execute:
        outcomes = list(execute(jobs))
    assert done == [0, 1, 2]
    assert [outcome.job for outcome in outcomes] == jobs
    assert [outcome.failure for outcome in outcomes] == [None, "step 3: the loss is nan", None, None]


def test_an_outcome_is_known_before_the_next_job_begins() -> None:
    done: list[int] = []
    with open_executor(ExecutorConfig()) as execute:
        outcomes = execute([Job(str(number), partial(done.append, number)) for number in range(2)])
        next(outcomes)
        assert done == [0]


def test_a_bug_is_no_outcome() -> None:
    with open_executor(ExecutorConfig()) as execute, pytest.raises(ZeroDivisionError):
        list(execute([Job("bug", partial(fail, ZeroDivisionError()))]))
