"""What is known of an attack stands on its card, and files from before cards had it are read alike."""

import pytest

from rnas.evaluation import ATTACKS
from rnas.evaluation.config import EvaluationConfig
from rnas.run.attack_results import AttackResult

NAMES = [*ATTACKS, "pgd5", "pgd100x10_margin"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_from_before_has_the_cards_order_and_bound(name: str) -> None:
    card = ATTACKS[name]
    row = {"name": name, "images": 1, "accuracy": 1.0, "low": 0.0, "high": 1.0}
    old = AttackResult.from_json({**row, "settings": card.settings(EvaluationConfig())}, [], "old")
    assert (old.order, old.bounded) == (card.order, card.norm is not None)


def test_a_budget_is_for_autoattack_alone() -> None:
    config = EvaluationConfig(images=100, autoattack_images=10)
    assert {name for name in NAMES if config.images_for(name, 1000) == 10} == {
        *("autoattack", "autoattack_plus", "autoattack_rand"),
        *("autoattack_l2", "autoattack_plus_l2", "autoattack_rand_l2"),
    }
    assert config.images_for("clean", 1000) == 100
    assert config.images_for("corruptions/fog/1", 1000) == 100


def test_black_boxes_are_compared_with_thorough_attacks_only() -> None:
    assert {name for name in NAMES if ATTACKS[name].black_box} == {"square", "square_l2", "transfer"}
    assert not ATTACKS["pgd5"].thorough
    assert ATTACKS["pgd100x10_margin"].thorough
    assert not any(card.black_box and card.thorough for card in map(ATTACKS.__getitem__, NAMES))
