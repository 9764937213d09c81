"""Conversion looks once at rows of a known shape; what it answers is what each column's own conversion would."""

from __future__ import annotations

import math
from typing import Any

from helpers.samples import hand_row
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.errors import InvalidResults
from rtbench.results.columns import BY_NAME
from rtbench.results.values import convert

NUMBER = st.one_of(st.integers(-5, 5), st.floats(), st.floats(-2, 2), st.none(), st.booleans())
LIST = st.lists(NUMBER, max_size=3) | st.lists(st.integers(-5, 5), max_size=3) | st.lists(st.floats(-2, 2), max_size=3)
MAP = st.dictionaries(st.sampled_from(["b/b", "a/a", "c/c"]), NUMBER | st.text(max_size=1), max_size=3)
ANYTHING = st.one_of(NUMBER, st.just(1e308), st.text(max_size=3), LIST, MAP)
ROW = hand_row()
SCALARS = ("seed", "eval_return_final", "wall_s", "cpu", "dirty", "run_id")
CHANGES = st.one_of(
    st.dictionaries(st.sampled_from(["eval_step", "eval_return"]), LIST, min_size=1),
    st.dictionaries(st.sampled_from([*SCALARS, "eval_step"]), ANYTHING, max_size=2),
    st.fixed_dictionaries({"extras": MAP}),
)


def naive(name: str, value: Any) -> Any:
    """What a value becomes in a column; ValueError if it does not fit. Written from the table of types alone."""
    kind = BY_NAME[name].type
    if kind == "map":
        return {key: None if value[key] is None else one("float", value[key]) for key in sorted(value or {})}
    if value is None:
        return None
    if kind in ("ints", "floats"):
        if not isinstance(value, list) or None in value:
            raise ValueError
        return [one(kind[:-1], inner) for inner in value]
    return one(kind, value)


def one(kind: str, value: Any) -> Any:
    fits = {"string": str, "int": int, "float": (int, float), "bool": bool}[kind]
    if not isinstance(value, fits) or (isinstance(value, bool) and kind != "bool"):
        raise ValueError
    if kind == "float":
        if not math.isfinite(value):
            raise ValueError
        return float(value)
    return value


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_any_row_is_converted_or_refused_as_column_by_column(changes: dict[str, Any]) -> None:
    row = {**ROW, **changes}
    try:
        expected = {name: naive(name, row[name]) for name in BY_NAME}
    except ValueError:
        try:
            found = convert(row, "here")
        except InvalidResults:
            return
        raise AssertionError(f"{changes} passed as {found}") from None
    found = convert(row, "here")
    assert found == expected
    assert repr(found) == repr(expected)  # 1 is not 1.0 and True is not 1 here, and maps are sorted


def test_absent_columns_are_none_and_rows_share_no_extras() -> None:
    one_row, other = convert({"seed": 1}, ""), convert({"seed": 2}, "")
    one_row["extras"]["a/b"] = 1.0
    assert other["extras"] == {}
    assert list(other) == list(BY_NAME)
    assert other["status"] is None
