"""The command line: what stands before the command's own work, and errors as one line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from itertools import pairwise

from rnas import __version__, plugins
from rnas.config import check_text
from rnas.errors import ConfigError, RnasError, nearest
from rnas.terminal import one_line

__all__ = ["COMMANDS", "main"]

HELP = """\
usage: rnas COMMAND ...

Find and prove adversarially robust neural networks.

commands:
  run RECIPE         search, train, attack and report: smoke, quickstart, small-cifar10 or paper-cifar10
  search             search for a robust architecture under a bound on its vulnerability, or in another way
                     (rnas search --help lists all algorithms)
  tune RECIPE        repeat a recipe with other settings, trial by trial; show which trials no other dominates
                     (rnas tune --help lists samplers and objectives)
  reproduce STUDY    repeat table1 to table4 or figure1 to figure3 of the paper: its numbers beside ours
  benchmark NAME     repeat a search, and look up in NAS-RobBench-201 what it finds
  train              train a found architecture, or a network of the zoo by name
  evaluate MODEL ... attack networks: run directories, zoo weights, TorchScript, torch.export, module:function
                     (rnas evaluate --help lists all attacks)
  certify MODEL ...  prove that no image within a distance changes the class: bounds, or randomised smoothing
                     (rnas certify --help lists all methods)
  vulnerability MODEL ...  measure and plot how far an attack moves each layer's feature maps
  report RUN         write the page and the figures of a run
  export RUN         write a trained network as a torch.export program, as ONNX, and its model card
  zoo [NETWORK]      list all networks of the paper's tables; show one and draw its cells
  doctor             look at this installation and this machine, and say what to type about each problem
  completion SHELL   print what completes commands, settings and names in bash or zsh

Every command has --help, which shows the settings that one changes; --help all shows the rest. Those that have settings
take --print_config and --config FILE, and --plugin MODULE: a module or a .py file of your own that registers networks,
search algorithms, attacks, objectives or metrics; repeatable.
A killed run is continued by the same command; run, tune, search, train and benchmark also by --resume RUN alone.
"""


#: Commands, each a function of that name in `rnas.commands.doors`.
COMMANDS = (
    *("run", "tune", "search", "reproduce", "benchmark", "train"),
    *("evaluate", "certify", "vulnerability", "report", "export", "zoo"),
)

#: Commands that look at the installation, each a function of that name in a module of that name; they need no parser.
DIRECT = ("doctor", "completion")

#: Commands that torchrun may start in several processes.
DIVIDED = ("search", "train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; None for this process's own.

    Returns:
        0; or 2 after an error that the user can mend, told in one line; or 130 after Ctrl-C; or 1 where `rnas doctor`
        found a problem.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        for before, word in pairwise(["command", *given]):
            key, equals, _ = word.partition("=")
            check_text(key if equals and key.startswith("--") else before, word)
        named, given = plugins.taken(given)
        command, *rest = given or ["--help"]
        if command in ("-h", "--help"):
            print(HELP, end="")
        elif command == "--version":
            print(__version__)
        elif command.partition("=")[0] == "--resume":
            raise ConfigError(f"expected a command before --resume, such as rnas run {' '.join(given)}")
        elif command in DIRECT:
            plugins.load(named)
            code: int = getattr(importlib.import_module(f"rnas.commands.{command}"), command)(rest)
            return code
        elif command in COMMANDS:
            perform(command, rest, named)
        else:
            raise ConfigError(f"no command is called {command!r}{nearest(command, (*COMMANDS, *DIRECT))}")
    except RnasError as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    except UnicodeError as error:
        return fail(f"a name or a text is not UTF-8: {error}")
    except (RuntimeError, MemoryError) as error:
        if (told := out_of_memory(error)) is None:
            raise
        return fail(told)
    except KeyboardInterrupt:
        print("rnas: interrupted; the same command continues from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def perform(command: str, arguments: list[str], named: list[str]) -> None:
    """Do what a command says, with the plug-ins that it names."""
    # Here, for it takes several times as long as all before: help and slips in a command's name are told at once.
    from jsonargparse import ArgumentError

    from rnas import parallel
    from rnas.commands import doors

    with parallel.launched() as several:
        if several and command not in DIVIDED:
            raise ConfigError(f"rnas {command} runs in one process; these run in several: {', '.join(DIVIDED)}")
        plugins.load(named)
        plugins.load_installed()
        try:
            getattr(doors, command)(arguments)
        except ArgumentError as error:
            raise ConfigError(error.message) from error


def out_of_memory(error: Exception) -> str | None:
    """Say in a line what to do when memory is used up; None for any other error.

    numpy's, Python's and Arrow's errors are MemoryErrors. torch raises a RuntimeError, without a class of its own on a
    CPU; torch may not be imported here.
    """
    advice = "choose a smaller batch_size, fewer images or a smaller network, then the same command continues"
    if type(error).__name__ == "OutOfMemoryError":
        return f"the device is out of memory: {advice}"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error) or "not enough memory" in str(error):
        return f"this machine is out of memory: {advice}"
    return None


def fail(message: str) -> int:
    """Print why a command ends, in one line that a terminal may be sent; returns the exit code."""
    print(one_line(f"rnas: error: {message}"), file=sys.stderr)
    return 2
