"""A run's row: making one, checking one, its Arrow schema.

A row is a plain dictionary with exactly the columns of `rtbench.results.columns`, so that it is at once JSON, a Parquet
record and what hooks are told. `normal_row` is the only way in: what it returns is complete and has the right types.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rtbench.cell import ID_VERSION, Cell
from rtbench.errors import InvalidResults, PluginError, SuiteError
from rtbench.parts import canonical_json
from rtbench.results.columns import COLUMNS, OUTCOME_COLUMNS, PART_AXES, STATUSES
from rtbench.results.values import convert
from rtbench.suites.identity import cell_id, digest, run_id, run_id_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "OUTCOME_COLUMNS",
    "SCHEMA_VERSION",
    "Row",
    "arrow_schema",
    "cell_data",
    "identity_problem",
    "new_row",
    "normal_row",
    "outcome_difference",
    "row_digest",
    "validate_row",
]

SCHEMA_VERSION = 1
Row = dict[str, Any]
"""Exactly the columns of `COLUMNS`, absent values None; lists for curves, a dictionary for `extras`."""

_GROUPS = {
    "outcome": ("outcome", "scores", "real time", "cost"),
    "machine": ("machine",),
    "provenance": ("provenance",),
}


def new_row(
    cell: Cell,
    seed: int,
    *,
    suite: str,
    suite_revision: int,
    attempt: int,
    outcome: Mapping[str, Any],
    machine: Mapping[str, Any],
    provenance: Mapping[str, Any],
    extras: Mapping[str, float] | None = None,
) -> Row:
    """The row of an attempt at a run: identity and parts from the cell, the rest as given.

    `outcome` may fill the groups outcome, scores, real time and cost (`clock` and `delta` come from the cell),
    `machine` and `provenance` theirs. Raises InvalidResults for a column that is unknown or not of that group.
    """
    row: Row = {
        "schema_version": SCHEMA_VERSION,
        "id_version": ID_VERSION,
        "run_id": run_id(cell, seed),
        "cell_id": cell_id(cell),
        "suite": suite,
        "suite_revision": suite_revision,
        "seed": seed,
        "attempt": attempt,
        "interaction_json": canonical_json(cell.interaction.data()),
        "budget_json": canonical_json(cell.budget.data()),
        "precision": cell.precision,
        "clock": cell.interaction.clock,
        "delta": cell.interaction.delta,
        "extras": dict(extras or {}),
    }
    row |= _part_columns(cell)
    for name, values in (("outcome", outcome), ("machine", machine), ("provenance", provenance)):
        allowed = [column.name for column in COLUMNS if column.group in _GROUPS[name]]
        for key in values:
            if key not in allowed:
                raise InvalidResults(f"{key!r} is no {name} column", given=key, allowed=allowed)
        row |= values
    return normal_row(row)


def _part_columns(cell: Cell) -> Row:
    from rtbench import plugins

    out: Row = {}
    for axis, part in cell.parts.items():
        try:
            source = plugins.sources(part)
        except (
            PluginError,
            SuiteError,
            ImportError,
            ValueError,
        ):  # a run may fail just because its part cannot be found
            source = {"distribution": "", "version": "", "source_digest": ""}
        values = {"name": part.name, "label": part.label, "revision": part.revision, **source}
        out |= {f"{axis}_{key}": value for key, value in values.items()}
        out[f"{axis}_params_json"] = canonical_json(dict(part.params))
    return out


def cell_data(row: Mapping[str, Any]) -> dict[str, Any]:
    """`Cell.data()` as the row has it, without any part being installed; ValueError if its JSON is broken."""
    parts = {
        axis: {
            "name": row[f"{axis}_name"],
            "revision": row[f"{axis}_revision"],
            "params": json.loads(row[f"{axis}_params_json"]),
        }
        for axis in PART_AXES
        if axis not in ("scheduler", "default_policy")  # these two are inside the interaction
    }
    return {
        "id_version": row["id_version"],
        **parts,
        "interaction": json.loads(row["interaction_json"]),
        "precision": row["precision"],
        "budget": json.loads(row["budget_json"]),
    }


def identity_problem(row: Mapping[str, Any]) -> str | None:
    """Why run_id and cell_id are not what the row's own parts give, or None."""
    try:
        data, own_id = _cell_of(_cell_columns_of(row))
    except ValueError as error:
        return f"a JSON column cannot be read: {error}"
    if run_id_of(data, row["seed"]) != row["run_id"]:
        return "run_id is not what its parts, interaction, budget and seed give"
    if own_id != row["cell_id"]:
        return "cell_id is not what its parts, interaction and budget give"
    inside = data["interaction"]
    for axis in ("scheduler", "default_policy"):
        told = {"name": row[f"{axis}_name"], "revision": row[f"{axis}_revision"]}
        if any(inside[axis][key] != value for key, value in told.items()):
            return f"the columns of the {axis} are not what interaction_json says"
    if inside["clock"] != row["clock"] or inside["delta"] != row["delta"]:
        return "clock or delta is not what interaction_json says"
    return None


