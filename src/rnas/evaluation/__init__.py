"""How robust a network is: attack suites, outcomes per image, robust accuracy with its interval.

In the order in which things happen: `card`, `attack_cards`, `suite` and `config` (what is asked), `inputs` (what is
refused), `evaluator` (`evaluate`) and `session` (its loop), `watched` (the model, whatever it does), `outcomes` and
`fingerprints` (what is recorded, and of what), `sanity` (whether to believe it), `summary` (what is reported). The
first four come without torch; the rest is imported when it is first used.
"""

from typing import TYPE_CHECKING

from rnas.evaluation.config import EvaluationConfig, EvaluationSettings
from rnas.evaluation.suite import ATTACKS
from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.evaluation.evaluator import evaluate
    from rnas.evaluation.outcomes import Outcomes, read_outcomes
    from rnas.evaluation.summary import Evaluation
    from rnas.run.attack_results import Check

__all__ = [
    "EvaluationConfig",
    "EvaluationSettings",
    "ATTACKS",
    "Check",
    "evaluate",
    "Evaluation",
    "Outcomes",
    "read_outcomes",
]

__getattr__ = lazily(
    __name__,
    {
        "Check": "sanity",
        "evaluate": "evaluator",
        "Evaluation": "summary",
        "Outcomes": "outcomes",
        "read_outcomes": "outcomes",
    },
)
