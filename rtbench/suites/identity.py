"""The identity of cells and runs: SHA-256 over the canonical JSON of everything that changes a result.

Numbers that are equal are written equally (1.0 as 1), so that a value typed with or without a decimal point names the
same run. Labels, titles, a suite's name, wall limits and retries are no part of `Cell.data()`, hence none of identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from rtbench.cell import Cell
from rtbench.parts import canonical_json


def digest(data: Any) -> str:
    """SHA-256 (hex) of JSON data; integral floats count as integers, NaN and infinities raise ValueError."""
    return hashlib.sha256(canonical_json(_plain(data)).encode()).hexdigest()


def cell_id(cell: Cell) -> str:
    """The name of a cell: 64 hexadecimal digits."""
    return digest(cell.data())


def run_id(cell: Cell, seed: int) -> str:
    """The name of a run, which is a cell with a seed: 64 hexadecimal digits."""
    return run_id_of(cell.data(), seed)


def run_id_of(cell_data: Mapping[str, Any], seed: int) -> str:
    """The same from `Cell.data()` as JSON gives it back, without any part being installed."""
    return digest({**cell_data, "seed": seed})


def run_ids(cell: Cell, seeds: tuple[int, ...]) -> tuple[str, ...]:
    """The names of all runs of a cell; the cell is turned into data only once."""
    data = _plain(cell.data())
    return tuple(hashlib.sha256(canonical_json({**data, "seed": seed}).encode()).hexdigest() for seed in seeds)


def _plain(value: Any) -> Any:
    if isinstance(value, str | int):  # most values; asking whether they are mappings would cost more than all else
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        if set(map(type, value)) == {float}:  # curves
            return [int(number) if number.is_integer() else number for number in value]
        return [_plain(inner) for inner in value]
    return value
