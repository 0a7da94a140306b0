"""What `--help` shows: settings that one changes first, and names to choose from. `--help all` shows every setting."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeAlias

from rnas.search.settings import SETTINGS

__all__ = ["Lists", "asks_for_all", "asks_for_help", "chosen_algorithm", "listing", "shorten_help"]

#: Title -> what gives a line for each name.
Lists: TypeAlias = Mapping[str, Callable[[], list[str]]]

#: By their full names, in any command that has them.
SHOWN = """
help config print_config resume plugin out seed device threads
data data.limit data.pixels data.cifar10 network network.channels network.cells baseline
search.algorithm search.space search.channels search.cells search.epochs search.warmup_epochs search.batch_size
search.attack.eps search.attack.step_size search.attack.steps
search.constraint.bound search.constraint.metric search.size_limit search.shortlist.count search.shortlist.epochs
training.objective training.epochs training.batch_size training.learning_rate
training.attack.eps training.attack.step_size training.attack.steps
evaluation.attacks evaluation.eps evaluation.images evaluation.autoattack_images evaluation.batch_size save_images
certification.methods certification.eps certification.images certification.batch_size
images metrics layers attack.eps attack.steps
table seeds budget networks bounds engine workers recipe space objectives trials sampler batch
"""


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for help, of either kind."""
    return bool({"-h", "--help"} & set(arguments))


def asks_for_all(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the help that shows every setting."""
    return any(word in ("-h", "--help") and after == "all" for word, after in pairwise(arguments))


def chosen_algorithm(arguments: Sequence[str]) -> str:
    """The search algorithm that a command line names; empty where it names none."""
    words = " ".join(arguments).replace("--search.algorithm=", "--search.algorithm ").split()
    return next((after for word, after in reversed([*pairwise(words)]) if word == "--search.algorithm"), "")


def shorten_help(parser: argparse.ArgumentParser, actions: Iterable[argparse.Action], chosen: str) -> None:
    """Take out of a parser's help what one seldom changes, and say how much that is.

    Args:
        parser: of a command.
        actions: all that its help shows.
        chosen: the search algorithm that the command line names, whose own settings are shown; may be empty.
            Those that plug-ins bring are always shown.
    """
    own = {
        f"search.{name}." for name in SETTINGS if name == chosen or not SETTINGS[name].__module__.startswith("rnas.")
    }
    shown, left_out = SHOWN.split(), 0
    for action in actions:
        if action.dest in shown or action.dest.startswith(tuple(own)) or action.help == argparse.SUPPRESS:
            continue
        # A group's file of settings is no setting more.
        left_out += action.metavar != "FILE"
        action.help = argparse.SUPPRESS
    if left_out:
        parser.epilog = f"{left_out} more settings: {' '.join(parser.prog.split()[:2])} --help all"


@contextmanager
def listing(arguments: Sequence[str], lists: Lists) -> Iterator[None]:
    """Print names after the help, where it is asked for; they are looked up only then.

    Args:
        arguments: that are parsed inside.
        lists: what to print, in order.
    """
    try:
        yield
    except SystemExit:
        if asks_for_help(arguments):
            for title, describe in lists.items():
                print(f"\n{title}:", *describe(), sep="\n  ")
        raise
