"""Losses, attacks and corruptions beside those of their authors, for `authors.py`."""

from __future__ import annotations

import copy
import importlib
import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from authors_files import ROUNDING, Report, batch, flat, fresh, take
from authors_networks import compare_residual
from PIL import Image as PILImage
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from rnas.attacks import apgd, auto_attack, pgd_linf, square
from rnas.config import Distance, PgdConfig
from rnas.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from rnas.networks import zoo
from rnas.objectives import OBJECTIVES, ObjectiveConfig
from rnas.objectives.config import FastAtConfig, MartConfig, TradesConfig

#: Of float32, in which corruptions are computed.
SINGLE = 1e-5
#: Of deviations estimated from some 200,000 numbers.
SAMPLING = 0.03


def compare_loss(
    report: Report, name: str, settings: ObjectiveConfig, theirs: Callable[..., Tensor], apart: float
) -> None:
    """Rows for a loss, its gradient and the running statistics that it leaves."""
    images, labels = batch(report.seed, count=16, size=16)
    network = fresh(zoo.build("resnet18", 10, channels=8), report.seed).train()
    other = copy.deepcopy(network)
    objective = OBJECTIVES[name](settings)
    loss, _ = objective(network, network, images, labels, torch.Generator().manual_seed(report.seed))
    torch.manual_seed(report.seed)
    their_loss = theirs(other, images, labels, SimpleNamespace(zero_grad=lambda: None))
    for value in (loss, their_loss):
        value.backward()
    report.add(name, "loss", loss, their_loss, apart)
    slopes = [flat(parameter.grad for parameter in each.parameters()) for each in (network, other)]
    report.add(name, "gradient in weights", slopes[0], slopes[1], apart)
    statistics = [flat(buffer for buffer in each.buffers() if buffer.dim() == 1) for each in (network, other)]
    named = None if name == "trades" else ROUNDING
    report.add(name, "running statistics", statistics[0], statistics[1], named)


ATTACK = PgdConfig(eps=Distance("8/255"), step_size=Distance("2/255"), steps=5)
STEPS: dict[str, Any] = {"step_size": 2 / 255, "epsilon": 8 / 255, "perturb_steps": 5}


def compare_trades(report: Report, folder: Path) -> None:
    """The loss of TRADES, its networks, and its PGD."""
    compare_residual(report, folder / "models")
    loss = take(folder / "trades.py").trades_loss
    settings = ObjectiveConfig(attack=ATTACK, trades=TradesConfig(beta=6.0))
    compare_loss(report, "trades", settings, lambda *given: loss(*given, **STEPS, beta=6.0), ROUNDING)
    network, images, labels, eps = target(report.seed)
    given = SimpleNamespace(epsilon=eps, num_steps=20, step_size=eps / 4, random=True)
    attack = take(folder / "pgd_attack_cifar10.py", "_pgd_whitebox", args=given, device="cpu")._pgd_whitebox
    torch.manual_seed(report.seed)
    _, wrong = attack(network, images, labels)
    generator = torch.Generator().manual_seed(report.seed)
    adversarial = pgd_linf(network, images, labels, eps=eps, step_size=eps / 4, steps=20, generator=generator)
    broken = (network(adversarial).argmax(dim=1) != labels).sum()
    report.note("PGD-20", f"images broken, {int(wrong)} of {len(labels)}", abs(float(broken - wrong)), 0)


def compare_mart(report: Report, folder: Path) -> None:
    """The loss of MART, and its networks."""
    compare_residual(report, folder)
    loss = take(folder / "mart.py").mart_loss
    settings = ObjectiveConfig(attack=ATTACK, mart=MartConfig(beta=5.0))
    # They add 0.0001 to 1 - p.
    compare_loss(report, "mart", settings, lambda *given: loss(*given, **STEPS, beta=5.0), 1e-3)


