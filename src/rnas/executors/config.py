"""Where independent runs are computed."""

from __future__ import annotations

from dataclasses import dataclass

from rnas.config import require

__all__ = ["ExecutorConfig"]


@dataclass(frozen=True)
class ExecutorConfig:
    """Where independent runs are computed.

    Args:
        engine: "local", one run after another in this process; or "ray", several at a time (the extra rnas[cluster]).
        address: ray: host:port of a running cluster; null starts one on this machine, for the time of the command.
        cpus: ray: processors that a run takes, > 0.
        gpus: ray: GPUs that a run takes, >= 0; 0.5 puts two runs on each; null for 1 where there are GPUs, else 0.
    """

    engine: str = "local"
    address: str | None = None
    cpus: float = 1.0
    gpus: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.address is None or self.engine == "ray", "address", "null but for engine ray", self.address)
        require(self.address != "", "address", "host:port or null", self.address)
        require(self.cpus > 0, "cpus", "a number > 0", self.cpus)
        gpus = self.gpus
        # Ray shares a GPU between runs, but gives a run no part of a second one.
        whole = gpus is None or 0 <= gpus <= 1 or gpus == int(gpus) > 0
        require(whole, "gpus", "a number in [0, 1], a larger integer, or null", gpus)
