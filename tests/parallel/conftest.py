"""Several processes on this machine, as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from torch import distributed

Start = Callable[[Sequence[Sequence[str | Path]]], list[subprocess.CompletedProcess[str]]]


@pytest.fixture(scope="session")
def start() -> Start:
    """Run Python in processes of one group, each with arguments of its own, to their ends."""
    if not (distributed.is_available() and distributed.is_gloo_available()):
        pytest.skip("this build of torch has no gloo")

    def run(arguments: Sequence[Sequence[str | Path]]) -> list[subprocess.CompletedProcess[str]]:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        processes = []
        for rank, given in enumerate(arguments):
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(len(arguments)),
                "LOCAL_WORLD_SIZE": str(len(arguments)),
                "GROUP_WORLD_SIZE": "1",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            command = [sys.executable, *given]
            pipe = subprocess.PIPE
            processes.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
        ended = []
        for process in processes:
            said, errors = process.communicate(timeout=1000)
            ended.append(subprocess.CompletedProcess(process.args, process.returncode, said, errors))
        return ended

    return run
