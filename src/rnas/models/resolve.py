"""Load what a command calls MODEL: one text, one network in evaluation mode.

    runs/found                              a run directory that `rnas train` wrote
    resnet18:path/to/weights.safetensors    a network of the zoo with weights, ours or another's (`weight_layouts`)
    path/to/model.pt                        a TorchScript program (torch.jit.save)
    path/to/model.pt2                       an exported program (torch.export.save)
    package.module:function                 a function without arguments that returns a torch model, or a torch model
    smoothed:0.25:MODEL                     any of these, smoothed by normal noise of deviation 0.25 (`certification`)

Loading run directories, weights and exported files runs no code from them (see `rnas.models.exported_files`), and an
exported program can only compute. TorchScript runs in an interpreter of torch's, without Python, but also while it is
loaded, and can write files; a function is code by definition: of both, name only what you trust. What a file holds
decides, not its suffix.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import sys
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from rnas.certification.smoothing import SmoothedModel
from rnas.errors import ConfigError, ModelError, RunError, UnknownNameError, nearest, reason_of
from rnas.models.smoothed_texts import read_smoothed
from rnas.models.spec import load_network
from rnas.models.weight_files import FUNCTION, read_any_weights
from rnas.models.weight_layouts import load_into_zoo
from rnas.networks import zoo
from rnas.plugins import beside_the_user

__all__ = ["FORMS", "LoadedModel", "load_model"]

FORMS = (
    "a run directory, NETWORK:weights.safetensors (or .pth), a .pt or .pt2 program, module:function, or "
    "smoothed:SIGMA:MODEL"
)

Kind = Literal["run", "zoo", "torchscript", "export", "function", "smoothed"]


@dataclass(frozen=True)
class LoadedModel:
    """A network and where it comes from.

    Args:
        text: what the user wrote.
        name: a short name for tables and folders; two texts may share one.
        kind: which form the text has.
        network: from images in [0, 1], shape (N, C, H, W), to logits (N, classes); in evaluation mode.
        run: the run directory in which it, or what it smooths, was trained, where the text names one.
    """

    text: str
    name: str
    kind: Kind
    network: nn.Module
    run: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The run directory, where that is the whole text: what is found out about the network is kept there."""
        return self.run if self.kind == "run" else None


class Program(nn.Module):
    """A compiled program as a module of one mode: evaluation where the file can switch, else the mode of the file.

    Exported programs refuse `eval()`. The digest of the file is part of `repr`, for two programs of equal weights may
    still compute different things.

    Args:
        inner: the program.
        digest: SHA-256 of its file, in hexadecimal.
    """

    def __init__(self, inner: nn.Module, digest: str) -> None:
        super().__init__()
        self.inner = inner
        self.digest = digest

    def train(self, mode: bool = True) -> Program:
        self.training = mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        try:
            return self.inner(images)
        except AssertionError as error:
            # The only thing that an exported program asserts are the shapes that it was exported for.
            raise ModelError(
                f"it was exported for other shapes ({error}); dynamic_shapes={{0: torch.export.Dim.DYNAMIC}} "
                "would let it take any number of images"
            ) from error

    def extra_repr(self) -> str:
        return f"sha256={self.digest}"


def load_model(text: str, device: torch.device | str = "cpu") -> LoadedModel:
    """Load what a MODEL argument names.

    Args:
        text: one of the forms above.
        device: where the network is put.

    Returns:
        The network, on the device, in evaluation mode.

    Raises:
        RunError: if a run directory or a file is missing, damaged, or something else.
        UnknownNameError: if there is neither a network nor a module of that name.
        ModelError: if weights do not fit their network, or a function gives no model.
        ConfigError: if the text has none of the forms.
    """
    if (smoothed := read_smoothed(text)) is not None:
        base = load_model(smoothed.base, device)
        network = SmoothedModel(base.network, smoothed.sigma, smoothed.draws).eval()
        return LoadedModel(text, f"{smoothed.name}-{base.name}", "smoothed", network, base.run)
    path = Path(text)
    before, colon, after = text.partition(":")
    if path.is_file() and path.suffix == ".py":
        raise ConfigError(f"expected {FORMS}, got {text!r}; a function in it is {_dotted(path)}:FUNCTION")
    if path.is_file():
        loaded = _load_program(path, text, torch.device(device))
    elif path.is_dir() or not colon:
        loaded = _load_run(path, text)
    elif before in zoo.NETWORKS or before in zoo.UNPUBLISHED:
        loaded = _load_zoo(before, Path(after), text)
    else:
        loaded = _load_function(before, after, text)
    if any(tensor.is_meta for tensor in itertools.chain(loaded.network.parameters(), loaded.network.buffers())):
        raise ModelError(f"{text}: the model has weights on the device 'meta', which have no values")
    loaded.network.to(device).eval()
    return loaded


