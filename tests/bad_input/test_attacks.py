"""Wrong settings of the attacks cost one line and exit code 2; nothing of what was there is lost."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.refusals import Refused

from rnas.cli import main

TRAIN = (
    "train --threads 1 --network.name resnet18 --network.channels 2 --training.epochs 1 --training.batch_size 8 "
    "--training.attack.steps 1"
)
EVALUATE = "evaluate train --threads 1 --evaluation.images 10"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks trained on digits and on three classes of bigger images."""
    folder = tmp_path_factory.mktemp("attacks")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RNAS_CACHE", str(folder / ".cache"))
        for index, name in enumerate(("ant", "bee", "cow")):
            Path("three", name).mkdir(parents=True)
            for number in range(6):
                pixels = np.random.default_rng([index, number]).integers(0, 256, (12, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(Path("three", name, f"{number}.png"))
        assert main(f"{TRAIN} --data.limit 40 --out train".split()) == 0
        assert main(f"{TRAIN} --data ./three --out insects".split()) == 0
    return folder


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (f"{EVALUATE} --evaluation.attacks transfer", ("transfer_from", "a second model", "None")),
        (
            f"{EVALUATE} --evaluation.attacks transfer --evaluation.transfer_from absent",
            ("evaluation.transfer_from: absent", "no trained network"),
        ),
        (
            f"{EVALUATE} --evaluation.attacks transfer --evaluation.transfer_from insects",
            ("second model insects", "cannot take images of shape (1, 8, 8)"),
        ),
        (
            f"{EVALUATE} --evaluation.attacks transfer --evaluation.transfer_from resnet8:weights",
            ("evaluation.transfer_from", "did you mean 'resnet18'?"),
        ),
        (f"{EVALUATE} --evaluation.attacks corruption", ("attacks", "did you mean 'corruptions'?")),
        (f"{EVALUATE} --evaluation.attacks sqare", ("attacks", "did you mean 'square'?")),
        (f"{EVALUATE} --evaluation.square_queries 0", ("square_queries", "at least 1", "0")),
        (f"{EVALUATE} --evaluation.apgd_steps 0", ("apgd_steps", "at least 1", "0")),
        (f"{EVALUATE} --evaluation.cw_steps 0", ("cw_steps", "at least 1", "0")),
        (f"{EVALUATE} --evaluation.eps_l2 -1", ("eps_l2", ">= 0", "-1")),
        ("evaluate insects --evaluation.attacks apgd --threads 1", ("APGD", "at least 4 classes", "3")),
        ("evaluate insects --evaluation.attacks square_l2 --threads 1", ("Square, L2", "12x12", "Linf")),
        (
            "run quickstart --out new --evaluation.attacks transfer --evaluation.transfer_from absent",
            ("evaluation.transfer_from: absent", "no trained network"),
        ),
    ],
)
def test_one_line(
    command: str, says: tuple[str, ...], made: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(made)
    monkeypatch.setenv("RNAS_CACHE", str(made / ".cache"))
    # A recipe keeps its settings, and an evaluation what was measured before the attack that cannot be made.
    refused(command, *says, apart=["new", "insects"])
    assert not (made / "new" / "search").exists()


def test_transfer_between_run_directories(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again attacks nothing anew and prints the same."""
    monkeypatch.chdir(made)
    monkeypatch.setenv("RNAS_CACHE", str(made / ".cache"))
    command = (
        f"{EVALUATE} --evaluation.attacks square,apgd,cw_search,transfer,corruptions "
        "--evaluation.transfer_from train --evaluation.square_queries 5 --evaluation.apgd_steps 2 "
        "--evaluation.cw_steps 2 --evaluation.cw_search_steps 2"
    )
    assert main(command.split()) == 0
    first = capsys.readouterr().out
    before = (made / "train" / "outcomes.parquet").read_bytes()
    assert main(command.split()) == 0
    assert capsys.readouterr().out == first
    assert (made / "train" / "outcomes.parquet").read_bytes() == before
    for title in ("Square", "APGD-CE + APGD-T", "C&W, search over c", "Transfer of PGD-20", "Common corruptions"):
        assert title in first
