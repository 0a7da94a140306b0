"""Saved adversarial images: the same images are the same file."""

from pathlib import Path

import torch

from rnas.evaluation.examples import Examples


def test_the_same_images_are_the_same_bytes_and_are_read_again(tmp_path: Path) -> None:
    made_by = {"model": "a model", "images": "some", "eps": "8/255"}
    wanted = torch.tensor([0, 2])
    columns = {"image": torch.arange(3), "adversarial": torch.rand(3, 1, 2, 2)}
    written = set()
    for attempt in range(16):
        examples = Examples(tmp_path / str(attempt), "fgsm", wanted, made_by)
        examples.add(**columns)
        written.add(examples.path.read_bytes())
    assert len(written) == 1
    again = Examples(tmp_path / "0", "fgsm", wanted, made_by)
    assert not again.lacks(torch.arange(3))
    assert torch.equal(again.rows[2]["adversarial"], columns["adversarial"][2])
    assert Examples(tmp_path / "0", "fgsm", wanted, {**made_by, "eps": "4/255"}).lacks(wanted)
