"""Independent runs through one interface: an executor does jobs here, one after another, or on a Ray cluster.

A job is idempotent: it works in run directories, which continue what was killed and repeat nothing that is finished.
So an engine that loses one may simply start it again, on any machine that sees the same folders.
"""

from rnas.executors.config import ExecutorConfig
from rnas.executors.engines import open_executor
from rnas.executors.jobs import Job, Outcome
from rnas.executors.registry import ENGINES

__all__ = ["ENGINES", "ExecutorConfig", "Job", "Outcome", "open_executor"]
