"""What `--deterministic` promises holds, what it does not promise is refused, and manifests say how was computed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnas.cli import main
from rnas.reproducibility import KERNELS, arithmetic, computing, differences, replace_sqrt
from rnas.run.integrity import seal_document
from rnas.run.opening import open_run

TRAIN = (
    "train --data digits --data.limit 40 --network.name resnet18 --network.channels 8 --training.epochs 1 "
    "--training.batch_size 20 --training.attack.steps 1 --training.learning_rate 0.1"
)

#: Trains in a process of its own and prints a digest of the weights.
PROGRAM = """
import hashlib, sys
from pathlib import Path
from rnas.cli import main
assert main(sys.argv[1:]) == 0
print(hashlib.sha256(Path("run/weights.safetensors").read_bytes()).hexdigest())
"""


def weights(folder: Path, arguments: str, **environment: str) -> str:
    """The digest of the weights that a fresh process trains."""
    folder.mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *TRAIN.split(), "--out", "run", *arguments.split()],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()[-1]


def test_the_same_weights_with_the_kernels_of_other_processors(tmp_path: Path) -> None:
    """Environment variables imitate them: vectors of a quarter of the width for torch and oneDNN, two threads."""
    old = {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "2"}
    mine = dict.fromkeys(("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA"), "")
    assert weights(tmp_path / "a", "--deterministic", **mine) == weights(tmp_path / "b", "--deterministic", **old)
    manifest = json.loads((tmp_path / "a" / "run" / "manifest.json").read_text())
    (session,) = manifest["sessions"]
    assert session["arithmetic"]["deterministic"] is True
    assert session["arithmetic"]["threads"] == 1
    assert session["arithmetic"]["instructions"] == "DEFAULT"


def test_square_roots_come_of_exact_operations() -> None:
    """IEEE 754 rounds a root and a quotient exactly on every processor; MKL's roots it does not."""
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    expected = 1 / (1 / values.numpy() ** 0.5)
    library = torch.library.Library("aten", "IMPL")
    try:
        replace_sqrt(library)
        place = torch.empty_like(values)
        for found in (values.sqrt(), values.clone().sqrt_(), torch.sqrt(values, out=place), place):
            assert bool((found.numpy() == expected).all())
        edges = torch.tensor([0.0, 1.0, float("inf"), -1.0]).sqrt()
        assert edges[:3].tolist() == [0.0, 1.0, float("inf")]
        assert bool(edges[3].isnan())
        variable = torch.tensor([4.0], requires_grad=True)
        variable.sqrt().backward()
        assert variable.grad is not None
        assert float(variable.grad) == 0.25
    finally:
        library._destroy()


def test_a_process_that_has_computed_otherwise_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this process computes with these kernels")
    before = {name: os.environ.get(name) for name in KERNELS}
    try:
        assert main([*TRAIN.split(), "--deterministic", "--out", str(tmp_path / "run")]) == 2
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("rnas: error: deterministic: this process has computed with the kernels of its processor")
    assert "ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--deterministic --threads 2", "threads: expected 1 or null with deterministic, got 2"),
        (
            "--training.precision bfloat16 --deterministic true",
            "training.precision: expected float32 with deterministic, got 'bfloat16'",
        ),
    ],
)
def test_what_is_not_promised_is_refused(
    options: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TRAIN.split(), *options.split(), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"rnas: error: {says}\n"


def test_threads_and_kernels_are_put_back() -> None:
    before = torch.get_num_threads()
    with computing(before + 1, deterministic=False, device="cpu"):
        assert torch.get_num_threads() == before + 1
        assert arithmetic("cpu")["threads"] == before + 1
    assert torch.get_num_threads() == before
    assert torch.backends.mkldnn.enabled


def test_what_makes_numbers_differ_is_named() -> None:
    here = {"processor": "a", "device": "cpu", "instructions": "AVX2", "threads": 1, "deterministic": False}
    assert differences(here, here) == ""
    assert differences(None, here) == ""  # a manifest of an older version
    assert differences({**here, "processor": "b", "threads": 2}, here) == "processor b, now a, threads 2, now 1"
    promised = {**here, "instructions": "DEFAULT", "deterministic": True}
    assert differences({**promised, "processor": "b"}, promised) == ""
    on_gpu = {**promised, "device": "cuda"}
    assert differences({**on_gpu, "processor": "b"}, on_gpu) == "processor b, now a"


def test_a_run_that_goes_on_elsewhere_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run"
    with open_run(path, "train", {}, seed=0, device="cpu") as run:
        assert not run.complete(lambda _: None)
        run.log("step", step=0, epoch=0, loss=1.0)
        run.save_checkpoint({})
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sessions"][0]["arithmetic"]["processor"] = "another"
    (path / "manifest.json").write_bytes(seal_document(manifest))
    with open_run(path, "train", {}, seed=0, device="cpu") as run:
        assert not run.complete(lambda _: None)
        run.finish()
    here = arithmetic("cpu")["processor"]
    assert capsys.readouterr().err.splitlines() == [
        f"rnas: {path} was begun with processor another, now {here}: its numbers may differ from those of an "
        "uninterrupted run"
    ]
    sessions = json.loads((path / "manifest.json").read_text())["sessions"]
    assert [session["arithmetic"]["processor"] for session in sessions] == ["another", here]
    with open_run(path, "train", {}, seed=0, device="cpu") as run:
        assert run.complete(lambda _: None)
    assert json.loads((path / "manifest.json").read_text())["sessions"] == sessions
