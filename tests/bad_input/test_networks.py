"""What is said of a trained network that cannot be exported: the file, the first mismatch; nothing is written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.refusals import Refused

from rnas.models import NetworkSpec
from rnas.networks import NetworkConfig
from rnas.run.checkpoints import save_tensors
from rnas.run.integrity import seal_document


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two networks as a training leaves them, of other cells."""
    monkeypatch.chdir(tmp_path)
    for name in ("racl", "resnet18"):
        Path(name).mkdir()
        config = NetworkConfig(name=name, channels=2, cells=3 if name == "racl" else None)
        spec = NetworkSpec.of(config, num_classes=4, in_channels=1, image_size=(8, 8))
        spec.save(Path(name))
        save_tensors(Path(name, "weights.safetensors"), spec.build(seed=0).state_dict())
        manifest = {"kind": "train", "config": {}, "inputs": {}, "seed": 0, "finished": "2026-01-01T00:00:00+00:00"}
        Path(name, "manifest.json").write_text(json.dumps(manifest))
    Path("file").write_text("no folder\n")
    return tmp_path


def change(**values: object) -> Callable[[], object]:
    path = Path("racl/model.json")
    return lambda: path.write_bytes(seal_document(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("arguments", "damage", "words"),
    [
        ("export", lambda: None, "expected one run directory: rnas export RUN, got none"),
        ("export racl resnet18", lambda: None, "got racl resnet18"),
        ("export racl --out file/x", lambda: None, "cannot write to file/x: Not a directory; choose another --out"),
        ("export nowhere", lambda: None, "nowhere is not a run directory: it has no manifest.json"),
        ("export racl", change(network="three_layers"), "racl/model.json: no network is called 'three_layers'"),
        ("export racl", change(network="resnet81"), "did you mean 'resnet18'?"),
        ("export racl", change(image_size=[8]), "racl/model.json is damaged"),
        ("export racl", change(image_size="8x8"), "racl/model.json is damaged"),
        (
            "export racl",
            lambda: shutil.copy("resnet18/weights.safetensors", "racl/weights.safetensors"),
            "racl/weights.safetensors: 'stem.0.weight' has shape (2, 1, 3, 3), the network expects (6, 1, 3, 3)",
        ),
        (
            "export racl",
            change(num_classes=5),
            "racl/weights.safetensors: 'classifier.weight' has shape (4, 32), the network expects (5, 32)",
        ),
    ],
)
def test_it_costs_one_line_and_nothing_is_written(
    arguments: str, damage: Callable[[], object], words: str, place: Path, refused: Refused
) -> None:
    damage()
    refused(arguments, words)
    assert place == Path.cwd()
