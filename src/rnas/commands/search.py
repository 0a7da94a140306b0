"""`rnas search`: search for an architecture in a run directory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rnas import parallel
from rnas.commands.checks import check_search
from rnas.commands.comparing import load_data
from rnas.commands.config import SearchCommand
from rnas.commands.stage import stage, warn_of_small_data
from rnas.config import require
from rnas.executors import open_executor
from rnas.executors.registry import Execute
from rnas.genotype import Genotype
from rnas.run.checkpoints import read_weights
from rnas.run.search_results import read_search_results
from rnas.search.loop import search

__all__ = ["read_search", "run_search"]


def read_search(folder: Path) -> None:
    """Make sure that what a search found can be read; raises an RnasError if not."""
    Genotype.load(folder / "genotype.json")
    read_weights(folder / "alpha.safetensors")
    read_search_results(folder)


def run_search(command: SearchCommand) -> Path:
    """Search as configured; a finished search is not repeated.

    Args:
        command: images and search, and the run directory.

    Returns:
        The run directory, which holds genotype.json.
    """
    check_search(command.search)
    with stage(command, "search") as (run, device):
        if not run.complete(read_search):
            data = load_data(command.data, command.seed)
            run.record("images", parallel.agreed("images", data.fingerprint))
            warn_of_small_data("search.batch_size", command.search.batch_size, len(data.train) // 2)
            with engine(command) as execute:
                search(
                    data,
                    command.search,
                    run,
                    augmentation=command.data,
                    device=device,
                    checkpoint_every=command.checkpoint_every,
                    execute=execute,
                )
            run.finish()
    return run.path


def engine(command: SearchCommand) -> AbstractContextManager[Execute | None]:
    """The engine that trains candidates; None trains them in the processes of the search itself.

    Raises:
        ConfigError: if an engine is to do what several processes already share.
    """
    if (command.engine == "local" and command.workers == 1) or command.search.shortlist.count == 1:
        return nullcontext()
    expected = "local where several processes search together"
    require(parallel.size() == 1 or command.engine == "local", "engine", expected, command.engine)
    require(parallel.size() == 1, "workers", "1 where several processes search together", command.workers)
    return open_executor(command)
