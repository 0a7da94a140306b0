"""Ranges and choices as they are written, and as settings take them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from rnas.errors import ConfigError
from rnas.tuning.space import Dimension, parse_dimension, parse_space


@pytest.mark.parametrize(
    ("spec", "dimension"),
    {
        "40%..95%": Dimension("x", low=40, high=95, step=1, unit="%"),
        "40.0%..95%": Dimension("x", low=40, high=95, unit="%"),
        "0.01..0.2:log": Dimension("x", low=0.01, high=0.2, log=True),
        "1e-4 .. 1e-2": Dimension("x", low=1e-4, high=1e-2),
        "2..8": Dimension("x", low=2, high=8, step=1),
        "4..16:step=4": Dimension("x", low=4, high=16, step=4),
        "0..1:step=0.25": Dimension("x", low=0, high=1, step=0.25),
        "4/255..16/255": Dimension("x", low=4, high=16, step=1, unit="/255"),
        "1..64:log": Dimension("x", low=1, high=64, step=1, log=True),
        "rnas,largest": Dimension("x", ("rnas", "largest")),
        "null, 0.5,2": Dimension("x", (None, 0.5, 2)),
        "true,false": Dimension("x", (True, False)),
        "0.01..1:log:points=3": Dimension("x", (0.01, 0.1, 1.0)),
        "10%..50%:points=3": Dimension("x", ("10%", "30%", "50%")),
        "1..2:points=5": Dimension("x", (1, 2)),
    }.items(),
)
def test_what_is_written_is_what_is_meant(spec: str, dimension: Dimension) -> None:
    assert parse_dimension("x", spec) == dimension


def test_lists_are_choices_and_names_give_the_order() -> None:
    space = parse_space({"b": ["1e-4", 2.5, None], "a": "1..3"})
    assert [one.key for one in space] == ["a", "b"]
    assert space[1].choices == ("1e-4", 2.5, None)


@pytest.mark.parametrize(
    ("spec", "values"),
    {
        "1..3": [1, 2, 3],
        "40%..42%": ["40%", "41%", "42%"],
        "4/255..6/255": ["4/255", "5/255", "6/255"],
        "4..16:step=4": [4, 8, 12, 16],
        "0..1:step=0.25": [0, 0.25, 0.5, 0.75, 1],
        "a,b": ["a", "b"],
    }.items(),
)
def test_values_are_those_between_the_ends(spec: str, values: list[object]) -> None:
    dimension = parse_dimension("x", spec)
    assert list(dimension.values()) == values
    assert dimension.size == len(values)


def test_a_number_keeps_four_digits_and_stays_in_its_range() -> None:
    dimension = parse_dimension("x", "0.12344..0.2")
    assert dimension.setting(0.123441) == 0.12344  # 0.1234 would fall out
    assert dimension.setting(0.17777) == 0.1778
    assert dimension.setting(0.15004) == 0.15
    assert dimension.size is None
    assert parse_dimension("x", "40.0%..95%").setting(63.2739) == "63.27%"


def test_the_ends_that_are_tried_hold_the_neighbours_of_whole_numbers() -> None:
    """Of 4..16 a setting that takes even numbers takes both ends; only 5 tells."""
    assert set(parse_dimension("x", "4..16").ends()) == {4, 5, 15, 16}
    assert set(parse_dimension("x", "4..16:step=2").ends()) == {4, 6, 14, 16}


@pytest.mark.parametrize(
    ("spec", "says"),
    {
        "": "expected a range",
        "5..2": "the lower one",
        "2..2": "the lower one",
        "0..1:log": "above 0",
        "40%..0.9": "one unit",
        "4/255..8/256": "one unit",
        "4/0..8/0": "over one above 0",
        "0.5/255..1/255": "whole numbers over one",
        "1..10:step=4": "whole steps",
        "1..10:step=-1": "a step above 0",
        "1..10:log:step=3": "not both",
        "1..10:points=1": "2 to",
        "1..10:point=3": ":points=5",
        "1..10:log=2": ":log",
        "1..10:step=1:points=3": "not both",
        "a..b": "expected a range",
        "rnas": "two values or more",
        "rnas,rnas": "each value once",
        "1,1": "each value once",
        "a,,b": "an empty one",
        "1e400..1e500": "the lower one",
    }.items(),
)
def test_what_cannot_be_meant_is_told_in_a_line_with_its_setting(spec: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"^space: x: ") as error:
        parse_dimension("x", spec)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spec", [None, 3, 0.5, {"a": 1}, [], [1], [[1], [2]], [{}, 1]])
def test_what_is_no_text_and_no_list_of_words_is_refused(spec: object) -> None:
    with pytest.raises(ConfigError, match=r"^space: x: "):
        parse_dimension("x", spec)


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one --space"):
        parse_space({})


def test_log_points_are_evenly_spaced_by_their_logarithm() -> None:
    values = [value for value in parse_dimension("x", "0.01..0.16:log:points=5").choices if isinstance(value, float)]
    ratios = [math.log(above / below) for below, above in pairwise(values)]
    assert ratios == pytest.approx([math.log(2)] * 4, rel=1e-6)
