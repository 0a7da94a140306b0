"""Answer a wrong command line: the parser's errors in one line, and the setting that was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from rnas.terminal import shorten

__all__ = ["explain", "meant"]

#: How others call it, and how the setting is called here; the longest path that a command has is the one named.
SYNONYMS = {
    "learning_rate": ("lr", "rate"),
    "batch_size": ("bs", "batch", "batchsize"),
    "weight_decay": ("wd", "decay"),
    "epochs": ("epoch", "num_epochs", "n_epochs"),
    "eps": ("epsilon", "radius"),
    "step_size": ("stepsize", "eps_step"),
    "network.name": ("model", "net", "arch", "architecture", "name"),
    "models": ("model", "networks"),
    "data": ("dataset", "data_dir", "data_path", "data_root", "images"),
    "out": ("output", "output_dir", "out_dir", "save_dir", "log_dir", "folder", "dir", "run"),
    "device": ("gpu", "gpus", "cuda", "accelerator"),
    "threads": ("cpus", "cores", "num_threads", "workers", "num_workers", "jobs"),
    "seed": ("random_seed", "manual_seed"),
    "objective": ("loss", "method"),
    "algorithm": ("method", "search_algorithm"),
    "attacks": ("attack",),
}

#: What a command takes without a name, as its usage writes it, and the settings that others would give it by.
UNNAMED = {
    "MODEL": ("model", "models", "network", "networks", "net", "checkpoint", "weights", "run", "runs"),
    "RUN": ("run", "run_dir", "model", "network", "folder", "checkpoint"),
    "RECIPE": ("recipe", "name"),
    "STUDY": ("study", "table", "figure", "name"),
    "ALGORITHM": ("algorithm", "method", "name"),
    "[NETWORK]": ("network", "model", "name"),
}


def explain(message: str, known: list[str], arguments: Sequence[str] = (), usage: str = "") -> str:
    """A parser's error in one line, with the nearest setting where one is unknown.

    Args:
        message: the parser's.
        known: all settings of the command.
        arguments: the command line, which the parser repeats without its limits between words.
        usage: how the command is called, such as "rnas evaluate MODEL ...".
    """
    if message.startswith("unrecognized arguments: "):
        text = message.partition(": ")[2]
        left = [word for word in arguments if word in text]
        first = next((place for place, word in enumerate(left) if text.startswith(word) and word.strip()), 0)
        return unknown(left[first:] or text.split() or [text], known, usage)
    if message.startswith("Unexpected config:"):
        came = shorten(message.partition(":")[2].strip())
        return f"config: expected settings by name, such as seed: 0, got {came!r}"
    if found := re.match(r"argument (?:-\w/)?--([\w.]+)", message):
        return f"{found[1]}: {message[found.end() :].lstrip(': ')}"
    if found := re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", message):
        return explain(f"unrecognized arguments: --{found[1]}.{found[2]}", known, usage=usage)
    if found := re.search(r"Option '([\w.]+)' is not accepted", message):
        return explain(f"unrecognized arguments: --{found[1]}", known, usage=usage)
    if found := re.search(r"Parser key \"([\w.]+)\":.*NestedArg\(key='(\w+)'", message, re.DOTALL):
        return explain(f"unrecognized arguments: --{found[1]}.{found[2]}", known, usage=usage)
    if found := re.search(r'Parser key "([\w.]+)":\s*(.*)', message, re.DOTALL):
        return f"{found[1]}: {refused(found[2])}"
    return message


def refused(message: str) -> str:
    """Shorten what the parser says of one value, a list of all types it tried, to what was expected and what came."""
    if "'NestedArg'" in message:
        return "it has no settings of its own"
    if own := re.search(r"Not of type \w+: (expected .*)", message):
        return own[1]  # our own types say it best
    if long := re.search(r"integer string conversion: value has (\d+) digits", message):
        return f"expected a number that is smaller, got one of {long[1]} digits"
    if loaded := re.match(r"Unable to load config ['\"](.*?)['\"]\s*(?:$|\n)", message, re.DOTALL):
        return f"expected a file of settings, or settings such as {{name: value}}, got {shorten(loaded[1])!r}"
    expected = re.findall(r"Expected an? ([^.]*?)(?:\.|$|\n)", message)
    came = re.search(r"(?:Given value|Got value): (.*)", message)
    if expected and came:
        types = " or ".join(re.sub(r"<class '(\w+)'>", r"\1", word).replace("NoneType", "null") for word in expected)
        return f"expected {types}, got {shorten(came[1].strip())!r}"
    return message


def unknown(words: list[str], known: list[str], usage: str) -> str:
    """Answer arguments that no setting takes, by the first of them that looks like one."""
    place = next((index for index, word in enumerate(words) if word.startswith("--")), 0)
    word = words[place]
    if not word.startswith("-"):
        return f"{shorten(word)!r} is no setting: settings begin with --, what a command takes besides them comes first"
    key, _, value = word.removeprefix("--").partition("=")
    value = value or (words[place + 1] if place + 1 < len(words) else "")
    if any(key.lower() in UNNAMED.get(taken, ()) for taken in usage.split()):
        return f"no setting is called {shorten(word)!r}: it comes first and without a name, {usage}"
    choices = [f"--{name}{in_levels(name, value)}" for name in meant(key, known)]
    hint = f"; did you mean {' or '.join(choices)}?" if choices else ""
    return f"no setting is called {shorten(word)!r}{hint} (--help all lists them)"


def meant(key: str, known: list[str]) -> list[str]:
    """The settings that a wrong name may mean, at most three, the most probable first.

    Args:
        key: without its dashes, for example ``"lr"`` or ``"training.epoch"``.
        known: all settings.
    """
    key = key.replace("-", "_").lower()
    head, dot, last = key.rpartition(".")
    if inside := [name for name in known if key in (name, name.rpartition(".")[2]) or name.endswith(f".{key}")]:
        return sorted(inside, key=depth)[:3]
    ends = [name for name, others in SYNONYMS.items() if last in others]
    if synonyms := [
        name for end in ends for name in known if name == head + dot + end or (not dot and name.endswith(f".{end}"))
    ]:
        return sorted(synonyms, key=depth)[:3]
    return difflib.get_close_matches(key[:100], known, n=1, cutoff=0.4)


def depth(name: str) -> int:
    return name.count(".")


def in_levels(name: str, value: str) -> str:
    """A distance that was given in grey levels, as it is to be written here; nothing for anything else."""
    levels = name.endswith(("eps", "step_size")) and re.fullmatch(r"\d{1,3}", value) and 1 < int(value) <= 255
    return f" {value}/255" if levels else ""
