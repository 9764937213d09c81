"""Values of a row brought to the exact type of their column: text, integers, finite floats, lists, maps."""

from __future__ import annotations

import difflib
import functools
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.results.columns import BY_NAME


def convert(given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Every column's value in its exact type, absent ones None; InvalidResults naming the column that does not fit.

    Unknown columns are errors that name the nearest known one. Lists that are right already are not copied.
    """
    shape = _shape(tuple(given), tuple(map(type, given.values())))
    if shape is not None and shape.right(given):
        return {**_ABSENT, "extras": {}, **given}
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
_ABSENT: dict[str, Any] = dict.fromkeys(BY_NAME)

_EXACT: dict[str, type] = {
    "string": str,
    "int": int,
    "float": float,
    "bool": bool,
    "ints": list,
    "floats": list,
    "map": dict,
}


@dataclass(frozen=True)
class _Shape:
    """Rows with the same columns of the same, right types; only what is in lists and maps is not known yet."""

    floats: Callable[[Mapping[str, Any]], tuple[float, ...]]
    lists: tuple[tuple[str, set[type]], ...]

    def right(self, row: Mapping[str, Any]) -> bool:
        """True if every value is what `convert` would make of it; False only says that one has to look closer."""
        if row.get("extras"):
            return False
        numbers_in = list(self.floats(row))
        for name, types in self.lists:
            if not types.issuperset(map(type, row[name])):
                return False
            numbers_in += row[name]
        return math.isfinite(sum(numbers_in))  # an infinity or NaN stays in a sum


@functools.lru_cache(maxsize=256)
def _shape(names: tuple[str, ...], types: tuple[type, ...]) -> _Shape | None:
    """The shape of rows with these columns and types; None if a column is unknown or a value may need converting."""
    found = dict(zip(names, types, strict=True))
    for name, type_ in found.items():
        if name not in BY_NAME or type_ not in (_EXACT[BY_NAME[name].type], type(None)):
            return None
    if found.get("extras") is type(None):
        return None
    floats = [name for name, type_ in found.items() if type_ is float]
    lists: tuple[tuple[str, set[type]], ...] = tuple(
        (name, {int if BY_NAME[name].type == "ints" else float}) for name in found if found[name] is list
    )
    # itemgetter of one name answers no tuple
    get: Callable[[Mapping[str, Any]], Any] = (
        itemgetter(*floats) if len(floats) > 1 else lambda row: [row[name] for name in floats]
    )
    return _Shape(get, lists)
