"""Commands in processes of their own, which begin in milliseconds and can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PATIENCE = 120.0
"""Seconds that any single step may take on a busy machine."""

# Importing torch takes seconds. A process that has imported everything, but has started no thread, can be forked in
# milliseconds; "fresh" replaces the fork by a new interpreter all the same. torch imports its compiler with the first
# optimiser, and a search counts the operations of its space once.
SERVER = """
import json, os, signal, sys
import sklearn.datasets, torch._dynamo, torch.utils.tensorboard
import rnas.commands.evaluate, rnas.commands.run, rnas.commands.vulnerability, rnas.reports.page
from rnas.cli import main
from rnas.reports.figures import style
from rnas.supernets.darts import derive

derive.operation_sizes()
signal.signal(signal.SIGINT, signal.default_int_handler)
style._encode = lambda figure, kind: b"not drawn"
for line in sys.stdin:
    order = json.loads(line)
    process = os.fork()
    if process == 0:
        said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        if order["fresh"]:
            code = "import sys; from rnas.cli import main; sys.exit(main())"
            os.execv(sys.executable, [sys.executable, "-c", code, *order["arguments"]])
        status = main(order["arguments"])
        sys.stdout.flush()
        os._exit(status)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Commands:
    """Runs commands one after the other, each in a process of its own that can be killed; figures are not drawn.

    Args:
        folder: where the process's words are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.said = folder / "said"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, arguments: Sequence[str | Path], *, fresh: bool = False) -> int:
        """Begin a command; returns the process's number."""
        order = {"arguments": [str(word) for word in arguments], "fresh": fresh, "said": str(self.said)}
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        """The next number the server tells: a process, or the exit status of the one that it had begun."""
        assert self.server.stdout is not None
        return int(self.server.stdout.readline())

    def finish(self, arguments: Sequence[str | Path]) -> None:
        """Run a command to its end, which must be a good one."""
        self.start(arguments)
        assert self.answer() == 0, self.said.read_text()

    def end(self) -> None:
        """Stop the server."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(PATIENCE)
        self.server.stdout.close()
