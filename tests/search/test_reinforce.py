"""REINFORCE: how likely a cell is, what a reward moves, and that a killed search goes on."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.search.small import begun, found, run
from torch import Tensor

from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.run.checkpoints import read_weights
from rnas.search.reinforce import Policy, Reinforce, log_probability_of_set
from rnas.spaces import nasbench201
from rnas.supernets.space import SPACES

CELLS, DARTS = SPACES["nasbench201"], SPACES["darts"]
NODES = {name: Policy(space) for name, space in (("nasbench201", CELLS), ("darts", DARTS))}


def logits_of(name: str, seed: int = 0) -> Tensor:
    return torch.randn(SPACES[name].supernet.alpha_shape, generator=torch.Generator().manual_seed(seed))


def explored(value: Callable[[Genotype], float], **own: Any) -> tuple[Tensor, list[Genotype]]:
    """Where the logits end when cells are rewarded by a function, and which cells these were."""
    algorithm, state = begun("reinforce", own, size_limit=None)
    drawn: list[Genotype] = []

    def reward(genotype: Genotype) -> float:
        drawn.append(genotype)
        return value(genotype)

    algorithm.explore(state, reward, 5)
    return state.alpha.detach(), drawn


def test_sets_that_can_be_drawn_have_probabilities_that_add_up_to_one() -> None:
    strengths = torch.tensor([0.3, -1.2, 0.8, 0.1, 2.0], dtype=torch.float64)
    for count in (1, 2, 3, 5):
        sets = itertools.combinations(range(5), count)
        total = sum(float(log_probability_of_set(strengths, chosen).exp()) for chosen in sets)
        assert total == pytest.approx(1)
    # Both orders of a pair: p_a p_b / (1 - p_a) + p_b p_a / (1 - p_b).
    first, second = strengths.softmax(dim=0)[[1, 4]].tolist()
    expected = first * second / (1 - first) + second * first / (1 - second)
    assert float(log_probability_of_set(strengths, [1, 4]).exp()) == pytest.approx(expected)


def test_the_last_node_of_darts_reads_pairs_as_often_as_it_should() -> None:
    """And carries operations as often as their softmax without `none` says."""
    policy, logits = NODES["darts"], 2 * logits_of("darts")
    kind, incoming, count = policy.nodes[-1]
    assert (kind, len(incoming), count) == (1, 5, 2)
    generator = torch.Generator().manual_seed(0)
    draws = 1500
    pairs: Counter[tuple[int, ...]] = Counter()
    skips = edges = 0
    none, skip = (DARTS.operations.index(name) for name in ("none", "skip_connect"))
    for _ in range(draws):
        path = policy.draw(logits, generator)
        assert not path[..., none].any()
        pairs[tuple(path[kind, incoming].any(dim=-1).nonzero().flatten().tolist())] += 1
        edges += int(path[kind, incoming[0]].any())
        skips += int(path[kind, incoming[0], skip])
    possible = logits.masked_fill(torch.arange(8) == none, -torch.inf)
    strengths = possible.logsumexp(dim=-1)[kind, incoming]
    for pair in itertools.combinations(range(5), 2):
        expected = float(log_probability_of_set(strengths, pair).exp())
        assert abs(pairs[pair] / draws - expected) < 4 * (expected * (1 - expected) / draws) ** 0.5
    expected = float(possible.softmax(dim=-1)[kind, incoming[0], skip])
    assert abs(skips / edges - expected) < 4 * (expected * (1 - expected) / edges) ** 0.5


def test_a_cell_of_nasbench201_is_six_categoricals() -> None:
    logits = logits_of("nasbench201")
    path = NODES["nasbench201"].draw(logits, torch.Generator().manual_seed(0))
    assert path.sum(dim=-1).eq(1).all()
    expected = sum(logits.log_softmax(dim=-1)[path])
    assert float(NODES["nasbench201"].log_probability(logits, path)) == pytest.approx(float(expected))


def test_the_score_has_mean_zero() -> None:
    """The sum of pi grad log pi over all cells is the gradient of one: over the pairs and operations of one node."""
    policy = NODES["darts"]
    logits = logits_of("darts").double().requires_grad_()
    path = policy.draw(logits.detach(), torch.Generator().manual_seed(0))
    kind, incoming, _ = policy.nodes[1]  # three edges, of which two are read
    path[kind, incoming] = False
    total: Tensor = torch.zeros((), dtype=torch.float64)
    for pair in itertools.combinations(incoming, 2):
        for operations in itertools.product(range(1, 8), repeat=2):
            other = path.clone()
            other[kind, list(pair), list(operations)] = True
            total = total + policy.log_probability(logits, other).exp()
    (gradient,) = torch.autograd.grad(total.log(), logits)
    torch.testing.assert_close(gradient[kind, incoming], torch.zeros(3, 8, dtype=torch.float64))


def test_steps_computed_by_hand() -> None:
    """The first reward moves nothing; the second is compared with it, the third with the moving average of both."""
    rewards = iter([0.2, 0.5, 0.1])
    values: list[float] = []

    def value(_: Genotype) -> float:
        values.append(next(rewards))
        return values[-1]

    algorithm, state = begun("reinforce", {"candidates": 3, "learning_rate": 2.0, "momentum": 0.5}, size_limit=None)
    paths: list[Tensor] = []
    draw = Policy.draw

    class Remembering(Policy):
        def draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
            paths.append(draw(self, logits, generator))
            return paths[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnas.search.reinforce.Policy", Remembering)
        algorithm.explore(state, value, 5)
    second = 2.0 * (0.5 - 0.2) * (paths[1].float() - 1 / 5)
    third = 2.0 * (0.1 - (0.5 * 0.2 + 0.5) / 1.5) * (paths[2].float() - second.softmax(dim=-1))
    torch.testing.assert_close(state.alpha.detach(), second + third)


def test_it_learns_what_is_rewarded() -> None:
    """A reward for each edge with a 3x3 convolution."""
    convolution = nasbench201.OPERATIONS.index("nor_conv_3x3")

    def share(genotype: Genotype) -> float:
        return nasbench201.operations_of(genotype).count("nor_conv_3x3") / 6

    logits, drawn = explored(share, candidates=300, learning_rate=1.0)
    assert logits.softmax(dim=-1)[0, :, convolution].min() > 0.6
    assert sum(map(share, drawn[-50:])) > sum(map(share, drawn[:50])) + 20


def test_what_is_not_allowed_stands_for_the_nearest_that_is() -> None:
    """Against all cells, at a limit that refuses most, and for one that is disconnected."""
    limit = CELLS.at_most("40%")
    assert limit is not None
    policy, cells = NODES["nasbench201"], [cell for cell in nasbench201.all_cells() if nasbench201.is_connected(cell)]
    allowed = [cell for cell in cells if nasbench201.count_parameters(nasbench201.without_dead_edges(cell)) <= limit]
    for asked in (("nor_conv_3x3",) * 6, ("none",) * 6, ("nor_conv_1x1", "none", "nor_conv_3x3") * 2):
        path = CELLS.path(nasbench201.genotype_of(asked)).bool()
        stands = CELLS.derive(policy.preference(path), limit)
        least = min(sum(map(str.__ne__, cell, asked)) for cell in allowed)
        nearest = {
            nasbench201.without_dead_edges(cell) for cell in allowed if sum(map(str.__ne__, cell, asked)) == least
        }
        assert nasbench201.operations_of(stands) in nearest


def test_a_drawn_cell_of_darts_is_what_is_trained() -> None:
    path = NODES["darts"].draw(logits_of("darts"), torch.Generator().manual_seed(3))
    preference = NODES["darts"].preference(path)
    genotype = DARTS.derive(preference, None)
    assert torch.equal(DARTS.path(genotype).bool(), path)
    # One parameter less is to be had by another operation on one edge, and no node reads another.
    smaller = DARTS.path(DARTS.derive(preference, DARTS.size(genotype) - 1)).bool()
    assert (smaller & path).sum() == path.sum() - 1
    assert torch.equal(smaller.any(dim=-1), path.any(dim=-1))


def test_a_killed_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"candidates": 7, "reward": "supernet", "learning_rate": 5.0}
    whole = run(tmp_path / "whole", "reinforce", own)
    assert len({one["value"] for one in found(whole, "rewards")}) > 1
    draw, drawn = Policy.draw, iter(range(100))

    def dying(self: Policy, logits: Tensor, generator: torch.Generator) -> Tensor:
        if next(drawn) == 5:
            raise KeyboardInterrupt
        return draw(self, logits, generator)

    monkeypatch.setattr(Policy, "draw", dying)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", "reinforce", own)
    assert len(found(tmp_path / "killed", "rewards")) == 4
    killed = run(tmp_path / "killed", "reinforce", own)
    for name in ("genotype.json", "results.json", "rewards.json", "alpha.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert read_weights(whole / "alpha.safetensors")["alpha"].abs().max() > 0.01


def test_a_space_has_to_name_its_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, _ = begun("reinforce", {})
    monkeypatch.setattr(type(CELLS), "edges", ())
    with pytest.raises(ConfigError, match="space: expected one that names its edges, for reinforce draws them"):
        Reinforce.check(algorithm.config, CELLS)
