"""`rnas search --help` lists every algorithm with a line and a source, and does not wait for torch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rnas.search.algorithm import ALGORITHMS
from rnas.search.listing import describe_algorithms

PLUG_IN = '''
from rnas.search.algorithm import ALGORITHMS
from rnas.search.random import RandomSearch

@ALGORITHMS.register("dice")
class Dice(RandomSearch):
    """As random. More words."""
'''


def test_each_has_a_sentence_and_a_source() -> None:
    lines = dict(line.split(maxsplit=1) for line in describe_algorithms())
    assert set(ALGORITHMS) == set(lines)
    for name, line in lines.items():
        assert re.fullmatch(r".+\. \(.+\)", line), name
        assert "http" in line or "RNAS" in line, name
    assert lines["darts"] == "DARTS: clean losses on both levels, no bound. (https://arxiv.org/abs/1806.09055)"


def test_help_shows_them_without_torch(tmp_path: Path) -> None:
    (tmp_path / "dice.py").write_text(PLUG_IN, encoding="utf-8")
    code = """
import sys
from rnas.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print("torch" in sys.modules)
"""
    for plug_in in (False, True):
        words = ["search", "--help", *(["--plugin", "dice.py"] if plug_in else [])]
        answer = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert answer.stdout.endswith(f"\n{plug_in}\n")
        listed = answer.stdout.partition("\nsearch algorithms:\n")[2]
        assert "  beta_darts " in listed
        assert bool(re.search(r"\n  dice +As random\. \(dice\)\n", listed)) is plug_in
