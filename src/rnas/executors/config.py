"""Where independent runs are computed."""

from __future__ import annotations

from dataclasses import dataclass

from rnas.config import MOST_THREADS, require

__all__ = ["ExecutorConfig"]


@dataclass(frozen=True)
class ExecutorConfig:
    """Where independent runs are computed.

    Args:
        engine: "local", on this machine; or "ray", several at a time on any number of machines (the extra
            rnas[cluster]).
        workers: local: runs at a time, at least 1; above 1 each in a process of its own. With several, threads of 1
            keeps them from taking each other's processors.
        address: ray: host:port of a running cluster; null starts one on this machine, for the time of the command.
        cpus: ray: processors that a run takes, > 0.
        gpus: ray: GPUs that a run takes, >= 0; 0.5 puts two runs on each; null for 1 where there are GPUs, else 0.
    """

    engine: str = "local"
    address: str | None = None
    cpus: float = 1.0
    gpus: float | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.address is None or self.engine == "ray", "address", "null but for engine ray", self.address)
        require(self.address != "", "address", "host:port or null", self.address)
        expected = "an integer >= 1, and 1 with engine ray, which counts for itself"
        alone = self.workers == 1 or self.engine != "ray"
        require(self.workers >= 1 and alone, "workers", expected, self.workers, at_most=MOST_THREADS)
        require(self.cpus > 0, "cpus", "a number > 0", self.cpus)
        gpus = self.gpus
        # Ray shares a GPU between runs, but gives a run no part of a second one.
        whole = gpus is None or 0 <= gpus <= 1 or gpus == int(gpus) > 0
        require(whole, "gpus", "a number in [0, 1], a larger integer, or null", gpus)
