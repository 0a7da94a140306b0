"""Drop-path and the auxiliary classifier of networks made of cells."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.config import PgdConfig
from rnas.networks import zoo
from rnas.networks.cells import CellNetwork, NetworkCell
from rnas.objectives import OBJECTIVES
from rnas.training.cells import Auxiliary, DropPath
from rnas.training.config import CellTrainingConfig, TrainingConfig
from rnas.training.step import TrainingStep


def network() -> CellNetwork:
    torch.manual_seed(0)
    built = zoo.build("darts_v2", 4, in_channels=1, channels=2, cells=3)
    assert isinstance(built, CellNetwork)
    return built


def edges(net: CellNetwork) -> list[nn.Module]:
    return [edge for cell in net.cells if isinstance(cell, NetworkCell) for edge in cell.edges]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_drop_path_keeps_the_expectation() -> None:
    net = network()
    drop_path = DropPath(net, 0.6)
    ones = torch.ones(20_000, 1, 2, 2)
    edge = edges(net)[0].train()
    for progress in (0.25, 1.0):
        drop_path.set(progress, generator())
        dropped = drop_path.drop(edge, None, ones)
        keep = 1 - 0.6 * progress  # linear in progress
        values = dropped.flatten(1)
        assert torch.equal(values[:, :1].expand_as(values), values)  # an image's signal as a whole
        torch.testing.assert_close(values.unique(), torch.tensor([0, 1 / keep]))
        deviation = ((1 - keep) / keep / len(ones)) ** 0.5
        assert abs(float(dropped.mean()) - 1) < 5 * deviation


def test_drop_path_acts_in_training_only_and_never_on_identities() -> None:
    net, images = network(), torch.rand(8, 1, 8, 8)
    drop_path = DropPath(net, 0.9)
    outputs: list[tuple[nn.Module, Tensor]] = []
    for edge in edges(net):
        edge.register_forward_hook(lambda module, _inputs, output: outputs.append((module, output)))
    expected = network().eval()(images)
    drop_path.set(1.0, generator())
    assert torch.equal(net.eval()(images), expected)
    outputs.clear()
    net.train()(images)
    empty = {module: int((~output.flatten(1).any(dim=1)).sum()) for module, output in outputs}
    identities = [edge for edge in edges(net) if isinstance(edge, nn.Identity)]
    others = [edge for edge in edges(net) if not isinstance(edge, nn.Identity)]
    assert identities
    assert others
    assert sum(empty[edge] for edge in others) > 0.7 * 8 * len(others)
    # An identity passes on what nodes before it lost, but loses nothing itself: its hook is not there.
    assert all(drop_path.drop not in edge._forward_hooks.values() for edge in identities)

    drop_path.set(0.0, generator())
    net.load_state_dict(network().state_dict())
    assert torch.equal(net(images), network().train()(images))


def test_the_weights_keep_their_names() -> None:
    net = network()
    DropPath(net, 0.2)
    Auxiliary(net, 4)
    assert list(net.state_dict()) == list(network().state_dict())


def test_the_auxiliary_classifier_sees_training_passes_of_the_second_reduction() -> None:
    net, images = network(), torch.rand(4, 1, 8, 8)
    auxiliary = Auxiliary(net, 4)
    net.eval()(images)
    assert auxiliary.take() == []
    net.train()(images)
    (logits,) = auxiliary.take()
    assert logits.shape == (4, 4)
    assert auxiliary.take() == []
    logits.square().sum().backward()
    reached = [any(p.grad is not None for p in cell.parameters()) for cell in net.cells]
    assert reached == [True, True, True]  # of 3 cells the second reduction is the last
    assert net.classifier.weight.grad is None


@pytest.mark.parametrize(("objective", "passes"), [("standard", 1), ("pgd_at", 1), ("trades", 2)])
def test_the_auxiliary_loss_is_weighted(objective: str, passes: int) -> None:
    config = TrainingConfig(
        objective=objective, attack=PgdConfig(steps=1), cells=CellTrainingConfig(auxiliary_weight=0.4)
    )
    images, labels = torch.rand(4, 1, 8, 8), torch.arange(4)
    net = network()
    step = TrainingStep(net, OBJECTIVES[objective](config), config)
    auxiliary = Auxiliary(net, 4)
    without, _ = step.loss(images, labels, generator(), None)
    seen = auxiliary.take()
    assert len(seen) == passes
    net.load_state_dict(network().state_dict())  # the statistics moved
    loss, _ = step.loss(images, labels, generator(), auxiliary)
    extra = sum(float(F.cross_entropy(logits.detach(), labels)) for logits in seen) / passes
    assert float(loss.detach()) == pytest.approx(float(without.detach()) + 0.4 * extra, rel=1e-5)
