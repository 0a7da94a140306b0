"""Genotypes, weights, images and parquet files of others, damaged at random: each is read or refused in one line.

    python benchmarks/foreign_files.py [--count 2000] [--seed 0] [--csv FILE]

Of each kind, sound files in every form that is taken get one to twenty slips (a byte replaced, bits flipped, a piece
cut out, doubled, or filled with the signs that the form is made of), and are read. An attempt is refused if it ends in
an RnasError of one line and at most 500 characters. Anything else but a result is a fault: another exception, a longer
message, or more than 5 seconds of the processor. The exit code is 1 if there is one; each kind's first are printed.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from safetensors.torch import save

from rnas import Genotype
from rnas.data import load
from rnas.data.decoding import quiet
from rnas.data.pictures import FORMATS, fit, read_picture
from rnas.errors import RnasError
from rnas.genotype_texts import is_print
from rnas.models.weight_layouts import load_into_zoo
from rnas.networks import zoo
from rnas.networks.published import genotype_of, genotypes
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin

SIGNS = b"()[]{},='\"|~+09azGenotype "
PATIENCE = 5.0
LONGEST = 500

#: Sound files, and what reads a damaged one from its name.
Campaign = tuple[list[bytes], Callable[[Path], object]]


def slip(content: bytes, chance: random.Random) -> bytes:
    """A file's content with some slips."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        if not changed:
            break
        place, length = chance.randrange(len(changed)), chance.choice([1, 1, 2, 8, 100])
        match chance.randrange(5):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case _:
                changed[place:place] = bytes(chance.choices(SIGNS, k=length))
    return bytes(changed)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A damaged file: half of them in their last two thousand bytes only, where most forms say what they hold."""
    if chance.random() < 0.5:
        return slip(content, chance)
    return content[:-2000] + slip(content[-2000:], chance)


def genotype_files() -> Campaign:
    """JSON, read from a file, and the prints of DARTS and NAS-Bench-201, read as the text that they are."""
    genotype = genotype_of(genotypes()["darts_v2"])
    fields = [
        f"{kind}={[(edge.op, edge.source) for node in cell.nodes for edge in node]}, {kind}_concat=range(2, 6)"
        for kind, cell in genotype.cells
    ]
    string = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    texts = [genotype.to_json(), f"Genotype({', '.join(fields)})", string]

    def read(path: Path) -> object:
        text = path.read_bytes().decode(errors="replace")
        return Genotype.load(text) if is_print(text) else Genotype.load(path)

    return [text.encode() for text in texts], read


def weight_files() -> Campaign:
    """Of safetensors and both formats of torch.save, plain and as a checkpoint of a parallel model."""
    state = zoo.build("resnet18", 3, channels=1).state_dict()
    files = [save(dict(state))]
    for content in (state, {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}):
        for zipped in (True, False):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
            files.append(buffer.getvalue())
    return files, lambda path: load_into_zoo("resnet18", path)


def pictures(modes: tuple[str, ...]) -> Iterator[bytes]:
    """Small images of noise in every format."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for form in FORMATS:
        for mode in modes:
            buffer = io.BytesIO()
            Image.fromarray(noise).convert(mode).save(buffer, format=form)
            yield buffer.getvalue()


def image_files() -> Campaign:
    """Images in every format, gray and in colour."""

    def read(path: Path) -> object:
        with quiet():
            return fit(read_picture({"bytes": None, "path": str(path)}, path.name, None), 5)

    return list(pictures(("L", "RGB"))), read


def parquet_files() -> Campaign:
    """A parquet file with the hub's metadata."""
    images = [{"bytes": content, "path": None} for content in pictures(("L",))][:6]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    buffer = io.BytesIO()
    datasets.Dataset.from_dict({"image": images, "label": [0, 1] * 3}, features=features).to_parquet(buffer)
    return [buffer.getvalue()], lambda path: load(str(path), pixels=4)


CAMPAIGNS: dict[str, Callable[[], Campaign]] = {
    "genotypes": genotype_files,
    "weights": weight_files,
    "images": image_files,
    "parquet": parquet_files,
}


def outcome(read: Callable[[Path], object], path: Path) -> tuple[str, str]:
    """What became of one file: "read", "refused" or "fault", and of a fault what it was."""
    start = time.process_time()
    try:
        with redirect_stderr(io.StringIO()):
            read(path)
        result, words = "read", ""
    except RnasError as error:
        words = str(error)
        result = "refused" if "\n" not in words and len(words) <= LONGEST else "fault"
    except Exception as error:
        result, words = "fault", "".join(traceback.format_exception(error)[-3:])
    if (seconds := time.process_time() - start) > PATIENCE:
        result, words = "fault", f"{seconds:.1f} s"
    return result, words


def main() -> int:
    """Run all campaigns; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    datasets.disable_progress_bars()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RNAS_CACHE"] = f"{folder}/cache"
        for kind, prepare in CAMPAIGNS.items():
            files, read = prepare()
            chance = random.Random(f"{options.seed} {kind}")
            path = Path(folder, "some.parquet" if kind == "parquet" else "some.file")
            counts: Counter[str] = Counter()
            for _ in track(range(options.count), kind, transient=True, console=Console(stderr=True)):
                path.write_bytes(damaged(chance.choice(files), chance))
                result, words = outcome(read, path)
                counts[result] += 1
                if result == "fault" and counts[result] <= 3:
                    print(f"{kind}: {words}", file=sys.stderr)
            row = {"kind": kind, "files": options.count} | {name: counts[name] for name in ("read", "refused", "fault")}
            print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
            rows.append(row | {"seed": options.seed} | origin("cpu"))
    if options.csv:
        write_atomically(options.csv, csv_text(rows))
    return int(any(row["fault"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
