"""Weights of others fitted to a network of the zoo, exactly or not at all.

A prefix that all names share (``module.`` of data parallelism, ``_orig_mod.`` of a compiled module) says nothing and is
dropped. ResNets and WideResNets as nearly everybody writes them compute the same function as ours under other names;
their names are translated. What else the file does not hold is not guessed: without mean and deviation the images go
in as they are.

References:
    Names of ResNets as in kuangliu/pytorch-cifar, with torchvision's `downsample` and `fc` too; of WideResNets as in
    xternalz/WideResNet-pytorch, whose code TRADES (Zhang et al. 2019) and many after it took over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

import torch
from torch import Tensor, nn

from rnas.errors import ModelError
from rnas.models.weight_files import FUNCTION, read_any_weights
from rnas.networks import zoo
from rnas.run.checkpoints import fill

__all__ = ["Fitted", "load_into_zoo"]

#: Names of others -> ours, for the whole name.
RESNET = {
    r"conv1\.(.+)": r"stem.0.\1",
    r"bn1\.(.+)": r"stem.1.\1",
    r"layer([1-4])\.(\d+)\.conv([12])\.(.+)": r"stages.<\1>.\2.conv\3.\4",
    r"layer([1-4])\.(\d+)\.bn([12])\.(.+)": r"stages.<\1>.\2.norm\3.\4",
    r"layer([1-4])\.(\d+)\.(?:shortcut|downsample)\.(.+)": r"stages.<\1>.\2.shortcut.\3",
    r"(?:linear|fc)\.(.+)": r"classifier.\1",
}
WIDE_RESNET = {
    r"conv1\.(.+)": r"stem.\1",
    r"block([1-3])\.layer\.(\d+)\.conv([12])\.(.+)": r"stages.<\1>.\2.conv\3.\4",
    r"block([1-3])\.layer\.(\d+)\.bn([12])\.(.+)": r"stages.<\1>.\2.norm\3.\4",
    r"block([1-3])\.layer\.(\d+)\.convShortcut\.(.+)": r"stages.<\1>.\2.shortcut.\3",
    r"bn1\.(.+)": r"norm.0.\1",
    r"(?:linear|fc)\.(.+)": r"classifier.\1",
}
#: Built but never called in the code of TRADES.
UNUSED = "sub_block1."
LAYOUTS = {"ResNets": RESNET, "WideResNets": WIDE_RESNET}

#: How many widths are tried.
WIDTHS = 8

#: The last parts of the names of a layer that normalises images.
MEANS, DEVIATIONS = ("mean", "mu"), ("std", "sigma", "deviation")


@dataclass(frozen=True)
class Fitted:
    """A network with its weights, and what was made of their names.

    Args:
        network: the network, on the CPU.
        remark: in words; empty if the file has our names.
    """

    network: nn.Module
    remark: str


@dataclass(frozen=True)
class Reading:
    """One way to read the names of a file.

    Args:
        state: tensors by the names of our networks, as far as they are known.
        known_as: the name of each in the file.
        remarks: what was done, in words.
    """

    state: dict[str, Tensor]
    known_as: dict[str, str]
    remarks: tuple[str, ...] = ()


def load_into_zoo(name: str, path: Path) -> Fitted:
    """Build a network of the zoo in the width, depth and number of classes of some weights, and load them.

    Args:
        name: a network of the zoo.
        path: a safetensors file, or a state dict as `torch.save` writes it, also inside a checkpoint.

    Raises:
        RunError: if the file is missing, damaged, no weights, or could run code.
        ModelError: if the weights do not fit; names the first that does not, and what the file holds.
        ConfigError: if nobody can build the network.
    """
    stored = read_any_weights(path)
    with torch.device("meta"):
        expected = set(zoo.build(name, 2).state_dict())
    # The first of those that have most names in common.
    best = max(readings(stored.state), key=lambda reading: len(expected & set(reading.state)))
    remarks = ((f"the weights under {stored.under[:60]!r}",) if stored.under else ()) + best.remarks
    network = build_fitting(name, best.state)
    try:
        fill(network, best.state, path, known_as=best.known_as)
    except ModelError as error:
        names = ", ".join(name[:60] for name in list(stored.state)[:3])
        what = "; ".join((f"{len(stored.state)} tensors, {names}, ...", *remarks))
        raise ModelError(f"{error} ({what}): give weights of {name}, {FUNCTION}") from error
    return Fitted(network, "; ".join(remarks))


def readings(state: dict[str, Tensor]) -> Iterator[Reading]:
    """The names as they are, without the prefix that all share, and translated from every layout that we know."""
    yield Reading(state, {name: name for name in state})
    prefix, bare = without_prefix(state)
    remarks = (f"without the prefix {prefix[:60]!r}",) if prefix else ()
    yield Reading(bare, {name: f"{prefix}{name}" for name in bare}, remarks)
    for layout, rules in LAYOUTS.items():
        yield translated(bare, prefix, rules, (*remarks, f"taken for the usual layout of {layout}"))


def without_prefix(state: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The prefix that all names share, up to a dot, and the tensors by the rest of their names."""
    # What the first and the last in order share, all share.
    ends = [name.split(".")[:-1] for name in (min(state, default=""), max(state, default=""))]
    parts = [part for part, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))]
    prefix = "".join(f"{part}." for part in parts)
    return prefix, {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def translated(state: dict[str, Tensor], prefix: str, rules: dict[str, str], remarks: tuple[str, ...]) -> Reading:
    """The tensors by our names, with the mean and deviation of the images where the file has them."""
    found: dict[str, Tensor] = {}
    known_as: dict[str, str] = {}
    if rules is WIDE_RESNET and any(name.startswith(UNUSED) for name in state):
        state = {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED)}
        remarks = (*remarks, f"without {UNUSED}*, which that code never calls")
    for ours, endings in (("normalise.mean", MEANS), ("normalise.deviation", DEVIATIONS)):
        for name, tensor in state.items():
            if (
                name.rpartition(".")[2] in endings
                and name.count(".") <= 1
                and tensor.numel() in (1, 3)
                and ours not in found
            ):
                found[ours], known_as[ours] = tensor, f"{prefix}{name}"
    statistics = {name.removeprefix(prefix) for name in known_as.values()}
    inner, network = without_prefix({name: tensor for name, tensor in state.items() if name not in statistics})
    for name, tensor in network.items():
        ours = next((re.sub(f"^{old}$", new, name) for old, new in rules.items() if re.fullmatch(old, name)), name)
        ours = re.sub(r"<(\d)>", lambda number: str(int(number[1]) - 1), ours)
        found[ours], known_as[ours] = tensor, f"{prefix}{inner}{name}"
    stem = next((found[name] for name in ("stem.0.weight", "stem.weight") if name in found), None)
    if stem is not None and stem.dim() == 4:
        if not statistics:
            found |= {"normalise.mean": torch.zeros(1), "normalise.deviation": torch.ones(1)}
            remarks = (*remarks, "no mean and deviation in the file, so images go in as they are, in [0, 1]")
        for ours in ("normalise.mean", "normalise.deviation"):
            if ours in found:
                found[ours] = found[ours].reshape(1, -1, 1, 1).expand(1, stem.shape[1], 1, 1)
    if any(".downsample." in name for name in known_as.values()):
        remarks = (*remarks, "no max pooling, as in the CIFAR form")
    return Reading(found, known_as, remarks)


