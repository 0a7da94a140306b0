"""What a command waits for before it says anything, by the modules that are imported; clocks differ."""

import subprocess
import sys
from pathlib import Path

#: Each takes about as long to import as torch itself, or longer, and is needed late or never.
SLOW = (
    "torch._dynamo",
    "scipy.stats",
    "scipy.optimize",
    "sklearn",
    "pandas",
    "datasets",
    "matplotlib",
    "jinja2",
    "onnx",
)


def run(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_help_imports_no_parser_and_no_torch(tmp_path: Path) -> None:
    code = "import sys; from rnas.cli import main; main(['--help']); print(*sys.modules)"
    answer = run(code, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "--plugin MODULE" in answer.stdout
    assert not {"torch", "jsonargparse", "rich"} & set(answer.stdout.splitlines()[-1].split())


def test_a_wrong_source_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    """All commands in one process, which ends without torch."""
    code = """
import sys
from rnas.cli import main
ends = [main(line.split()) for line in sys.argv[1:]]
sys.exit(10 * (set(ends) != {2}) + ('torch' in sys.modules))
"""
    lines = [
        "search --data absnt",
        "train --data ./absent --network resnet18",
        "run quickstart --data /absent/x --out new",
        "benchmark rnas --data cifer10",
        "evaluate absent --data digit",
        "vulnerability absent --data a:b",
        "train --training.epochs many",
        "evaluate absent --evaluation.attacks fgms",
    ]
    answer = run(code, *lines, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    told = answer.stderr.splitlines()
    assert len(told) == len(lines)
    assert "no data set is called 'digit'; did you mean 'digits'?" in told[4]
    assert not list(tmp_path.iterdir())


def test_the_work_imports_what_it_needs_to_begin(tmp_path: Path) -> None:
    """Search, training, evaluation."""
    code = f"""
import sys
import rnas.commands.run, rnas.commands.evaluate
from rnas.data import load
load("digits")
print(*(name for name in {SLOW!r} if name in sys.modules))
"""
    answer = run(code, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == ""
