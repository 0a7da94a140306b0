"""One training or search by several processes, each on a part of every batch, with the result of one process.

Processes are those of the default group of torch.distributed; torchrun starts them, `launched` joins them. All hold the
same weights. Inside `part_of` a process sees its rows of the batch, and what is a mean over the batch (losses, their
gradients, the statistics of batch norms) is made one over the rows of all. Outside of it, and in a single process,
every function here does nothing: loops, objectives and search algorithms need not know how many they are.

Gradients are summed by hand and not by DistributedDataParallel: a step passes the network several times, attacks pass a
copy of it, the gradient of alpha is taken without `.grad`, and clipping needs the sum.
"""

from typing import TYPE_CHECKING

from rnas.lazy import lazily
from rnas.parallel.launch import launched, local_rank

if TYPE_CHECKING:
    from rnas.parallel.normalisation import batch_norm, synchronise
    from rnas.parallel.parts import generator, means, own, part_of, summed, weighted
    from rnas.parallel.processes import agreed, follow, from_first, rank, size
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "normalisation": ("batch_norm", "synchronise"),
            "parts": ("generator", "means", "own", "part_of", "summed", "weighted"),
            "processes": ("agreed", "follow", "from_first", "rank", "size"),
        },
    )

__all__ = [
    "agreed",
    "batch_norm",
    "follow",
    "from_first",
    "generator",
    "launched",
    "local_rank",
    "means",
    "own",
    "part_of",
    "rank",
    "size",
    "summed",
    "synchronise",
    "weighted",
]
