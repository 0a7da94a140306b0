"""What `rnas zoo` and `rnas train` say of a network that there is not."""

from pathlib import Path

import pytest
from tests.refusals import Refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("zoo resnet81", "no network is called 'resnet81'; did you mean 'resnet18'? (choices: advrush, "),
        ("zoo rnas_l rnas_h", "expected at most one network: rnas zoo [NETWORK], got rnas_l rnas_h"),
        ("zoo rnas_l --oot here", "no setting is called '--oot'; did you mean --out?"),
        ("zoo rnas_l --out file", "cannot write to file: File exists; choose another --out"),
        ("train --network.name dart_v2", "no network is called 'dart_v2'; did you mean 'darts_v2'?"),
        ("train --network.name dsrna", "the network 'dsrna' cannot be built: its cells were never published"),
    ],
)
def test_it_costs_one_line(
    arguments: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder\n")
    # The network is shown before its drawing is written.
    refused(arguments, words, printed="--out" in arguments)
