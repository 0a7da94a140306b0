"""Programs of torch.export (.pt2 files), loaded without running code from the file.

`torch.export.load` trusts its file. In torch 2.13 it unpickles tensors that the file marks so, custom and opaque
objects, files in older formats and, where the safe way fails, sample inputs; it loads compiled libraries; and it
evaluates texts (see `rnas.models.exported_texts`). So it is given an archive that is written anew here, of raw
tensors and of JSON without a text that could be code. What could run code is refused; what a graph does not need is
left out: metadata, sample inputs and extra files.

Not guarded against: files that take much time or memory, and faults in torch's operators or its reader of archives.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export.passes import move_to_device_pass
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

from rnas.errors import RunError
from rnas.models.exported_texts import expected_instead

__all__ = ["load_exported"]

MODEL = "models/model.json"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
TENSORS = re.compile(r"data/(?:weights/weight|constants/tensor)_[0-9]+")
#: The reader's and the writer's own, and notes of the user.
OTHERS = re.compile(r"archive_format|archive_version|byteorder|\.data/(?:version|serialization_id)|extra/.*", re.DOTALL)

#: Read by who inspects a graph, not needed to run it.
UNUSED = frozenset({"metadata", "treespec_namedtuple_fields"})
#: Arguments of operators that are objects, operators or graphs.
REFUSED = frozenset({"as_custom_obj", "as_graph", "as_operator", "custom_obj"})


def load_exported(content: bytes, path: Path, device: torch.device) -> nn.Module:
    """Load a program of one input, a batch of images, and one output, its logits.

    Args:
        content: the bytes of a file that `torch.export.save` wrote.
        path: the file's name, for messages.
        device: where the program shall run.

    Raises:
        RunError: if the file is damaged or of another version of torch, or holds what could run code.
    """
    try:
        with warnings.catch_warnings():
            # torch's remarks on its own code.
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.export.load(_written_anew(content, path))
        if device.type != "cpu":
            # Constants inside the program name the device that they were made on.
            program = move_to_device_pass(program, str(device))
        return program.module()
    except RunError:
        raise
    except Exception as error:  # the parser of a damaged file may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"{path} is damaged, or of another version of torch: {reason}") from error


def _written_anew(content: bytes, path: Path) -> io.BytesIO:
    """The archive that torch shall load. It is read with torch's own reader: others may find other files in it."""
    reader, archive = PT2ArchiveReader(io.BytesIO(content)), io.BytesIO()
    with PT2ArchiveWriter(archive) as writer:
        for name in sorted(set(reader.get_file_names())):
            if name == MODEL or name in CONFIGS:
                writer.write_string(name, json.dumps(_plain(json.loads(reader.read_bytes(name)), "", path)))
            elif name == SAMPLE_INPUTS:
                # Only the number of inputs is used, to find them in the guards.
                sample = io.BytesIO()
                torch.save(((torch.zeros(1),), {}), sample)
                writer.write_bytes(name, sample.getvalue())
            elif TENSORS.fullmatch(name):
                writer.write_bytes(name, reader.read_bytes(name))
            elif not OTHERS.fullmatch(name):
                raise _refusal(path, f"the file {name!a}", "only tensors and the JSON of one program")
    archive.seek(0)
    return archive


def _plain(value: Any, field: str, path: Path) -> Any:
    """A value of the JSON without what is not needed.

    Args:
        value: anything that JSON can hold.
        field: the key that it stands under, also as one of a list.
        path: the file's name, for messages.

    Raises:
        RunError: if any text in it is none that its field may hold, or a tensor is pickled.
    """
    if field in REFUSED or (field == "use_pickle" and value is not False):
        raise _refusal(path, f"{field!a}", "only tensors, numbers and plain text, nothing pickled")
    if isinstance(value, dict):
        for key in value:
            if expected := expected_instead("", key):
                raise _refusal(path, f"{key!a}", expected)
        return {key: {} if key in UNUSED else _plain(item, key, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, field, path) for item in value]
    if isinstance(value, str) and (expected := expected_instead(field, value)):
        raise _refusal(path, f"{field} {value!a}", expected)
    return value


def _refusal(path: Path, found: str, expected: str) -> RunError:
    return RunError(
        f"{path} holds {found[:200]}, expected {expected}: loading it might run code, so it is refused; "
        "if you trust the file, name a function that loads it"
    )
