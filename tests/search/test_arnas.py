"""Multiple-gradient descent: the shortest combination of two gradients, and that alpha descends with it."""

from __future__ import annotations

import pytest
import torch
from tests.search.tiny import batch, begin

from rnas.search.arnas import ArnasConfig, share_of_first


def test_the_shortest_combination_in_the_plane() -> None:
    """At right angles it is the foot of the height; where one is a part of the other's direction, the shorter one."""
    across, up = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert share_of_first(across, up) == pytest.approx(16 / 25)
    assert share_of_first(across, 2 * across) == 1
    assert share_of_first(3 * across, across) == 0
    assert share_of_first(across, -across) == pytest.approx(0.5)
    assert share_of_first(across, across.clone()) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_it_descends_for_both(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, 12, generator=generator) * torch.tensor([[1.0], [3.0]])
    share = share_of_first(first, second)
    direction = share * first + (1 - share) * second
    assert float(direction @ first) >= float(direction @ direction) * (1 - 1e-5)
    assert float(direction @ second) >= float(direction @ direction) * (1 - 1e-5)
    others = [torch.linalg.vector_norm(part * first + (1 - part) * second) for part in torch.linspace(0, 1, 101)]
    assert float(direction.norm()) <= min(map(float, others)) + 1e-6


def test_alpha_descends_with_it() -> None:
    gradients, values = {}, {}
    for name in ("adversarial_darts", "darts", "arnas"):
        algorithm, state = begin(name)
        values = algorithm.alpha_step(state, batch(1), batch(2))
        assert state.alpha.grad is not None
        gradients[name] = state.alpha.grad.double()
    assert values["loss"] == pytest.approx(values["clean_loss"] + values["adversarial_loss"])
    clean = gradients["darts"]
    adversarial = ArnasConfig().adversarial_weight * (gradients["adversarial_darts"] - clean)
    share = share_of_first(clean, adversarial)
    assert values["gamma"] == pytest.approx(share, abs=1e-3)
    expected = share * clean + (1 - share) * adversarial
    torch.testing.assert_close(gradients["arnas"], expected, rtol=1e-2, atol=1e-5)
