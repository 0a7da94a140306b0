"""A network as a file that runs without this package: a torch.export program, and ONNX.

Both take float32 images in [0, 1], shape (N, C, H, W), N at least 1, C, H and W fixed, and give logits (N, classes).
What the file's bytes compute is compared with the network before the file is written.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from rnas.errors import ModelError
from rnas.run.files import write_atomically

__all__ = ["TOLERANCE", "onnx_is_installed", "save_onnx", "save_program", "trace"]

#: The largest difference of a logit from the network's, on random images.
TOLERANCE = 1e-4

#: What writes ONNX and what checks it.
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def onnx_is_installed() -> bool:
    """Whether the extra ``rnas[onnx]`` is there."""
    return all(importlib.util.find_spec(package) is not None for package in ONNX_PACKAGES)


def trace(network: nn.Module, image: tuple[int, int, int]) -> ExportedProgram:
    """The network in evaluation mode as a torch.export program with a dynamic batch.

    Args:
        network: in evaluation mode, on the CPU.
        image: the images' shape (C, H, W).
    """
    # One image would be taken for a constant.
    return torch.export.export(
        network, (torch.zeros(2, *image),), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False
    )


def save_program(path: Path, program: ExportedProgram, network: nn.Module, image: tuple[int, int, int]) -> float:
    """Write a program for ``torch.export.load``.

    Args:
        path: the file, by custom with the suffix .pt2.
        program: from `trace`.
        network: what it was traced from.
        image: the images' shape (C, H, W).

    Returns:
        The largest difference from the network.

    Raises:
        ModelError: if the program computes something else; nothing is written.
        RunError: if the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    difference = check(torch.export.load(io.BytesIO(buffer.getvalue())).module(), network, image, path)
    write_atomically(path, buffer.getvalue())
    return difference


def save_onnx(path: Path, program: ExportedProgram, network: nn.Module, image: tuple[int, int, int]) -> float:
    """Write a program as ONNX, with the input "images" and the output "logits"; needs the extra ``rnas[onnx]``.

    Arguments, return value and errors are those of `save_program`.
    """
    import onnxruntime

    with quiet():
        exported = torch.onnx.export(
            program, dynamo=True, input_names=["images"], output_names=["logits"], verbose=False
        )
    if exported is None:
        raise ModelError(f"{path}: torch.onnx gave no program")
    model = exported.model_proto
    for value in (*model.graph.input, *model.graph.output):
        # torch calls it by a number of its own.
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])

    difference = check(run, network, image, path)
    write_atomically(path, content)
    return difference


def check(exported: Callable[[Tensor], Tensor], network: nn.Module, image: tuple[int, int, int], path: Path) -> float:
    """The largest difference of a logit on random images in [0, 1], in batches of other sizes than the traced one.

    Raises:
        ModelError: if it is above `TOLERANCE`, or no number.
    """
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    with torch.no_grad():
        for count in (1, 5):
            images = torch.rand(count, *image, generator=generator)
            difference = float((exported(images) - network(images)).abs().max())
            if not difference <= TOLERANCE:
                raise ModelError(
                    f"{path} is not written: it would differ from the network by {difference:.2g} on random images, "
                    f"expected at most {TOLERANCE:g}"
                )
            largest = max(largest, difference)
    return largest


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch.onnx's remarks on its own code, and on torchvision, which no network here needs."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(before)
