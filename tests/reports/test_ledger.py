"""CSV cells that no spreadsheet takes for a formula, and numbers that stay numbers."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from rnas.reports.ledger import csv_text, written

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cells(*values: object) -> list[str]:
    text = csv_text([{str(index): value for index, value in enumerate(values)}])
    return list(csv.reader(io.StringIO(text, newline="")))[1]


def test_formulas_become_text_and_numbers_stay_numbers() -> None:
    assert cells("=HYPERLINK(1)", "+x", "-y", "@z", "\tw") == ["'=HYPERLINK(1)", "'+x", "'-y", "'@z", "'\tw"]
    assert cells(-0.5, "-0.5", "+1e-3", 3, None, True, "a=b") == ["-0.5", "-0.5", "+1e-3", "3", "", "True", "a=b"]


@given(st.text(alphabet="=+-@'\t a1."))
def test_no_text_begins_a_formula_and_every_text_is_told_from_the_others(text: str) -> None:
    (cell,) = cells(text)
    try:
        float(text)
    except ValueError:
        assert not cell.startswith(FORMULAS)
    assert written(cell) == text
