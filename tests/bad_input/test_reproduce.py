"""What can be wrong with `rnas reproduce` costs one line, exit code 2, and no run."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest
from tests.refusals import Refused

from rnas.cli import main

CASES = {
    "": ("expected one table or figure", "rnas reproduce STUDY", "got none"),
    "table1 table2": ("expected one table or figure", "got table1 table2"),
    "tabel1": ("no study is called 'tabel1'", "did you mean 'table1'?", "figure3"),
    "table1 --budget shrt": ("budget", "'shrt'", "did you mean 'short'?", "paper, short, smoke"),
    "table1 --budget=": ("no budget is called ''",),
    "table1 --networks resnet81,vgg16": ("table1 has no network 'resnet81'", "did you mean 'resnet18'?"),
    "table2 --networks racl": ("table2 has no network 'racl'", "resnet18"),
    "table1 --networks vgg16,vgg16": ("networks: expected each network once",),
    "figure3 --networks vgg16": ("networks: expected none", "figure3", "'vgg16'"),
    "figure3 --bounds 0": ("bounds: expected H > 0", "0"),
    "figure3 --bounds 80%,80%": ("bounds: expected each bound once",),
    "figure3 --bounds []": ("bounds: expected at least one",),
    "table1 --network.name vgg16": ("network: expected null for name and genotype", "'vgg16'"),
    "table1 --training.objective standard": ("training.objective: expected an adversarial one",),
    "table1 --training.objective pgdat": ("training.objective", "did you mean 'pgd_at'?"),
    "table1 --data.cifar11 x": ("--data.cifar11", "did you mean --data.cifar10"),
    "table1 --data.cifar10 ./absent": ("./absent", "no such file or folder"),
    "figure1 --data.cifar100 ./absent": ("./absent", "no such file or folder"),
    "figure1 --layers.metric klx": ("layers.metric", "did you mean 'kl'?"),
    "figure1 --layers.images 1": ("layers.images: expected an integer >= 2 or null, got 1",),
    "table1 --evaluation.attacks pgd": ("attacks", "'pgd'", "pgd20"),
    "table1 --engine rey": ("engine", "'rey'", "did you mean 'ray'?", "local, ray"),
    "table1 --address 127.0.0.1:6379": ("address: expected null but for engine ray",),
    "table1 --gpus 1.5": ("gpus", "1.5"),
    "table1 --cpus 0": ("cpus: expected a number > 0",),
}


@pytest.mark.parametrize("arguments", CASES)
def test_one_line_and_nothing_made(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(f"reproduce {arguments}", *CASES[arguments])


def test_ray_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else real(name))
    assert main(["reproduce", "table2", "--engine", "ray"]) == 2
    error = capsys.readouterr().err
    assert error == (
        "rnas: error: engine: ray is not installed: pip install 'rnas[cluster]', or choose --engine local\n"
    )


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.parametrize(
    ("address", "words"),
    {"nonsense": "expected host:port", "127.0.0.1:nine": "expected host:port", "": "host:port or null"}.items(),
)
def test_no_address(address: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "table2", "--engine", "ray", f"--address={address}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rnas: error: address: ")
    assert words in error


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_a_cluster_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["reproduce", "table2", "--engine", "ray", "--address", f"127.0.0.1:{port}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"no Ray cluster answers at 127.0.0.1:{port}" in error
    assert list(tmp_path.iterdir()) == []