def _load_run(folder: Path, text: str) -> LoadedModel:
    if not (folder / "model.json").exists():
        if text in zoo.NETWORKS:
            raise ModelError(f"the network {text!r} needs weights here: {text}:path/to/weights.safetensors")
        # As after `rnas run`, whose networks are in folders of the run's, or after `rnas export`.
        inside = sorted(str(path.parent) for path in folder.glob("*/model.json")) + sorted(
            map(str, folder.glob("*.pt2"))
        )
        if inside:
            raise RunError(f"{folder} holds no trained network itself; did you mean {' or '.join(inside)}?")
        if not folder.exists():
            *module, last = text.split(".")
            dotted = bool(module) and all(part.isidentifier() for part in (*module, last))
            hint = f"; of the module {'.'.join(module)}: {'.'.join(module)}:{last}" if dotted else ""
            raise RunError(f"{folder} holds no trained network, it does not exist: expected {FORMS}{hint}")
    return LoadedModel(text, folder.resolve().name, "run", load_network(folder), folder)


def _load_zoo(name: str, weights: Path, text: str) -> LoadedModel:
    fitted = load_into_zoo(name, weights)
    if fitted.remark:
        print(f"{text}: {fitted.remark}", file=sys.stderr, flush=True)
    # A file of the usual name says less than its folder.
    label = weights.resolve().parent.name if weights.stem == "weights" else weights.stem
    return LoadedModel(text, f"{name}-{label}", "zoo", fitted.network)


def _load_program(path: Path, text: str, device: torch.device) -> LoadedModel:
    # Here, for torch.export takes longer to import than all the rest of torch.
    from rnas.models.exported_files import load_exported

    kind = _kind_of_program(path)
    content = path.read_bytes()
    inner = load_exported(content, path, device) if kind == "export" else _load_torchscript(path)
    return LoadedModel(text, path.name, kind, Program(inner, hashlib.sha256(content).hexdigest()))


def _load_torchscript(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # torch advises against the format; whoever has such a file has chosen already.
            warnings.simplefilter("ignore", DeprecationWarning)
            inner: nn.Module = torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"{path} is damaged, or of another version of torch: {reason}") from error
    return inner


def _kind_of_program(path: Path) -> Literal["torchscript", "export"]:
    """The kind of torch's archive, from its list of files: nothing is loaded to find out."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        names = set()
    if "archive_format" in names:
        return "export"
    if "constants.pkl" in names:
        return "torchscript"
    try:
        read_any_weights(path)
    except RunError as error:
        raise RunError(
            f"{path} is no TorchScript and no torch.export file: a pickled model may run code and is not read; "
            f"save its weights alone and give them with their network, NETWORK:{path}, {FUNCTION}"
        ) from error
    raise RunError(f"{path} holds weights, which need their network: NETWORK:{path}, {FUNCTION}")


def _load_function(module: str, function: str, text: str) -> LoadedModel:
    if module.endswith(".py"):
        # Not imported first, for that would run the file and then fail.
        written = f"{_dotted(Path(module))}:{function}"
        raise ConfigError(f"expected {FORMS}, got {text!r}; a module is written without .py: {written}")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"expected {FORMS}, got {text!r}")
    with beside_the_user():
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            if not isinstance(error, ModuleNotFoundError) or not f"{module}.".startswith(f"{error.name}."):
                raise ModelError(f"{text}: the import of {module} failed: {error}") from error
            raise UnknownNameError(
                f"{text}: neither a network nor a module is called {module!r}{nearest(module, zoo.NETWORKS)}"
            ) from error
        except (Exception, SystemExit) as error:  # a file with a slip in it, or whose own statements fail
            raise ModelError(f"{text}: the import of {module} failed: {reason_of(error)}") from error
        maker = getattr(found, function, None)
        if isinstance(maker, nn.Module):
            return LoadedModel(text, text.replace(":", "."), "function", maker)
        if not callable(maker):
            names = [name for name, item in vars(found).items() if callable(item) and not name.startswith("_")]
            raise UnknownNameError(f"{text}: {module} has no function {function!r}{nearest(function, names)}")
        try:
            network = maker()
        except (Exception, SystemExit) as error:
            raise ModelError(f"{text}: the function failed: {reason_of(error)}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{text}: expected a torch.nn.Module from the function, got {type(network).__name__}")
    return LoadedModel(text, text.replace(":", "."), "function", network)


def _dotted(path: Path) -> str:
    """A Python file as the name of a module."""
    return ".".join(path.with_suffix("").parts)
