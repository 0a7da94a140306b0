"""The supernet of NAS-Bench-201, and a derivation that never returns a disconnected cell."""

import pytest
import torch
from torch import Tensor, nn

from rnas.errors import RunError
from rnas.networks.nasbench201 import NetworkCell
from rnas.spaces import nasbench201 as space
from rnas.supernets.base import SupernetAt
from rnas.supernets.nasbench201.derive import derive_connected_genotype
from rnas.supernets.nasbench201.supernet import NasBench201Supernet, SupernetCell
from rnas.vulnerability.metrics import layer_vulnerabilities

CONNECTED = [cell for cell in space.all_cells() if space.is_connected(cell)]
INDICES = torch.tensor([[space.OPERATIONS.index(name) for name in cell] for cell in CONNECTED])


def small() -> NasBench201Supernet:
    torch.manual_seed(0)
    return NasBench201Supernet(5, channels=4, cells=1, in_channels=1)


def log_likelihoods(alpha: Tensor) -> Tensor:
    """Of every connected cell, shape (number of them,)."""
    return alpha[0].double().log_softmax(dim=-1).gather(1, INDICES.T).sum(dim=0)


@pytest.mark.parametrize("none_bias", [-1.0, 0.0, 1.0, 3.0, 20.0])
def test_derivation_is_the_most_likely_connected_cell(none_bias: float) -> None:
    generator = torch.Generator().manual_seed(int(none_bias) + 7)
    changed = 0
    for _ in range(40):
        alpha = 2 * torch.randn(1, 6, 5, generator=generator)
        alpha[..., 0] += none_bias
        derived = space.operations_of(derive_connected_genotype(alpha))
        assert space.is_connected(derived)
        likeliest = CONNECTED[int(log_likelihoods(alpha).argmax())]
        assert derived == space.without_dead_edges(likeliest)
        strongest = tuple(space.OPERATIONS[int(index)] for index in alpha[0].argmax(dim=-1))
        assert likeliest == strongest or not space.is_connected(strongest)
        changed += likeliest != strongest
    assert changed or none_bias <= 0  # the correction was put to work


def test_derivation_keeps_none_where_it_is_likely() -> None:
    alpha = torch.zeros(1, 6, 5)
    alpha[..., 0] = 9.0
    alpha[0, 1, 4] = 8.5  # 0 -> 2 and 2 -> 3 give up less than 0 -> 3 alone
    alpha[0, 5, 3] = 8.5
    derived = space.operations_of(derive_connected_genotype(alpha))
    assert derived == ("none", "avg_pool_3x3", "none", "none", "none", "nor_conv_3x3")


def test_a_mixture_at_one_operation_each_is_the_discrete_cell() -> None:
    torch.manual_seed(0)
    supernet_cell = SupernetCell(4).double().eval()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    for cell in CONNECTED[::1500]:
        network_cell = NetworkCell(cell, 4).double().eval()
        chosen = [space.OPERATIONS.index(name) for name in cell]
        for edge, choice in enumerate(chosen):
            mixed = supernet_cell.edges[edge].get_submodule(f"operations.{choice}")
            # Scale and shift, which only the network learns, start at one and zero.
            network_cell.edges[edge].load_state_dict(mixed.state_dict(), strict=False)
        weights = nn.functional.one_hot(torch.tensor(chosen), 5).double()
        assert torch.allclose(supernet_cell(x, weights), network_cell(x))


def test_shapes_and_gradients_reach_every_edge() -> None:
    supernet = small()
    alpha = supernet.initial_alpha(torch.Generator().manual_seed(0)).requires_grad_()
    assert alpha.shape == (1, 6, 5)
    logits = supernet(torch.rand(3, 1, 8, 8), alpha)
    assert logits.shape == (3, 5)
    (gradient,) = torch.autograd.grad(logits.square().sum(), alpha)
    assert (gradient.abs().sum(dim=-1) > 0).all()
    learned = [name for name, _ in supernet.cells.named_parameters()]
    assert len(learned) == 3 * 6 * 2  # two convolutions an edge, nothing affine


def test_logits_move_with_alpha_by_its_gradient() -> None:
    """Central differences in float64."""
    supernet = small().double().eval()
    images = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    alpha = torch.randn(1, 6, 5, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(alpha.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(supernet(images, alpha)[0, 0], alpha)
    step = 1e-6
    with torch.no_grad():
        ahead, behind = supernet(images, alpha + step * direction), supernet(images, alpha - step * direction)
    assert (gradient * direction).sum().item() == pytest.approx(float((ahead - behind)[0, 0] / (2 * step)), rel=1e-5)


def test_the_view_at_given_weights_measures_the_cells() -> None:
    supernet = small().eval()
    alpha = supernet.initial_alpha().requires_grad_()
    view = SupernetAt(supernet, alpha.softmax(dim=-1)).eval()
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(view(images), supernet(images, alpha))
    values = layer_vulnerabilities(view, view.cell_layers, images, (images + 0.03).clamp(max=1))
    assert list(values) == [f"supernet.cells.{index}" for index in range(3)]
    (gradient,) = torch.autograd.grad(torch.stack(list(values.values())).mean(), alpha)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_evaluation_mode_depends_on_the_batch_in_the_cells_only() -> None:
    """Where all edges skip or pool, an image's logits are its own; a convolution is normalised by its batch."""
    supernet = small()
    images = torch.rand(6, 1, 8, 8)
    for name, alone in (("skip_connect", True), ("avg_pool_3x3", True), ("nor_conv_3x3", False)):
        weights = torch.zeros(supernet.alpha_shape)
        weights[..., space.OPERATIONS.index(name)] = 1
        supernet.train()
        supernet.mix(images, weights)
        supernet.eval()
        with torch.no_grad():
            together, apart = supernet.mix(images, weights), supernet.mix(images[:2], weights)
        assert torch.allclose(together[:2], apart, atol=1e-6) == alone, name


def test_statistics_of_stem_blocks_and_last_norm_are_learned_and_restored() -> None:
    supernet, other = small(), small()
    supernet.train()(torch.rand(6, 1, 8, 8), supernet.initial_alpha())
    kept = {name.partition(".")[0] for name in supernet.state_dict() if name.endswith("running_mean")}
    assert kept == {"stem", "reductions", "norm"}
    other.restore(supernet.state_dict())
    images = torch.rand(3, 1, 8, 8)
    weights = torch.full(supernet.alpha_shape, 0.2)
    assert torch.equal(supernet.eval().mix(images, weights), other.eval().mix(images, weights))
    older = {name: tensor for name, tensor in supernet.state_dict().items() if "running" not in name}
    with pytest.raises(RunError, match=r"the checkpoint has no running statistics for 'stem\.1'") as caught:
        other.restore(older)
    assert "\n" not in str(caught.value)
