"""All methods of certification: importing a module registers those in it. None may import torch before it runs."""
# ruff: noqa: F401 - they register

import rnas.certification.cards