def compare_fast_at(report: Report, folder: Path) -> None:
    """One step of the training script for CIFAR-10, on grey images, where both draw the same start."""
    images, labels = batch(report.seed, count=16, size=16, channels=1)
    network = fresh(zoo.build("resnet18", 10, channels=8, in_channels=1), report.seed)
    logged: list[Any] = []
    one = torch.ones(1, 1, 1)
    rate = 1.0
    with tempfile.TemporaryDirectory() as out:
        settings = {"lr_max": rate, "lr_min": 0.0, "lr_schedule": "multistep", "momentum": 0.0, "weight_decay": 0.0}
        scale = {"opt_level": "O0", "loss_scale": 1.0, "master_weights": False}
        attack = {"epsilon": 8, "alpha": 10, "delta_init": "random", "early_stop": False}
        run = {"data_dir": "", "batch_size": 16, "epochs": 1, "seed": report.seed, "out_dir": out}
        main = take(
            folder / "CIFAR10" / "train_fgsm.py", "main",
            get_args=lambda: SimpleNamespace(**settings, **scale, **attack, **run),
            get_loaders=lambda *_: ([(images, labels)], []),
            clamp=take(folder / "CIFAR10" / "utils.py", "clamp").clamp,
            std=one, lower_limit=0 * one, upper_limit=one,
            amp=SimpleNamespace(initialize=lambda *pair, **_: pair, scale_loss=lambda loss, _: nullcontext(loss)),
            PreActResNet18=lambda: copy.deepcopy(network),
            evaluate_pgd=lambda *_: (0.0, 0.0), evaluate_standard=lambda *_: (0.0, 0.0),
            logger=SimpleNamespace(info=lambda *line: logged.append(line)),
            logging=SimpleNamespace(basicConfig=lambda **_: None, INFO=None),
            os=importlib.import_module("os"), time=importlib.import_module("time"),
        ).main  # fmt: skip
        main()
        after = torch.load(Path(out) / "model.pth", weights_only=True)
    (their_loss,) = [line[4] for line in logged if str(line[0]).startswith("%d")]
    for mode in ("training", "evaluation"):
        ours = copy.deepcopy(network).train()
        objective = OBJECTIVES["fast_at"](ObjectiveConfig(attack=ATTACK, fast_at=FastAtConfig(mode=mode)))
        loss, _ = objective(ours, ours, images, labels, torch.Generator().manual_seed(report.seed))
        loss.backward()
        at_most = ROUNDING if mode == "training" else None
        report.add(f"fast_at, mode {mode}", "loss", loss, torch.tensor(their_loss), at_most)
        before = dict(network.named_parameters())
        theirs = flat((before[name] - after[name]) / rate for name in before)
        slopes = flat(parameter.grad for parameter in ours.parameters())
        report.add(f"fast_at, mode {mode}", "gradient in weights", slopes, theirs, at_most)
        names = [name for name, buffer in network.named_buffers() if buffer.dim() == 1]
        moved = flat(after[name] for name in names)
        statistics = dict(ours.named_buffers())
        report.add(
            f"fast_at, mode {mode}", "running statistics", flat(statistics[name] for name in names), moved, at_most
        )


def target(seed: int) -> tuple[nn.Module, Tensor, Tensor, float]:
    """A small network in float32, images that it is right about, and an eps that breaks a part of them."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)).float().eval()
    images = batch(seed, count=64, size=8)[0].float()
    return network, images, network(images).argmax(dim=1), 0.01


def compare_autoattack(report: Report, folder: Path) -> None:
    """The verdicts of AutoAttack and of its parts; ours run the package that its authors' code is published as."""
    torch.set_default_dtype(torch.float32)
    # Behind everything else: nothing of theirs replaces a package of the environment.
    sys.path.append(str(folder))
    library: Any = importlib.import_module("autoattack").AutoAttack
    network, images, labels, eps = target(report.seed)
    for norm, radius in (("Linf", eps), ("L2", 12 * eps)):
        given = {"eps": radius, "norm": norm, "seed": report.seed}
        attacks: list[tuple[str, list[str], Any]] = [
            ("APGD", ["apgd-ce", "apgd-t"], lambda **given: apgd(network, images, labels, **given)),
            ("Square", ["square"], lambda **given: square(network, images, labels, **given, queries=500)),
            ("AutoAttack", [], lambda **given: auto_attack(network, images, labels, **given)),
        ]
        for name, parts, ours in attacks:
            version = "custom" if parts else "standard"
            attack = library(network, device="cpu", verbose=False, version=version, attacks_to_run=list(parts), **given)
            if parts:
                attack.apgd.n_restarts, attack.square.n_queries = 1, 500
            theirs = attack.run_standard_evaluation(images, labels, bs=len(images))
            found: Tensor = ours(**given)
            with torch.no_grad():
                verdicts = [network(shown).argmax(dim=1) != labels for shown in (found, theirs)]
            part = f"verdicts, {int(verdicts[1].sum())} of {len(labels)} broken"
            report.note(f"{name}, {norm}", part, float((verdicts[0] != verdicts[1]).sum()), 0)


