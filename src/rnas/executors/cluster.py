"""Jobs on a Ray cluster, or on a Ray that is started on this machine for them. What is scheduled where is Ray's matter.

All machines need rnas, and the working directory at the same path: run directories lie on a shared folder.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rnas import plugins
from rnas.errors import ConfigError
from rnas.executors.config import ExecutorConfig
from rnas.executors.jobs import Job, Outcome, attempt
from rnas.executors.registry import ENGINES, Execute

__all__ = ["ray_engine"]

#: How often a job is started again whose worker or machine died, before it counts as failed.
RESTARTS = 5

#: Seconds in which the machine of a cluster must answer.
PATIENCE = 10.0


@ENGINES.register("ray")
@contextmanager
def ray_engine(config: ExecutorConfig) -> Iterator[Execute]:
    """Several jobs at a time, as many as the cluster's processors and GPUs allow."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("engine: ray is not installed: pip install 'rnas[cluster]', or choose --engine local")
    # Before the import, which reads them. Ray would report to its makers what it is used for, and try for minutes to
    # reach a cluster that is none.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    import ray

    connect(config.address)
    try:
        gpus = resources(config)
        function = ray.remote(num_cpus=config.cpus, num_gpus=gpus, max_retries=RESTARTS)(perform)

        def execute(jobs: Sequence[Job]) -> Iterator[Outcome]:
            place = f"the cluster at {config.address}" if config.address else "this machine"
            runs = "1 run" if len(jobs) == 1 else f"{len(jobs)} runs"
            print(f"{runs} by Ray on {place}", file=sys.stderr, flush=True)
            # Its own command line is nothing that a manifest should tell.
            pending = {function.remote(job, os.getcwd(), sys.argv): job for job in jobs}  # noqa: PTH109
            while pending:
                (done, *_), _ = ray.wait(list(pending), num_returns=1)
                job = pending.pop(done)
                yield Outcome(job, answer(done))

        yield execute
    finally:
        ray.shutdown()


def connect(address: str | None) -> None:
    """Connect to a cluster, or start one on this machine.

    Raises:
        ConfigError: if the cluster does not answer.
    """
    import ray

    if address is None:
        ray.init(address="local", include_dashboard=False, logging_level=logging.ERROR)
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"address: expected host:port, such as 10.0.0.1:6379, got {address!r}")
    try:
        # Where nothing listens, the answer comes at once.
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
        ray.init(address=address, logging_level=logging.ERROR)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"address: no Ray cluster answers at {address}: {reason}; start one there with ray start --head, "
            "or leave --address out to start one on this machine"
        ) from error


def resources(config: ExecutorConfig) -> float:
    """The GPUs that a job takes.

    Raises:
        ConfigError: if no machine of the cluster has what a job takes; Ray would wait for one.
    """
    import ray

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = {kind: max(machine.get(kind, 0) for machine in machines) for kind in ("CPU", "GPU")}
    gpus = min(1.0, most["GPU"]) if config.gpus is None else config.gpus
    for setting, kind, wanted in (("cpus", "CPU", config.cpus), ("gpus", "GPU", gpus)):
        if wanted > most[kind]:
            raise ConfigError(f"{setting}: expected at most {most[kind]:g}, what one machine has, got {wanted:g}")
    return gpus


def perform(job: Job, folder: str, command: list[str]) -> str | None:
    """Do a job on a worker; returns its failure, as `attempt`."""
    try:
        os.chdir(folder)
    except OSError as error:
        machine = socket.gethostname()
        return f"{folder} cannot be entered on {machine}: {error.strerror}; runs need a folder that all machines share"
    sys.argv = command
    plugins.load(plugins.taken(command)[0])
    plugins.load_installed()
    return attempt(job)


def answer(done: Any) -> str | None:
    """The outcome of a job, also where its worker died too often; errors that are ours to mend are raised."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        failure: str | None = ray.get(done)
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        reason = str(error).strip().partition("\n")[0]
        return f"its worker died {RESTARTS + 1} times: {reason}"
    return failure
