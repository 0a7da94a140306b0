"""Distances as the papers write them."""

import copy

import pytest

from rnas.config import Distance, require
from rnas.errors import ConfigError


def test_distance_reads_fractions_and_prints_as_written() -> None:
    assert Distance("8/255") == 8 / 255
    assert str(Distance("8/255")) == "8/255"
    assert str(copy.deepcopy(Distance("8/255"))) == "8/255"
    assert Distance(0.5) == 0.5
    assert Distance("0.1") == 0.1


@pytest.mark.parametrize("text", ["", "x", "-1/255", "8/0", "nan", "inf", float("nan"), -0.1])
def test_distance_refuses_what_is_none(text: str | float) -> None:
    with pytest.raises(ConfigError, match="got"):
        Distance(text)


def test_require_names_key_expectation_and_value() -> None:
    require(True, "steps", "an integer > 0", 3)
    with pytest.raises(ConfigError, match=r"^steps: expected an integer > 0, got 0$"):
        require(False, "steps", "an integer > 0", 0)
