"""What the site needs beyond Sphinx: settings of commands, names that can be chosen, formulas without network.

The directives ask the package itself when the site is built, so that no option and no name is written twice.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, get_args

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from rnas.arguments import import_algorithms, parser_for
from rnas.certification.card import describe_certifiers
from rnas.commands.kinds import KINDS
from rnas.evaluation.suite import describe_attacks
from rnas.networks.cards import NETWORKS
from rnas.search.extending import extended
from rnas.search.listing import describe_algorithms
from rnas.studies.config import budget_names
from rnas.tuning.objectives import describe_objectives as tuning_objectives
from rnas.tuning.samplers import describe_samplers

#: Of every command the same; the page of commands tells them once.
COMMON = {"help", "config", "print_config", "resume", "plugin"}
OBJECTIVES = Path(__file__).parents[1] / "src" / "rnas" / "objectives"


class Settings(SphinxDirective):
    """All settings of a command, in the groups of its help: ``{settings} search``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        import_algorithms()  # so that their own settings are known
        return self.parse_text_to_nodes("\n\n".join(settings_of(self.arguments[0])))


def settings_of(command: str) -> list[str]:
    """The settings of a command as paragraphs of Markdown."""
    kind = KINDS[command]
    parser = parser_for(kind.title(command), extended(kind.settings), None, kind.resumable)
    text = [f"```text\nrnas {kind.title(command)} [--setting VALUE ...]\n```"]
    for group in parser._action_groups:
        actions = [one for one in group._group_actions if one.option_strings and one.dest not in COMMON]
        # A group's own option names a file of settings; that is told once too.
        actions = [one for one in actions if one.metavar != "FILE"]
        if not actions:
            continue
        if (group.title or "").rstrip(".") not in (parser.description or ""):
            text.append(f"**{sentence(group.title or '')}**")
        text += [item(one) for one in actions]
    return text


def item(action: Any) -> str:
    """One setting as an item of a list of definitions."""
    default = "" if action.default == "==SUPPRESS==" else f" Default: `{shown(action.default)}`."
    return f"`{action.option_strings[0]}`{of_kind(action)}\n: {sentence(literal(action.help or ''))}{default}"


def of_kind(action: Any) -> str:
    """The type of a setting in italics; nothing where it has none."""
    kind = getattr(action, "_typehint", None)
    if kind is None:
        return ""
    return (
        f" *{kind.__name__ if isinstance(kind, type) and not get_args(kind) else re.sub(r'[a-z_]+[.]', '', str(kind))}*"
    )


def shown(value: object) -> str:
    """A default as one writes it on the command line."""
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value)) or "[]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def literal(text: str) -> str:
    """Help as Markdown: double backticks are reStructuredText's, and names with underscores or brackets are code."""
    return " ".join(text.replace("``", "`").split()).replace("*", r"\*").replace("<", "&lt;")


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return text if not text else f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.:`' else '.'}"


class Names(SphinxDirective):
    """What can be chosen, with a line each: ``{names} attacks``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lines = {
            "algorithms": describe_algorithms,
            "attacks": describe_attacks,
            "certifiers": describe_certifiers,
            "objectives": describe_objectives,
            "networks": lambda: list(NETWORKS),
            "budgets": budget_names,
            "samplers": describe_samplers,
            "measures": tuning_objectives,
        }[self.arguments[0]]()
        items = nodes.bullet_list()
        for line in lines:
            name, _, told = line.strip().partition(" ")
            paragraph = nodes.paragraph("", "", nodes.literal(text=name), nodes.Text(f" {told.strip()}"))
            items += nodes.list_item("", paragraph)
        return [items]


def describe_objectives() -> list[str]:
    """Each training objective with the first line of its file."""
    lines = []
    for path in sorted(OBJECTIVES.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        told = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        lines += [f"{name} {told}" for name in re.findall(r'@OBJECTIVES\.register\("(\w+)"\)', text)]
    return lines


def formula(translator: Any, node: nodes.Element) -> None:
    """A formula in a line as MathML, which browsers set by themselves."""
    translator.body.append(tex2mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def display(translator: Any, node: nodes.Element) -> None:
    """A formula on lines of its own."""
    translator.body.append(f'<div class="math-block">{tex2mathml(node.astext(), as_block=True)}</div>\n')
    raise nodes.SkipNode


def without_substitutions(app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]) -> None:  # noqa: ARG001
    """Docstrings are plain: a bar in them, as in a cell of NAS-Bench-201, is a bar."""
    lines[:] = [line.replace("|", "\\|") if "``" not in line else line for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", without_substitutions, priority=900)
    app.add_directive("settings", Settings)
    app.add_directive("names", Names)
    app.add_html_math_renderer("mathml", (formula, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
