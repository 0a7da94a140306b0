"""All attacks: importing a module registers those in it. A line each; none of them may import torch before it runs."""
# ruff: noqa: F401 - they register

import rnas.evaluation.suite
