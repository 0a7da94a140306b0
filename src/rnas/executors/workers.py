"""Several jobs at a time on this machine: worker processes that take one after another, and are replaced if they die.

A worker ends with the process that started it, however that ends, so that nothing goes on working in a run directory
that the next command wants to have.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from rnas import plugins
from rnas.executors.jobs import Job, Outcome, attempt
from rnas.executors.registry import Execute

__all__ = ["RESTARTS", "several_workers"]

#: How often a job is started again whose worker died, before it counts as failed.
RESTARTS = 5


@contextmanager
def several_workers(count: int) -> Iterator[Execute]:
    """So many worker processes, until the block ends; they start with the first jobs.

    Args:
        count: workers, at least 1.
    """
    workers: list[Worker] = []

    def execute(jobs: Sequence[Job]) -> Iterator[Outcome]:
        print(f"{len(jobs)} runs, {min(count, len(jobs))} at a time", file=sys.stderr, flush=True)
        waiting, deaths = deque(enumerate(jobs, start=1)), dict.fromkeys(range(1, len(jobs) + 1), 0)
        working: dict[Any, tuple[Worker, int, Job]] = {}
        idle = list(workers)
        while waiting or working:
            while waiting and (idle or len(workers) < count):
                if not idle:
                    workers.append(Worker())
                    idle.append(workers[-1])
                worker, (number, job) = idle.pop(), waiting.popleft()
                print(f"run {number} of {len(jobs)}: {job.name}", file=sys.stderr, flush=True)
                working[worker.connection] = (worker, number, job)
                worker.begin(job)
            for connection in wait(list(working)):
                worker, number, job = working.pop(connection)
                try:
                    failure = worker.answer()
                except EOFError:
                    workers.remove(worker)
                    worker.end()
                    deaths[number] += 1
                    if deaths[number] <= RESTARTS:
                        waiting.appendleft((number, job))
                        continue
                    yield Outcome(job, f"its worker died {deaths[number]} times")
                    continue
                idle.append(worker)
                yield Outcome(job, failure)

    try:
        yield execute
    finally:
        for worker in workers:
            worker.end()


class Worker:
    """A process that does jobs for this one."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, list(plugins.ASKED)), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, job: Job) -> None:
        """Hand a job over; of a worker that has died meanwhile `answer` tells."""
        try:
            self.connection.send_bytes(pickle.dumps(job))
        except BrokenPipeError:
            return

    def answer(self) -> str | None:
        """What a job returned, as `attempt`; raises EOFError if the worker died, and what is a fault of ours."""
        try:
            failure, fault = self.connection.recv()
        except ConnectionError as error:
            raise EOFError from error
        if fault is not None:
            raise fault
        return str(failure) if failure is not None else None

    def end(self) -> None:
        """Stop the process, whatever it does."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def work(connection: Connection, named: list[str]) -> None:
    """What a worker does.

    Args:
        connection: to whoever gives it jobs.
        named: plug-ins to load first.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's matter
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ["TTY_COMPATIBLE"] = "0"  # several live bars would overwrite each other
    plugins.load(named)
    plugins.load_installed()
    while True:
        try:
            job: Job = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        answer: tuple[str | None, Any]
        try:
            answer = (attempt(job), None)
        except Exception as error:
            answer = (None, sendable(error))
        connection.send(answer)


def sendable(error: Exception) -> Exception:
    """An error as another process can read it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def end_with_parent() -> None:
    """End this process at once when the one that started it ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
