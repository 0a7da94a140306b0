"""How robust a network is: attack suites, outcomes per image, robust accuracy with its interval.

In the order in which things happen: `config`, `card`, `cards` and `suite` (what is asked), `inputs` (what is refused),
`evaluator` (`evaluate`) and `session` (its loop), `watched` (the model, whatever it does), `outcomes` and
`fingerprints` (what is recorded, and of what), `sanity` (whether to believe it), `summary` (what is reported). The
first four come without torch; the rest is imported when it is first used.
"""

from typing import TYPE_CHECKING

from rnas.evaluation.card import AttackCard, Strengths
from rnas.evaluation.config import EvaluationConfig, EvaluationSettings
from rnas.evaluation.suite import ATTACKS
from rnas.lazy import lazily
from rnas.run.attack_results import Check

if TYPE_CHECKING:
    from rnas.evaluation.evaluator import evaluate
    from rnas.evaluation.outcomes import Outcomes, read_outcomes
    from rnas.evaluation.summary import Evaluation
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "evaluator": ("evaluate",),
            "summary": ("Evaluation",),
            "outcomes": ("Outcomes", "read_outcomes"),
        },
    )

__all__ = [
    "EvaluationConfig",
    "EvaluationSettings",
    "ATTACKS",
    "AttackCard",
    "Strengths",
    "Check",
    "evaluate",
    "Evaluation",
    "Outcomes",
    "read_outcomes",
]
