"""All rows in reach as one table: for pandas, for SQL.

Rows of the local state and of submissions together, equal ones once. `rows` is every attempt of every run; `runs` is
one row per run (and per machine class, if its clock is the wall's): the one that reports and leaderboards take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.errors import RtbenchError, SuiteError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from rtbench.results.places import State

STATE, RESULTS = ".rtbench", "results"
FOUND_IN = "found_in"
"""The column beside a row's own: `state`, or the name of the submission."""
TABLES = ("runs", "rows", "leaderboards")
"""What SQL may select from."""
_JSON = {
    **{axis: f"{axis}_params_json" for axis in ("environment", "architecture", "scheduler", "learner", "backend")},
    "interaction": "interaction_json",
    "budget": "budget_json",
}


@dataclass(frozen=True)
class Gathered:
    """Rows, where each was found, and a line for each file that holds none that can be read."""

    rows: list[Mapping[str, Any]]
    found_in: list[str]
    problems: list[str]

    def table(self) -> pa.Table:
        """As one Arrow table: the columns of `rtbench schema row`, and `found_in` after them."""
        import pyarrow as pa

        from rtbench.results.schema import arrow_schema

        schema = arrow_schema().append(pa.field(FOUND_IN, pa.string()))
        records = [
            {**row, "extras": list(row["extras"].items()), FOUND_IN: place}
            for row, place in zip(self.rows, self.found_in, strict=True)
        ]
        return pa.Table.from_pylist(records, schema=schema)


def gather(state: str | State = STATE, results: str | Path = RESULTS) -> Gathered:
    """Every attempt of every run in submissions and in the local state, sorted by suite, run and attempt.

    Neither place needs to be there. Files that cannot be read are named in `problems` and passed over.
    """
    from rtbench.results.schema import row_digest

    problems: list[str] = []
    known: dict[str, tuple[Mapping[str, Any], str]] = {}
    for row, place in _everything(state, Path(results), problems):
        known.setdefault(row_digest(row), (row, place))
    kept = sorted(known.values(), key=lambda found: (*(found[0][name] for name in _ORDER), found[1]))
    return Gathered([row for row, _ in kept], [place for _, place in kept], problems)


_ORDER = ("suite", "run_id", "attempt")


