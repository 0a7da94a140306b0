"""A step on alpha: the chosen hypergradient, at constant adversarial images, with nothing but alpha moved."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from rnas import data
from rnas.config import PgdConfig
from rnas.hypergradients import HYPERGRADIENTS
from rnas.search import adversarial_darts
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState, SupernetAlgorithm
from rnas.search.config import SearchConfig
from rnas.search.constraint import adversarial_images
from rnas.search.loop import initial_state

DIGITS = data.load("digits", limit=40)


def batch(seed: int) -> Batch:
    chosen = DIGITS.train.select(range(8 * seed, 8 * seed + 8))
    return Batch(chosen.floats(), chosen.labels, torch.Generator().manual_seed(seed))


def begin(name: str, hypergradient: str) -> tuple[SupernetAlgorithm, SearchState]:
    """A search after two steps on theta."""
    config = SearchConfig(
        algorithm=name,
        hypergradient=hypergradient,
        space="nasbench201",
        channels=2,
        cells=1,
        learning_rate=0.1,
        attack=PgdConfig(steps=1),
    )
    algorithm = ALGORITHMS[name](config, batch(0))
    assert isinstance(algorithm, SupernetAlgorithm)
    state = initial_state(DIGITS, config, algorithm, 5, seed=0, device="cpu")
    for seed in (1, 2):
        algorithm.theta_step(state, batch(seed))
    return algorithm, state


@pytest.mark.parametrize("name", ["darts", "adversarial_darts", "gdas"])
@pytest.mark.parametrize("hypergradient", list(HYPERGRADIENTS))
def test_a_step_moves_alpha_only_and_is_repeatable(name: str, hypergradient: str) -> None:
    found = []
    for _ in range(2):
        algorithm, state = begin(name, hypergradient)
        before = {key: value.clone() for key, value in state.supernet.state_dict().items()}
        momenta = copy.deepcopy(state.theta_optimiser.state())
        start = state.alpha.detach().clone()
        values = algorithm.alpha_step(state, batch(3), batch(4))
        assert all(torch.equal(value, before[key]) for key, value in state.supernet.state_dict().items())
        torch.testing.assert_close(state.theta_optimiser.state(), momenta, rtol=0, atol=0)
        assert not torch.equal(state.alpha, start)
        assert values["loss"] == pytest.approx(values["clean_loss"] + values.get("adversarial_loss", 0))
        found.append(state.alpha.grad)
    assert found[0] is not None
    assert found[1] is not None
    assert torch.equal(found[0], found[1])


def test_the_choice_and_the_training_batch_count() -> None:
    gradients = {}
    for hypergradient, seed in (("first_order", 4), ("first_order", 1), ("unrolled", 4), ("unrolled", 1)):
        algorithm, state = begin("adversarial_darts", hypergradient)
        algorithm.alpha_step(state, batch(3), batch(seed))
        gradients[hypergradient, seed] = state.alpha.grad
    assert torch.equal(*(gradients["first_order", seed] for seed in (4, 1)))  # type: ignore[arg-type]
    assert not torch.equal(*(gradients["unrolled", seed] for seed in (4, 1)))  # type: ignore[arg-type]
    assert not torch.equal(*(gradients[name, 4] for name in HYPERGRADIENTS))  # type: ignore[arg-type]


def test_adversarial_images_are_made_once_at_the_present_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, state = begin("adversarial_darts", "unrolled")
    seen: list[dict[str, Tensor]] = []

    def watched(state: SearchState, *given: object) -> Tensor:
        seen.append({key: value.detach().clone() for key, value in state.supernet.named_parameters()})
        return adversarial_images(state, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(adversarial_darts, "adversarial_images", watched)
    passes = state.passes
    algorithm.alpha_step(state, batch(3), batch(4))
    assert len(seen) == 2  # validation and training images
    for weights in seen:
        assert all(torch.equal(value, weights[key]) for key, value in state.supernet.named_parameters())
    # One pass for each attack of one step and its check, two of the validation objective, three of the training loss.
    assert state.passes - passes == 2 + 2 + 3
