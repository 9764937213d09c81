"""Values of a row brought to the exact type of their column: text, integers, finite floats, lists, maps."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.results.columns import BY_NAME


def convert(given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Every column's value in its exact type, absent ones None; InvalidResults naming the column that does not fit.

    Unknown columns are errors that name the nearest known one.
    """
    row: dict[str, Any] = dict.fromkeys(BY_NAME)
    name = ""
    try:
        for name, value in given.items():
            row[name] = _COLUMNS[name](value)
    except _WrongType as error:
        raise InvalidResults(f"column {name!r} must be {error}, got {given[name]!r}", place=place) from None
    except KeyError:
        raise InvalidResults(
            f"unknown column {name!r}",
            place=place,
            given=name,
            allowed=difflib.get_close_matches(name, BY_NAME, n=3),
            hint="rows of a newer rtbench need that rtbench",
        ) from None
    row["extras"] = row["extras"] or {}
    return row


class _WrongType(Exception):
    """A value does not fit its column; the text says what would."""


def _string(value: Any) -> Any:
    if value is None or type(value) is str:
        return value
    raise _WrongType("text")


def _int(value: Any) -> Any:
    if value is None or type(value) is int:
        return value
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):  # NumPy's integers
        return int(value)
    raise _WrongType("an integer")


def _float(value: Any) -> Any:
    if value is None:
        return None
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        raise _WrongType("a number")
    if not math.isfinite(value):
        raise _WrongType("a finite number (leave it out if there is none)")
    return float(value)


def _bool(value: Any) -> Any:
    if value is None or type(value) is bool:
        return value
    raise _WrongType("true or false")


def _list(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert_list(values: Any) -> Any:
        if values is None:
            return None
        if isinstance(values, list | tuple) and None not in values:
            return [function(value) for value in values]
        raise _WrongType("a list without gaps")

    return convert_list


def _map(value: Any) -> Any:
    if not value:
        return {}
    pairs: Iterable[tuple[str, Any]] = value.items() if isinstance(value, Mapping) else value
    return {str(key): _float(inner) for key, inner in sorted(pairs)}


_BY_TYPE: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "ints": _list(_int),
    "floats": _list(_float),
    "map": _map,
}
_COLUMNS = {name: _BY_TYPE[column.type] for name, column in BY_NAME.items()}
