"""What does an interval certificate cost? Bounds of images of a network of 20 cells, in forward passes.

    python benchmarks/bounds_speed.py [--network rnas_l] [--channels 36] [--images 1000] [--csv FILE]

Forward passes and bounds of the same batches take turns in one process, so that both see the same load; the row has
their sums and the ratio. Images are 32x32, weights fresh, both in channels_last, on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

from rnas.certification.program import interval_margins, trace
from rnas.networks import zoo
from rnas.networks.layout import use_channels_last
from rnas.progress import reporting
from rnas.run.files import write_atomically
from rnas.run.provenance import origin


def main() -> None:
    """Measure, and add a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="rnas_l")
    parser.add_argument("--channels", type=int, default=36)
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--csv", default="results/bounds_speed.csv", help="where the row goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = zoo.build(arguments.network, 10, channels=arguments.channels, cells=arguments.cells).eval()
    use_channels_last(network)
    program = trace(network, (3, 32, 32))
    spent = {"forward": 0.0, "interval": 0.0}
    with torch.no_grad(), reporting("bounding", arguments.images) as progress:
        for first in range(-arguments.batch, arguments.images, arguments.batch):
            images = torch.rand(arguments.batch, 3, 32, 32).to(memory_format=torch.channels_last)
            labels = torch.randint(10, (arguments.batch,))
            started = time.perf_counter()
            network(images)
            middle = time.perf_counter()
            interval_margins(program, images, labels, 2 / 255)
            if first >= 0:  # the batch before is a warm-up
                spent["forward"] += middle - started
                spent["interval"] += time.perf_counter() - middle
                progress.update(first + arguments.batch)
    row = {key: value for key, value in vars(arguments).items() if key != "csv"}
    row |= {f"{key}_seconds": round(value, 2) for key, value in spent.items()}
    row |= {"ratio": round(spent["interval"] / spent["forward"], 3), **origin("cpu")}
    path = Path(arguments.csv)
    before = pd.read_csv(path) if path.exists() else pd.DataFrame()
    write_atomically(path, pd.concat([before, pd.DataFrame([row])]).to_csv(index=False).encode())
    print(f"{spent['interval']:.1f} s for the bounds, {spent['forward']:.1f} s for a forward pass: {row['ratio']}")


if __name__ == "__main__":
    main()
