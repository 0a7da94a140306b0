"""What is published holds no path of the machine on which it was written."""

import pytest

from rnas.reports.sharing import shareable, shareable_command


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        ("rnas train --data /home/me/cifar10 --out=/scratch/me/run", "rnas train --data .../cifar10 --out=.../run"),
        ("rnas evaluate '/my name/a b' vgg16:/x/w.safetensors", "rnas evaluate '.../a b' vgg16:.../w.safetensors"),
        ("rnas run quickstart --out runs/a/b --training.attack.eps 8/255", None),
        ("rnas train --data owner/name --config ~/x/c.yaml", "rnas train --data owner/name --config .../c.yaml"),
        ("rnas 'not closed /home/me/x", "rnas 'not closed .../x"),
    ],
)
def test_commands_keep_what_others_can_use(command: str, shared: str | None) -> None:
    assert shareable_command(command) == (shared or command)


def test_texts_keep_fractions_addresses_and_relative_paths() -> None:
    for text in ("eps 8/255, 1/2", "https://example.org/a/b", "runs/a/b", "../a/b", "a / b", "step/s"):
        assert shareable(text) == text
    assert shareable("['/home/me/a', '/home/me/b']") == "['.../a', '.../b']"
    assert shareable("/home/my name/cifar10/") == ".../cifar10"
