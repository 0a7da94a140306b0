"""Networks and supernets beside those of their authors, for `authors.py`."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from authors_files import Report, batch, flat, fresh, give_weights, take
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.genotype import Cell, Edge, Genotype
from rnas.hypergradients import HYPERGRADIENTS, BilevelProblem
from rnas.networks import published, zoo
from rnas.networks.nasbench201 import NasBench201Network, StagedNetwork
from rnas.networks.robnet_codes import ROBNET_FREE, ROBNET_LARGE, genotype_of_codes
from rnas.networks.wide_resnet import WideResNet
from rnas.spaces import nasbench201
from rnas.supernets.base import CellSupernet
from rnas.supernets.darts.fused import FusedSupernet
from rnas.supernets.darts.reference import Supernet
from rnas.supernets.nasbench201.supernet import NasBench201Supernet

#: A cell with every operation of NAS-Bench-201 but none.
CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_1x1~2|"


class Logits:
    """A network of theirs that returns more than its logits."""

    def __init__(self, network: nn.Module, place: int) -> None:
        self.network, self.place = network, place

    def __call__(self, images: Tensor) -> Tensor:
        """The logits (N, 10)."""
        return self.network(images)[self.place]


def passes(
    report: Report, subject: str, ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Any], modules: Any
) -> None:
    """Rows for logits in both modes, and for gradients in the images."""
    images, labels = batch(report.seed)
    for mode in (True, False):
        for module in modules:
            module.train(mode)
        results = []
        for network in (ours, theirs):
            seen = images.clone().requires_grad_()
            logits = network(seen)
            (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels), seen)
            results.append((logits, gradient))
        name = "training mode" if mode else "evaluation mode"
        report.add(subject, f"logits, {name}", results[0][0], results[1][0])
        report.add(subject, f"gradient in images, {name}", results[0][1], results[1][1])


def same_genotype(cells: Any, name: str) -> bool:
    """Whether their genotype is ours of that name."""

    def cell(pairs: Any, concat: Any) -> Cell:
        edges = [Edge(op, source) for op, source in pairs]
        return Cell(tuple(zip(edges[::2], edges[1::2], strict=True)), tuple(concat))

    theirs = {"normal": cell(cells.normal, cells.normal_concat), "reduce": cell(cells.reduce, cells.reduce_concat)}
    return Genotype(theirs) == published.genotype_of(published.genotypes()[name])


def compare_darts(report: Report, folder: Path) -> None:
    """The network and the supernet of DARTS."""
    cnn = folder / "cnn"
    operations = take(cnn / "operations.py")
    known = take(cnn / "genotypes.py")
    for name in ("DARTS_V1", "DARTS_V2"):
        report.note(f"genotype {name}", "equality", float(not same_genotype(getattr(known, name), name.lower())), 0)
    names = {name: getattr(operations, name) for name in ("OPS", "FactorizedReduce", "ReLUConvBN", "Identity")}
    model = take(cnn / "model.py", "Cell", "NetworkCIFAR", **names)
    for name in ("DARTS_V1", "DARTS_V2"):
        ours = fresh(zoo.build(name.lower(), 10, channels=8, cells=5), report.seed)
        theirs = model.NetworkCIFAR(8, 10, 5, False, getattr(known, name))
        theirs.drop_path_prob = 0.0
        give_weights(ours, theirs)
        passes(report, f"network {name}", ours, Logits(theirs, 0), (ours, theirs))
    search = take(cnn / "model_search.py", PRIMITIVES=known.PRIMITIVES, Genotype=known.Genotype, **names)
    for name, kind in (("reference", Supernet), ("fused", FusedSupernet)):
        compare_supernet(report, f"supernet, {name}", kind, search.Network)


def compare_supernet(report: Report, subject: str, kind: type[Supernet], their_kind: Any) -> None:
    """Rows for one of our supernets of DARTS."""
    supernet = fresh(kind(10, channels=4, cells=5), report.seed)
    theirs = their_kind(4, 10, 5, nn.CrossEntropyLoss())
    give_weights(supernet, theirs)
    alpha = torch.randn(Supernet.alpha_shape, generator=torch.Generator().manual_seed(report.seed)).requires_grad_()
    same = alpha.detach().clone().requires_grad_()
    theirs.alphas_normal, theirs.alphas_reduce = same
    passes(report, subject, lambda images: cast("Any", supernet)(images, alpha), theirs, (supernet, theirs))
    images, labels = batch(report.seed)
    (slope,) = torch.autograd.grad(F.cross_entropy(cast("Any", supernet)(images, alpha), labels), alpha)
    (their_slope,) = torch.autograd.grad(F.cross_entropy(theirs(images), labels), same)
    report.add(subject, "gradient in alpha", slope, their_slope)


def compare_rnas(report: Report, folder: Path) -> None:
    """The genotypes, and the unrolled gradient of the published search."""
    known = take(folder / "genotypes.py")
    ours = ("nasnet", "amoebanet", "snas", "pnas", "darts_v1", "pc_darts", "rnas_h", "rnas_l")
    theirs = ("NASNet", "AmoebaNet", "SNAS", "PNAS", "DARTS", "PC_DARTS", "RNAS_H", "RNAS_L")
    for mine, name in zip(ours, theirs, strict=True):
        report.note(f"genotype {name}", "equality", float(not same_genotype(getattr(known, name), mine)), 0)
    architect = take(folder / "architect.py", "Architect").Architect
    supernet = fresh(Supernet(10, channels=4, cells=3), report.seed).train()
    alpha = torch.randn(Supernet.alpha_shape, generator=torch.Generator().manual_seed(report.seed)).requires_grad_()
    batches = [batch(report.seed + part) for part in range(2)]
    rate, decay = 0.025, 3e-4

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.supernet, self.alpha = supernet, nn.Parameter(alpha.detach().clone())

        def loss(self, images: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(self.supernet(images, self.alpha), labels)

        def weights(self) -> Any:
            return self.supernet.parameters()

        def alphas(self) -> Any:
            return [self.alpha]

    class Mended(architect):  # type: ignore[misc, valid-type]
        """With the quotient divided by the step, where theirs is multiplied by it."""

        def compute_hessian(self, dw: Any, images: Tensor, labels: Tensor) -> list[Tensor]:
            step = 0.01 / flat(dw).norm()
            return [part / step**2 for part in super().compute_hessian(dw, images, labels)]

    def of(kind: Any) -> Tensor:
        net = Net()
        optimiser = SimpleNamespace(state=defaultdict(dict))
        kind(net, 0.9, decay).unrolled_backward(*batches[0], *batches[1], rate, optimiser)
        return cast("Tensor", net.alpha.grad)

    def loss(which: int) -> Tensor:
        images, labels = batches[which]
        return F.cross_entropy(cast("Any", supernet)(images, alpha), labels)

    weights = list(supernet.parameters())
    problem = BilevelProblem(
        alpha=alpha,
        weights=weights,
        buffers=list(supernet.buffers()),
        validation_loss=lambda: loss(1),
        training_loss=lambda: loss(0),
        virtual_step=lambda slopes: [
            weight - rate * (slope + decay * weight) for weight, slope in zip(weights, slopes, strict=True)
        ],
    )
    unrolled = HYPERGRADIENTS["unrolled"](problem)
    # The quotient of two nearly equal gradients keeps fewer digits.
    report.add("unrolled gradient, its quotient mended", "gradient in alpha", unrolled, of(Mended), 1e-6)
    report.add("unrolled gradient", "gradient in alpha", unrolled, of(architect), None)
    first = HYPERGRADIENTS["first_order"](problem)
    report.add("unrolled gradient, against our first order", "gradient in alpha", first, of(architect), None)


def compare_robnets(report: Report, folder: Path) -> None:
    """RobNet's codes and networks."""
    codes = take(folder / "architecture_code.py")
    for name, ours in (("robnet_large_v1", ROBNET_LARGE), ("robnet_free", ROBNET_FREE)):
        report.note(f"codes {name}", "equality", float(genotype_of_codes(getattr(codes, name)) != ours), 0)
    operations = vars(take(folder / "models" / "basic_operations.py"))
    network = take(folder / "models" / "basic_model.py", **operations).Network
    for name, key in (("robnet_large", "robnet_large_v1"), ("robnet_free", "robnet_free")):
        ours_network = fresh(zoo.build(name, 10, channels=8, cells=20), report.seed)
        theirs = network(getattr(codes, key), C=8, layers=20, share=name == "robnet_large")
        give_weights(ours_network, theirs)
        passes(report, f"network {name}", ours_network, theirs, (ours_network, theirs))