def build_fitting(name: str, state: dict[str, Tensor]) -> nn.Module:
    """The network of the zoo whose classes, image channels, width and number of cells are those of the weights.

    What the weights do not tell stays as published; whether they fit is for `fill` to say.
    """
    bias = state.get("classifier.bias")
    build = partial(zoo.build, name, len(bias) if bias is not None and bias.dim() == 1 else 2)
    if (mean := state.get("normalise.mean")) is not None and mean.dim() == 4:
        build = partial(build, in_channels=mean.shape[1])
    if zoo.card_of(name).cells is not None:
        build = partial(build, cells=len({key.split(".")[1] for key in state if key.startswith("cells.")}) or None)
    published = zoo.card_of(name).channels or 1
    best, fewest = published, len(state) + 1
    with torch.device("meta"):
        expected = build().state_dict()
        ratios = Counter(
            len(state[key]) / len(tensor)
            for key, tensor in expected.items()
            if tensor.dim() == 4 and key in state and state[key].dim() == 4
        )
        # Narrow layers are rounded, so their ratios differ a little: the commonest are tried first.
        for channels in dict.fromkeys(max(1, round(ratio * published)) for ratio, _ in ratios.most_common(WIDTHS)):
            shapes = {key: tensor.shape for key, tensor in build(channels=channels).state_dict().items()}
            others = sum(shapes.get(key) != tensor.shape for key, tensor in state.items())
            if others < fewest:
                best, fewest = channels, others
            if others == 0:
                break
    return build(channels=best)
