"""Settings of one of our algorithms alone are understood wherever they stand, though its file has not been imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: Parses each line in a process of its own, in which torch has been imported, to save seconds, and no algorithm has.
CODE = """
import os, sys
from rnas.arguments import parse
from rnas.commands.config import SearchCommand
assert "torch" not in sys.modules
import torch

for line in sys.argv[1:]:
    if (process := os.fork()) == 0:
        assert "rnas.search.catalogue" not in sys.modules
        command = parse("search", SearchCommand, line.split(), resumable=True)
        print(command.search.p_darts.dropout, command.search.p_darts.skips, flush=True)
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0, line
"""
LINES = [
    "--search.algorithm p_darts --search.p_darts.dropout [0,0.1,0.2]",
    "--config run/config.yaml",
    "--search search.yaml",
    "--resume run",
]


def test_on_the_command_line_in_files_and_in_a_run(tmp_path: Path) -> None:
    group = "algorithm: p_darts\np_darts:\n  dropout: [0.0, 0.1, 0.2]\n"
    (tmp_path / "search.yaml").write_text(group, encoding="utf-8")
    (tmp_path / "run").mkdir()
    indented = group.replace("\n", "\n  ").rstrip()
    (tmp_path / "run" / "config.yaml").write_text(f"search:\n  {indented}\n", encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-c", CODE, *LINES], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.stdout.splitlines() == ["(0.0, 0.1, 0.2) 2"] * len(LINES), answer.stderr
