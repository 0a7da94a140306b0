"""Hostile JSON and YAML end in one line, whatever they are; sound ones are read as they are."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from rnas.documents import DEPTH, PARTS, check_yaml, parse_json, parse_object
from rnas.errors import RunError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"a": "\xff"}', "it is damaged: not UTF-8 text (byte 7)"),
        ("{", "it is damaged: not JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
        ("[" * 100_000, "it is damaged: lists or objects nested too deeply"),
        ('{"a":' * 100_000, "it is damaged: lists or objects nested too deeply"),
        ("9" * 5000, "it is damaged: 99999999999999999999... of 5000 digits is no number that it may hold"),
        (str(10**400), "it is damaged: 10000000000000000000... of 401 digits is no number that it may hold"),
        (f"-{2**64}", "it is damaged: -18446744073709551616 is no number that it may hold"),
        ("1e400", "it is damaged: 1e400 is no number that it may hold"),
        ("[NaN]", "it is damaged: NaN is no number that it may hold"),
        ("-Infinity", "it is damaged: -Infinity is no number that it may hold"),
    ],
)
def test_hostile_json(text: bytes | str, told: str) -> None:
    with pytest.raises(RunError, match=f"^{re.escape(told)}$"):
        parse_json(text, "it")


def test_sound_json_is_read_exactly() -> None:
    document = {"seed": 2**64 - 1, "least": 1 - 2**64, "rate": 1e-300, "names": ["é", None, True], "deep": [[[[{}]]]]}
    assert parse_object(json.dumps(document).encode(), "it") == document
    assert parse_json("[Infinity, 1e400]", "it", finite=False) == [float("inf")] * 2
    with pytest.raises(RunError, match="expected a JSON object, got list"):
        parse_object("[]", "it")


def bomb(levels: int, each: int) -> str:
    lines = ["a0: &a0 x"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * each)}]" for level in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 3000 + "]" * 3000, f"nested more than {DEPTH} deep"),
        ("- " * 3000 + "x", f"nested more than {DEPTH} deep"),
        (bomb(10, 10), f"more than {PARTS:,} parts"),
        ("[" + "1, " * PARTS + "1]", f"more than {PARTS:,} parts"),
        ("a: [1", "it is not YAML"),
        ("a: *b", "it is not YAML"),
        ("\0", "it is not YAML"),
        ("!!python/object/apply:os.system [x]\n--- [", "it is not YAML"),
    ],
)
def test_hostile_yaml(text: str, told: str) -> None:
    with pytest.raises(RunError, match=re.escape(told)) as error:
        check_yaml(text, "it")
    assert "\n" not in str(error.value)


def test_sound_yaml_passes_with_names_for_repeated_parts() -> None:
    check_yaml(yaml.safe_dump({"data": {"source": "digits"}, "attacks": ["fgsm", "pgd20"], "seed": 0}), "it")
    check_yaml("attack: &attack {eps: 8/255, steps: 7}\nsearch: {attack: *attack}\ntraining: {attack: *attack}", "it")
    check_yaml("", "it")
