"""Submissions as they are read: a file's columns are checked as a whole, its rows are views of them.

Thousands of rows are checked and read column by column; a column becomes Python values when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.errors import InvalidResults
from rtbench.results.columns import BY_NAME, STATUSES
from rtbench.results.schema import REQUIRED, SCHEMA_VERSION, arrow_schema, normal_row

if TYPE_CHECKING:
    import pyarrow as pa

MEND = "put the file back as it was committed (git checkout), or remove it and export its rows again"
"""What to do about a submission that cannot be read."""
_ALWAYS = ("schema_version", "status", "attempt")
"""Columns whose values are checked whatever is asked for."""


class TableRow(Mapping[str, Any]):
    """One row of a table, equal to the dictionary that it stands for."""

    __slots__ = ("_columns", "_index")

    def __init__(self, columns: _Columns, index: int) -> None:
        self._columns, self._index = columns, index

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.names)

    def __len__(self) -> int:
        return len(self._columns.names)

    def __repr__(self) -> str:
        return repr(dict(self))


class _Columns(dict[str, list[Any]]):
    """The columns of one table as lists, each made when it is first asked for; None where the table is older."""

    def __init__(self, table: pa.Table, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names
        self._table = table

    def __missing__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise KeyError(name)
        there = name in self._table.column_names
        values = self._table[name].to_pylist() if there else [None] * self._table.num_rows
        if BY_NAME[name].type == "map":
            values = [dict(sorted(pairs)) if pairs else {} for pairs in values]
        self[name] = values
        return values


def submission_files(folder: Path | str) -> list[Path]:
    """The submissions of a folder in the order of their names; none if the folder is not there."""
    return sorted(Path(folder).glob("*.parquet"))


def read_submission(path: Path, columns: Sequence[str] | None = None) -> Sequence[Mapping[str, Any]]:
    """The rows of one submission; columns that it lacks because it is older are None.

    With `columns` only these are read, kept and checked. Raises InvalidResults if the file cannot be read or is
    damaged, has a column that the schema lacks or one of another type, or holds a value that its column may not.
    """
    names = tuple(BY_NAME) if columns is None else tuple(columns)
    table = _table(path, names)
    if _surely_right(table, [name for name in REQUIRED if name in (*names, *_ALWAYS)]):
        shared = _Columns(table, names)
        return [TableRow(shared, index) for index in range(table.num_rows)]
    table = _table(path, tuple(BY_NAME))
    shared = _Columns(table, table.column_names)
    return [normal_row(TableRow(shared, index), place=f"{path}, row {index}") for index in range(table.num_rows)]


def read_submissions(folder: Path | str) -> list[Mapping[str, Any]]:
    """The rows of all submissions, in the order of file names; raises as `read_submission` does."""
    return [row for path in submission_files(folder) for row in read_submission(path)]


def readable_submissions(
    folder: Path | str, problems: list[str], columns: Sequence[str] | None = None
) -> Iterator[Mapping[str, Any]]:
    """The same one by one, without the files that cannot be read; a line in `problems` for each of those."""
    for path in submission_files(folder):
        try:
            yield from read_submission(path, columns)
        except InvalidResults as error:
            problems.append(f"{error.place or path}: {error.message}")


def _table(path: Path, names: Sequence[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_schema(file.schema_arrow, path)
            there = [name for name in file.schema_arrow.names if name in (*names, *_ALWAYS)]
            table = file.read(columns=there, use_threads=False)
        table.validate(full=True)  # text that is no UTF-8, lists that reach beyond their values
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        first = str(error).strip().partition("\n")[0]
        raise InvalidResults(f"the submission cannot be read: {first}", place=str(path), hint=MEND) from None
    return table


def _check_schema(found: pa.Schema, path: Path) -> None:
    import pyarrow as pa

    wanted = arrow_schema()
    seen: set[str] = set()
    for field in found:
        index = wanted.get_field_index(field.name)
        if index < 0:
            raise InvalidResults(
                f"unknown column {field.name!r}", place=str(path), given=field.name, hint="it may need a newer rtbench"
            )
        if field.name in seen:
            raise InvalidResults(f"column {field.name!r} is there twice", place=str(path), hint=MEND)
        seen.add(field.name)
        # Parquet names the inside of lists its own way; what is in them counts.
        expected = wanted.field(index).type
        same = field.type.equals(expected) or (
            pa.types.is_list(field.type) and pa.types.is_list(expected) and field.type.value_type == expected.value_type
        )
        if not same:
            raise InvalidResults(
                f"column {field.name!r} has type {field.type}, the schema says {expected}", place=str(path), hint=MEND
            )


def _surely_right(table: pa.Table, required: Sequence[str]) -> bool:
    """True if `normal_row` would pass every row and change none; False only says that each has to be looked at."""
    present = set(table.column_names)
    if not present.issuperset(required) or any(table[name].null_count for name in required):
        return False
    if table.num_rows:
        versions, statuses, attempts = (set(table[name].to_pylist()) for name in _ALWAYS)
        if max(versions) > SCHEMA_VERSION or min(attempts) < 1 or not statuses.issubset(STATUSES):
            return False
    return all(_numbers_right(chunk, BY_NAME[name].type) for name in present for chunk in table[name].chunks)


def _numbers_right(column: pa.Array, type_: str) -> bool:
    """True if a column's numbers are finite and its lists have no gaps."""
    import numpy as np

    inside = {"map": "float", "floats": "float", "ints": "int"}.get(type_)
    if inside:
        column = column.items if type_ == "map" else column.flatten()
        if column.null_count:
            return False
    if (inside or type_) != "float":
        return True
    finite = np.isfinite(column.to_numpy(zero_copy_only=False))  # an absent value becomes NaN
    return bool(np.count_nonzero(finite) == len(column) - column.null_count)
