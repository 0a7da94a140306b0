"""Commands in processes of their own, which begin in milliseconds and can be killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: Where `forking` is.
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

PATIENCE = 120.0
"""Seconds that any single step may take on a busy machine."""

# Importing torch takes seconds. A process that has imported everything, but has started no thread, can be forked in
# milliseconds. torch imports its compiler with the first optimiser, and a search counts the operations of its space
# once. tests/parallel/test_torchrun.py kills interpreters that began anew.
SERVER = """
import json, os, runpy, signal, sys
from functools import partial
sys.path.append(sys.argv[1])
from forking import fork, wait_for
import torch._dynamo, torch.distributed, tensorboard.summary.writer.record_writer
import rnas.commands.evaluate, rnas.commands.run, rnas.commands.vulnerability, rnas.reports.page
from rnas.cli import main
from rnas.reports.figures import style
from rnas.supernets.darts import derive

derive.operation_sizes()
signal.signal(signal.SIGINT, signal.default_int_handler)
style._encode = lambda figure, kind: b"not drawn"

def work(order):
    os.environ.update(order["environment"])
    if order["script"]:
        sys.argv = [order["script"], *order["arguments"]]
        runpy.run_path(order["script"], run_name="__main__")
        return 0
    return main(order["arguments"])

for line in sys.stdin:
    order = json.loads(line)
    if "process" in order:
        answer = wait_for(order["process"])
    else:
        answer = fork(partial(work, order), order["said"], order["errors"])
    print(answer, flush=True)
"""


class Commands:
    """Runs commands, each in a process of its own that can be killed; figures are not drawn.

    Args:
        folder: where the processes' words are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.said, self.process = folder, folder / "said", 0
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(BENCHMARKS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, order: dict[str, object]) -> int:
        """What the server answers to an order; the files of words begin anew."""
        for name in ("said", "errors"):
            if name in order:
                Path(str(order[name])).write_bytes(b"")
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def start(self, arguments: Sequence[str | Path]) -> int:
        """Begin a command; returns the process's number."""
        words = [str(word) for word in arguments]
        places = {"said": str(self.said), "errors": str(self.said)}
        self.process = self.ask({"arguments": words, "script": None, "environment": {}, **places})
        return self.process

    def answer(self) -> int:
        """The exit status of the command that was begun last."""
        return self.ask({"process": self.process})

    def finish(self, arguments: Sequence[str | Path]) -> None:
        """Run a command to its end, which must be a good one."""
        self.start(arguments)
        assert self.answer() == 0, self.said.read_text()

    def run_script(self, script: Path, *arguments: str | Path) -> str:
        """Run a file as Python runs a script, to its end, which must be a good one; what it said."""
        words = [str(word) for word in arguments]
        places = {"said": str(self.said), "errors": str(self.folder / "errors")}
        order: dict[str, object] = {"arguments": words, "script": str(script), "environment": {}, **places}
        process = self.ask(order)
        assert self.ask({"process": process}) == 0, (self.folder / "errors").read_text()
        return self.said.read_text()

    def group(
        self, arguments: Sequence[Sequence[str | Path]], *, script: Path | None = None
    ) -> list[subprocess.CompletedProcess[str]]:
        """Run processes of one group, as torchrun starts them, each with arguments of its own, to their ends.

        Args:
            arguments: of each process.
            script: what they run in place of commands.
        """
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        count, begun = len(arguments), []
        for rank, given in enumerate(arguments):
            environment = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "GROUP_WORLD_SIZE": "1",
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            places = {name: str(self.folder / f"{name}-{rank}") for name in ("said", "errors")}
            order = {"arguments": [str(word) for word in given], "script": script and str(script)}
            begun.append((self.ask({**order, "environment": environment, **places}), given, places))
        return [
            subprocess.CompletedProcess(
                given,
                self.ask({"process": process}),
                *(Path(places[name]).read_text(encoding="utf-8") for name in ("said", "errors")),
            )
            for process, given, places in begun
        ]

    def end(self) -> None:
        """Stop the server."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(PATIENCE)
        self.server.stdout.close()


def runs(process: int) -> bool:
    """Whether a process has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