@functools.lru_cache(maxsize=1024)
def _cell_of(values: tuple[Any, ...]) -> tuple[dict[str, Any], str]:
    """`cell_data` and its digest from the values of `_CELL_COLUMNS`; the seeds of a cell share them."""
    data = cell_data(dict(zip(_CELL_COLUMNS, values, strict=True)))
    return data, digest(data)


def normal_row(given: Mapping[str, Any], *, place: str = "") -> Row:
    """The row with every column, in order, with exact types; InvalidResults naming the column that is wrong."""
    row = convert(given, place)
    validate_row(row, place=place)
    return row


def validate_row(row: Mapping[str, Any], *, place: str = "") -> None:
    """InvalidResults if a required column is absent or a value is outside what its column may hold."""
    if None in _required_of(row):
        name = next(name for name in REQUIRED if row[name] is None)
        raise InvalidResults(f"column {name!r} is missing", place=place)
    if row["schema_version"] > SCHEMA_VERSION:
        raise InvalidResults(
            f"schema version {row['schema_version']} is newer than this rtbench's {SCHEMA_VERSION}",
            place=place,
            hint="update rtbench",
        )
    if row["status"] not in STATUSES:
        raise InvalidResults("unknown status", place=place, given=row["status"], allowed=STATUSES)
    if row["attempt"] < 1:
        raise InvalidResults(f"attempts are counted from 1, got {row['attempt']}", place=place)


def outcome_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The outcome columns in which two rows differ; empty if the runs are exactly equal."""
    return [name for name in OUTCOME_COLUMNS if one.get(name) != other.get(name)]


def row_digest(row: Mapping[str, Any]) -> str:
    """SHA-256 of a row's content; columns without a value do not count, so that added columns change no digest."""
    return digest({name: value for name, value in row.items() if value is not None and value != {}})


def arrow_schema() -> pa.Schema:
    """The explicit Arrow schema of rows, in the order of `COLUMNS`."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "ints": pa.list_(pa.int64()),
        "floats": pa.list_(pa.float64()),
        "map": pa.map_(pa.string(), pa.float64()),
    }
    return pa.schema(
        [pa.field(column.name, types[column.type], nullable=not column.required) for column in COLUMNS],
        metadata={"rtbench.schema_version": str(SCHEMA_VERSION)},
    )


REQUIRED = tuple(column.name for column in COLUMNS if column.required)
_required_of = itemgetter(*REQUIRED)
_CELL_COLUMNS = (
    *("id_version", "interaction_json", "precision", "budget_json"),
    *(f"{axis}_{key}" for axis in PART_AXES for key in ("name", "revision", "params_json")),
)
_cell_columns_of = itemgetter(*_CELL_COLUMNS)
