"""`rnas completion SHELL`: a script that completes commands, settings and names in bash and zsh.

The script is made of what is registered when it is printed, so that a shell need not start Python for each tab.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rnas.errors import ConfigError, nearest
from rnas.terminal import tell

__all__ = ["completion", "script"]

SHELLS = ("bash", "zsh")

#: Besides those of `KINDS`.
WITHOUT_SETTINGS = ("report", "doctor", "completion")

HELP = """\
usage: rnas completion bash|zsh

Print a script that completes commands, settings and names. Of bash, in ~/.bashrc, or of zsh, in ~/.zshrc:

  eval "$(rnas completion bash)"
  eval "$(rnas completion zsh)"
"""

#: zsh runs completions of bash.
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"

FRAME = """\
_rnas() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  else
    case "$previous" in
{values}
    esac
    if [ -z "$words" ]; then
      case "${{COMP_WORDS[1]}}" in
{settings}
      esac
    fi
  fi
  # Of a list the names before the last comma stay.
  local before=""
  case "$previous:$current" in --*.attacks:*,*|--*.methods:*,*|--metrics:*,*)
    before="${{current%,*}},"; current="${{current##*,}}";;
  esac
  COMPREPLY=($(compgen -P "$before" -W "$words" -- "$current"))
}}
complete -o default -o nosort -F _rnas rnas 2>/dev/null || complete -o default -F _rnas rnas
"""


def completion(arguments: Sequence[str]) -> int:
    """`rnas completion SHELL`: the script.

    Raises:
        ConfigError: if there is no such shell.
    """
    if list(arguments) in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        came = " ".join(arguments) or "none"
        raise ConfigError(f"expected a shell: rnas completion bash|zsh, got {came}{nearest(came, SHELLS)}")
    tell(script(arguments[0]).rstrip("\n"))
    return 0


def script(shell: str) -> str:
    """The script of a shell, "bash" or "zsh"."""
    from rnas.arguments import import_algorithms, known_keys
    from rnas.commands.kinds import KINDS
    from rnas.search.extending import extended

    import_algorithms()
    settings, commands = [], (*KINDS, *WITHOUT_SETTINGS)
    for command in commands:
        words = first_words(command)
        if command in KINDS:
            kind = KINDS[command]
            keys = [*known_keys(extended(kind.settings)), "config", "print_config", "plugin", "help"]
            words += [f"--{key}" for key in (*keys, *(["resume"] if kind.resumable else []))]
        settings.append(case(command, words, indent=8))
    values = [case(option, words, indent=6) for option, words in names().items()]
    frame = FRAME.format(commands=" ".join(commands), values="\n".join(values), settings="\n".join(settings))
    return (ZSH if shell == "zsh" else "") + frame


def first_words(command: str) -> list[str]:
    """What may stand after a command before its settings, where that has names."""
    from rnas.networks.cards import known_cards
    from rnas.recipes import recipe_names
    from rnas.search.algorithm import ALGORITHMS
    from rnas.studies import STUDIES

    choices: dict[str, Iterable[str]] = {
        "run": recipe_names(),
        "tune": recipe_names(),
        "reproduce": STUDIES,
        "benchmark": ALGORITHMS,
        "zoo": known_cards(),
        "completion": SHELLS,
    }
    return sorted(choices.get(command, ()))


def names() -> dict[str, list[str]]:
    """For options that take a name, or several, what can be named; several options of one kind with bars between."""
    from rnas.certification.card import CERTIFIERS
    from rnas.evaluation import ATTACKS
    from rnas.executors import ENGINES
    from rnas.hypergradients import HYPERGRADIENTS
    from rnas.networks.cards import known_cards
    from rnas.objectives import OBJECTIVES
    from rnas.scores import SCORES
    from rnas.search.algorithm import ALGORITHMS
    from rnas.search.projection import SOLVERS
    from rnas.studies import budget_names
    from rnas.supernets.space import SPACES
    from rnas.tuning.samplers import SAMPLERS
    from rnas.vulnerability import METRICS

    choices: dict[str, Iterable[str]] = {
        "--search.algorithm": ALGORITHMS,
        "--search.space": SPACES,
        "--search.hypergradient": HYPERGRADIENTS,
        "--search.score.name": SCORES,
        "--search.constraint.metric|--search.shortlist.metric|--metrics": METRICS,
        "--search.constraint.solver": SOLVERS,
        "--network|--network.name|--baseline|--baseline.name": known_cards(),
        "--training.objective": OBJECTIVES,
        "--evaluation.attacks": ATTACKS,
        "--certification.methods": CERTIFIERS,
        "--engine": ENGINES,
        "--sampler": SAMPLERS,
        "--budget": budget_names(),
        "--data|--data.source": ("digits", "cifar10", "cifar100", "svhn"),
        "--device": ("auto", "cpu", "cuda"),
        "--help": ("all",),
    }
    return {option: sorted(words) for option, words in choices.items()}


def case(pattern: str, words: Iterable[str], *, indent: int) -> str:
    """One line of a case."""
    return f'{" " * indent}{pattern}) words="{" ".join(words)}";;'
