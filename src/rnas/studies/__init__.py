"""The paper's tables and figures as commands: what each consists of, how much is spent on it, and its repetition."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily
from rnas.studies.config import ReproduceCommand, budget_file, budget_names

if TYPE_CHECKING:
    from rnas.studies.plan import STUDIES
    from rnas.studies.running import run_study, tabulate_study
else:
    __getattr__, __dir__ = lazily(__name__, {"plan": ("STUDIES",), "running": ("run_study", "tabulate_study")})

__all__ = ["STUDIES", "ReproduceCommand", "budget_file", "budget_names", "run_study", "tabulate_study"]