def staged(network: StagedNetwork) -> list[nn.Module]:
    """The parts of a network of NAS-Bench-201 in the order of theirs, which keeps the blocks among the cells."""
    per_stage = len(network.cells) // nasbench201.STAGES
    parts: list[nn.Module] = [network.stem]
    for index, cell in enumerate(network.cells):
        if index and index % per_stage == 0:
            parts.append(network.reductions[index // per_stage - 1])
        parts.append(cell)
    return [*parts, network.norm, network.classifier]


def compare_nasbench201(report: Report, folder: Path) -> None:
    """The network and the supernet of NAS-Bench-201."""
    models = folder / "xautodl" / "models"
    operations = take(models / "cell_operations.py")
    names = {"OPS": operations.OPS, "ResNetBasicblock": operations.ResNetBasicblock}
    structure = take(models / "cell_searchs" / "genotypes.py", "Structure").Structure
    infer = take(models / "cell_infers" / "cells.py", "InferCell", **names).InferCell
    tiny = take(models / "cell_infers" / "tiny_network.py", InferCell=infer, **names).TinyNetwork
    network = fresh(NasBench201Network(nasbench201.parse_genotype(CELL), 10, channels=8, cells=2), report.seed)
    theirs = tiny(8, 2, structure.str2structure(CELL), 10)
    give_weights(staged(cast("StagedNetwork", network)), theirs)
    passes(report, "network", network, Logits(theirs, 1), (network, theirs))
    cell = take(models / "cell_searchs" / "search_cells.py", "NAS201SearchCell", **names).NAS201SearchCell
    file = models / "cell_searchs" / "search_model_darts.py"
    search = take(file, SearchCell=cell, Structure=structure, **names).TinyNetworkDarts
    supernet = fresh(NasBench201Supernet(10, channels=8, cells=2), report.seed)
    mixture = search(8, 2, 4, 10, list(nasbench201.OPERATIONS), False, False)
    give_weights(staged(cast("StagedNetwork", supernet)), mixture)
    alpha = mixture.arch_parameters.detach().clone().unsqueeze(0).requires_grad_()
    ours = cast("CellSupernet", supernet)
    passes(report, "supernet", lambda x: ours(x, alpha), Logits(mixture, 1), (supernet, mixture))
    images, labels = batch(report.seed)
    (slope,) = torch.autograd.grad(F.cross_entropy(ours(images, alpha), labels), alpha)
    (their_slope,) = torch.autograd.grad(F.cross_entropy(mixture(images)[1], labels), mixture.arch_parameters)
    report.add("supernet", "gradient in alpha", slope[0], their_slope)


def compare_residual(report: Report, folder: Path) -> None:
    """ResNet18 and a wide residual network, as the repositories of TRADES and MART have them."""
    theirs = take(folder / "resnet.py").ResNet18()
    network = fresh(zoo.build("resnet18", 10), report.seed)
    give_weights(network, theirs)
    passes(report, "network ResNet18", network, theirs, (network, theirs))
    wide = take(folder / "wideresnet.py", math=importlib.import_module("math")).WideResNet(depth=10, widen_factor=10)
    del wide.sub_block1  # which its forward pass leaves out
    network = fresh(WideResNet(10, depth=10), report.seed)
    give_weights(network, wide)
    passes(report, "network WideResNet-10-10", network, wide, (network, wide))