def compare_corruptions(report: Report, folder: Path) -> None:
    """The script that made CIFAR-10-C: results where nothing is drawn, deviations where something is."""
    try:
        skimage, filters, cv2 = (importlib.import_module(name) for name in ("skimage", "skimage.filters", "cv2"))
    except ImportError as error:
        sys.exit(f"{error}: see --packages")

    def gaussian(image: Any, sigma: float, multichannel: bool) -> Any:  # noqa: ARG001 - as it was called then
        return filters.gaussian(image, sigma=sigma, channel_axis=-1)

    # NumPy 2 has no float_ any more.
    numpy = SimpleNamespace(**{**vars(np), "float_": np.float64})
    names = {"np": numpy, "sk": skimage, "cv2": cv2, "PILImage": PILImage, "BytesIO": io.BytesIO, "gaussian": gaussian}
    theirs = vars(
        take(folder / "ImageNet-C" / "create_c" / "make_cifar_c.py", *CORRUPTED, "disk", "plasma_fractal", **names)
    )
    generator = np.random.default_rng(report.seed)
    levels = generator.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    levels = gaussian_filter(levels, (0, 1, 1, 0))
    pictures = [PILImage.fromarray(picture) for picture in levels]
    images = torch.from_numpy(levels).permute(0, 3, 1, 2).float() / 255
    np.random.seed(report.seed)  # noqa: NPY002 - which their code draws from
    grey = PILImage.new("RGB", (32, 32), (128, 128, 128))
    for their_name, (name, at_most) in CORRUPTED.items():
        drawn = at_most >= SAMPLING
        shown = torch.full((256, 3, 32, 32), 128 / 255) if drawn else images
        apart = []
        for severity in SEVERITIES:
            results = [theirs[their_name](picture, severity) for picture in ([grey] * 256 if drawn else pictures)]
            other = torch.from_numpy(np.stack([np.asarray(result) for result in results])).permute(0, 3, 1, 2) / 255
            ours = corrupt(shown, name, severity=severity, seed=report.seed).double()
            if name == "fog":
                ours, other = (result.diff(dim=3).square().mean().sqrt() for result in (ours, other))
            elif drawn:
                ours, other = ours.std(), other.std()
            apart.append(float(((ours - other) / (other if drawn else 1)).abs().amax()))
        compared = "roughness" if name == "fog" else "deviation" if drawn else "pixels"
        report.note(CORRUPTIONS[name].title, f"{compared}, severities 1 to 5", max(apart), at_most)


#: Theirs by name: ours, and how far apart they may be; motion blur is ImageMagick's.
CORRUPTED = {
    "gaussian_noise": ("gaussian_noise", SAMPLING),
    "shot_noise": ("shot_noise", SAMPLING),
    "impulse_noise": ("impulse_noise", SAMPLING),
    # Each cloud is scaled to its own range.
    "fog": ("fog", 0.1),
    "gaussian_blur": ("gaussian_blur", SINGLE),
    "defocus_blur": ("defocus_blur", SINGLE),
    "brightness": ("brightness", SINGLE),
    "contrast": ("contrast", SINGLE),
    "jpeg_compression": ("jpeg", SINGLE),
    # Theirs rounds to levels after each resizing.
    "pixelate": ("pixelate", 1.5 / 255),
}
