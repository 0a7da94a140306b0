"""Beta-Decay: its gradient is the softmax, and its weight rises linearly."""

from __future__ import annotations

import pytest
import torch
from tests.search.tiny import batch, begin

from rnas.search.beta_darts import BetaDartsConfig


def gradient(weight: float, epoch: int) -> torch.Tensor:
    """Of a step on alpha, in the DARTS space with its two kinds of cell."""
    changes = {"space": "darts", "warmup_epochs": 2, "epochs": 6, "alpha_learning_rate": 0.1}
    algorithm, state = begin("beta_darts", beta_darts=BetaDartsConfig(weight=weight), **changes)
    state.set_alpha(torch.randn(state.alpha.shape, generator=torch.Generator().manual_seed(1)))
    state.epoch = epoch
    values = algorithm.alpha_step(state, batch(1), batch(2))
    assert values["loss"] == pytest.approx(sum(value for name, value in values.items() if name != "loss"))
    assert state.alpha.grad is not None
    return state.alpha.grad


@pytest.mark.parametrize(("epoch", "share"), [(2, 0.0), (3, 0.25), (5, 0.75)])
def test_beta_decay_adds_the_softmax(epoch: int, share: float) -> None:
    alpha = torch.randn((2, 14, 8), generator=torch.Generator().manual_seed(1))
    added = gradient(50.0, epoch) - gradient(0.0, epoch)
    torch.testing.assert_close(added, share * 50 * alpha.softmax(dim=-1) / 14, rtol=1e-4, atol=1e-5)
