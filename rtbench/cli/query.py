"""`rtbench results query`: SQL over all rows. The group `results` of `rtbench.cli.results` with this command added."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.output import JsonOption, emit, line, note, table
from rtbench.cli.results import RESULTS, STATE, ResultsOption, StateOption, results, tell_set_aside
from rtbench.errors import SuiteError

if TYPE_CHECKING:
    import pyarrow as pa

WRITTEN = (".csv", ".parquet")
SHOWN_LETTERS = 60
SqlArgument = Annotated[
    str | None, typer.Argument(metavar="[SQL]", help="A SELECT; left out, the tables and their columns are listed.")
]


@results.command("query")
def results_query(
    sql: SqlArgument = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the answer as .csv or .parquet.")
    ] = None,
    state: StateOption = STATE,
    folder: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """SQL (DuckDB's) over all rows, local and submitted: tables runs, rows (every attempt) and leaderboards.

    For example: SELECT suite, environment_params_json->>'id' AS world, delta, avg(eval_return_final) FROM runs
    WHERE status = 'ok' GROUP BY ALL ORDER BY ALL
    """
    from rtbench.results.query import gather, query_gathered

    if file is not None and (file.suffix not in WRITTEN or sql is None):
        hint = "" if sql else "name a SELECT"
        raise SuiteError("an answer is written as one of these", place=f"-o {file}", allowed=WRITTEN, hint=hint)
    found = gather(state, folder)
    tell_set_aside(found.problems)
    answer = query_gathered(sql or _COLUMNS, found, folder)
    if file is not None:
        _write(answer, file)
        note(f"written: {file} ({answer.num_rows} rows)")
        return
    names, values = list(answer.column_names), _plain(answer)
    data = {"schema_version": 1, "columns": names, "rows": values}

    def render() -> None:
        table(names, [[_shown(value) for value in row] for row in values])
        line(f"({len(values)} rows)")

    emit(data, json=json, render=render)


_COLUMNS = (
    'SELECT table_name AS "table", column_name AS "column", data_type AS "type" '
    "FROM information_schema.columns WHERE table_name <> 'rows' ORDER BY table_name DESC, ordinal_position"
)


def _plain(answer: pa.Table) -> list[list[Any]]:
    """Rows as JSON can have them; a map is a dictionary."""
    import pyarrow as pa

    columns = [
        [None if value is None else dict(value) for value in column.to_pylist()]
        if pa.types.is_map(column.type)
        else column.to_pylist()
        for column in answer.columns
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _shown(value: Any) -> str:
    """A value in a terminal's cell: six significant digits, long texts cut."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN_LETTERS else text[: SHOWN_LETTERS - 1] + "…"


def _write(answer: pa.Table, file: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    from rtbench import files

    buffer = io.BytesIO()
    if file.suffix == ".parquet":
        pa.parquet.write_table(answer, buffer)
    else:
        pa.csv.write_csv(_texts(answer), buffer)
    files.write(file, buffer.getvalue(), kind="answer")


def _texts(answer: pa.Table) -> pa.Table:
    """Lists, maps and tables as JSON: CSV has none."""
    import json as json_module

    import pyarrow as pa

    for index, name in enumerate(answer.column_names):
        column = answer[name]
        if pa.types.is_nested(column.type):
            values = [
                None if v is None else json_module.dumps(dict(v) if pa.types.is_map(column.type) else v)
                for v in column.to_pylist()
            ]
            answer = answer.set_column(index, name, pa.array(values, pa.string()))
    return answer