def _everything(state: str | State, results: Path, problems: list[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    from rtbench.errors import InvalidResults
    from rtbench.results.places import open_store, state_from
    from rtbench.results.rows import RowStore
    from rtbench.results.submissions import read_submission, submission_files

    for path in submission_files(results / "submissions"):
        try:
            rows = read_submission(path)
        except InvalidResults as error:
            problems.append(f"{error.place or path}: {error.message}")
            continue
        yield from ((row, path.name) for row in rows)
    unread: list[str] = []
    for row in RowStore(open_store(state_from(str(state)))).stream(unread):
        yield row, "state"
    problems += [f"{state}/{problem}" for problem in unread]


def one_per_run(found: Gathered) -> Gathered:
    """The row of each run that reports and leaderboards take: finished before failed, then the highest revision."""
    from rtbench.results.groups import choose

    places = {id(row): place for row, place in zip(found.rows, found.found_in, strict=True)}
    rows = sorted(choose(found.rows), key=lambda row: tuple(row[name] for name in _ORDER))
    return Gathered(rows, [places[id(row)] for row in rows], found.problems)


def to_pandas(
    state: str | State = STATE, results: str | Path = RESULTS, *, every: bool = False, parameters: bool = True
) -> pd.DataFrame:
    """All runs as a data frame: one row per run, or with `every` one per attempt.

    Its columns are those of `rtbench schema row`, and `found_in`. With `parameters` there are further ones for whatever
    a part, the interaction or the budget was given: `environment.id`, `architecture.skips`, `interaction.execution`,
    `budget.steps`, ... (empty where a part has no such parameter). Integers and truth values are pandas' nullable
    types, curves are arrays, `extras` are dictionaries. Raises InvalidResults if a file of rows cannot be read.
    """
    import pandas as pd
    import pyarrow as pa

    from rtbench.errors import InvalidResults

    found = gather(state, results)
    if found.problems:
        raise InvalidResults(
            f"{len(found.problems)} files of rows cannot be read",
            place="; ".join(found.problems[:3]),
            hint="put them back from a copy, or move them away",
        )
    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = (
        (found if every else one_per_run(found)).table().to_pandas(types_mapper=types.get, maps_as_pydicts="strict")
    )
    if not parameters or frame.empty:
        return frame
    further = pd.DataFrame(_parameters(frame), index=frame.index).dropna(axis=1, how="all")
    return pd.concat([frame, further.infer_objects().reindex(columns=sorted(further.columns))], axis=1)


def _parameters(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Of each row its parameters by axis.key; equal texts are read once."""
    read: dict[tuple[str, str], dict[str, Any]] = {}
    out: list[dict[str, Any]] = []
    for texts in zip(*(frame[column] for column in _JSON.values()), strict=True):
        told: dict[str, Any] = {}
        for axis, text in zip(_JSON, texts, strict=True):
            if (axis, text) not in read:
                read[axis, text] = dict(_flat(axis, json.loads(text)))
            told.update(read[axis, text])
        out.append(told)
    return out


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """axis.key and value; of a table within (a latency) its values, of a part within nothing: it has columns."""
    if not isinstance(value, dict):
        yield name, value
    elif "revision" not in value:
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)


def query(sql: str, state: str | State = STATE, results: str | Path = RESULTS) -> pa.Table:
    """What a SELECT over `runs`, `rows` and `leaderboards` gives, as an Arrow table; computed by DuckDB in memory.

    The columns named `*_json` are of SQL's type JSON: `environment_params_json->>'id'`; `extras` is a map. Nothing
    outside these tables can be read or written. Raises SuiteError for what DuckDB does not understand.
    """
    return query_gathered(sql, gather(state, results), Path(results))


def query_gathered(sql: str, found: Gathered, results: Path) -> pa.Table:
    """The same over rows that were gathered before."""
    import pyarrow as pa

    try:
        import duckdb
    except ImportError:
        raise RtbenchError(
            "SQL needs DuckDB, which is not installed", place="query", hint="pip install 'rtbench[query]'"
        ) from None
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}) as base:
        for name, table in _tables(found, results).items():
            base.register(f"_{name}", table)
            base.execute(f"CREATE TABLE {name} AS SELECT {_selected(table)} FROM _{name}")
            base.unregister(f"_{name}")
        base.execute("SET enable_external_access = false")
        try:
            answer = base.sql(sql)
            return pa.table({}) if answer is None else answer.to_arrow_table()
        except duckdb.Error as error:
            raise SuiteError(
                f"DuckDB: {str(error).strip()}",
                place="query",
                hint='the tables are runs, rows and leaderboards; "DESCRIBE runs" lists a table\'s columns',
            ) from None


def _tables(found: Gathered, results: Path) -> dict[str, pa.Table]:
    return dict(zip(TABLES, (one_per_run(found).table(), found.table(), _leaderboards(results)), strict=True))


def _selected(table: pa.Table) -> str:
    """Every column by name, JSON as JSON."""
    return ", ".join(f'"{name}"::JSON AS "{name}"' if name.endswith("_json") else f'"{name}"' for name in _names(table))


def _names(table: pa.Table) -> Sequence[str]:
    names: Sequence[str] = table.column_names
    return names


def _leaderboards(results: Path) -> pa.Table:
    """The lines of all committed leaderboards, below one another; the columns of each are the suite's own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    boards = []
    for path in sorted((results / "leaderboards").glob("*.parquet")):
        try:
            board = pq.read_table(path, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise RtbenchError(
                f"the leaderboard cannot be read: {error}", place=str(path), hint="rtbench leaderboard build"
            ) from None
        suite = pa.array([path.stem.replace("--", "/")] * board.num_rows, pa.string())
        boards.append(board.add_column(0, "suite", suite))
    if not boards:
        return pa.table({"suite": pa.array([], pa.string())})
    return _below_one_another(boards)


def _below_one_another(tables: Sequence[pa.Table]) -> pa.Table:
    """One table; a column that is of text in one and of numbers in another becomes text."""
    import pyarrow as pa

    types: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    mixed = {name for name, found in types.items() if len(found) > 1 and pa.string() in found}
    alike = []
    for table in tables:
        for name in mixed & set(table.column_names):
            index = table.column_names.index(name)
            table = table.set_column(index, name, table[name].cast(pa.string()))
        alike.append(table.replace_schema_metadata(None))
    return pa.concat_tables(alike, promote_options="permissive")
