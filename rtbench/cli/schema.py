"""`rtbench schema`: what a suite file may hold, for editors, and what the columns of a row mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from rtbench.cli import output

schema = typer.Typer(
    help="What a suite file may hold, for editors; what the columns of a row mean.", no_args_is_help=True
)

OutputOption = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file.")]


@schema.command("suite")
def schema_suite(
    file: OutputOption = None,
    json: Annotated[bool, typer.Option("--json", help="Changes nothing: a JSON schema is JSON.")] = False,
) -> None:
    """The JSON schema of suite files; a file's first line `#:schema suite.schema.json` tells editors where it is."""
    from rtbench.suites.document import json_schema

    _hand_out(json_schema(), file)


@schema.command("row")
def schema_row(file: OutputOption = None, json: output.JsonOption = False) -> None:
    """Every column of a row: its type, unit and meaning, and whether two exact runs have it equal."""
    from rtbench.results.columns import COLUMNS

    if json:
        import json as json_module

        columns = [dataclasses.asdict(column) for column in COLUMNS]
        _hand_out(json_module.dumps(columns, indent=1, ensure_ascii=False) + "\n", file)
        return
    headers = ["column", "type", "unit", "group", "", "meaning"]
    rows: list[list[Any]] = [[c.name, c.type, c.unit, c.group, _remark(c), c.doc] for c in COLUMNS]
    if file is None:
        output.table(headers, rows)
    else:
        _hand_out("\n".join(output.plain_table(headers, rows)) + "\n", file)


def _remark(column: Any) -> str:
    """Whether it may be absent, whether exact runs have it equal."""
    return ", ".join(word for word, holds in (("required", column.required), ("outcome", column.outcome)) if holds)


def _hand_out(text: str, file: Path | None) -> None:
    if file is None:
        output.line(text.rstrip("\n"))
        return
    from rtbench import files

    files.write(file, text.encode(), kind="schema")
    output.note(f"written: {file}")
