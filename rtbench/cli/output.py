"""What every command prints with: data as JSON or as text, tables, notes and errors on the error stream."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from rtbench.errors import RtbenchError, SuiteError

DEBUG_VARIABLE = "RTBENCH_DEBUG"
"""Set by --debug, so that the processes a command starts know of it."""

invocation: list[str] = []
"""The arguments this process was called with, so that a hint can repeat them whole."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def debugging() -> bool:
    """Whether tracebacks are to be shown."""
    return os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}


def emit(data: Any, *, json: bool, render: Callable[[], None]) -> None:
    """Print `data` as JSON (indented, keys as given), or let `render` print it for people."""
    if json:
        typer.echo(json_module.dumps(data, indent=2, ensure_ascii=False, default=str))
    else:
        render()


def line(text: str = "") -> None:
    """One line on standard output."""
    typer.echo(text)


def same_command(name: str, *, without: Sequence[str] = (), without_values: Sequence[str] = ()) -> str:
    """The command as it was typed, under another command's name, for a hint.

    `without` drops flags, `without_values` options with what they are given.
    """
    import shlex

    kept, given = [], False
    for argument in invocation:
        if not given and argument not in without and argument.partition("=")[0] not in without_values:
            kept.append(argument)
        given = not given and argument in without_values
    at = next((index for index, argument in enumerate(kept) if not argument.startswith("-")), None)
    if at is not None:
        kept[at] = name
    return shlex.join(["rtbench", *kept])


def note(text: str) -> None:
    """One line on the error stream, where it does not disturb JSON."""
    typer.echo(text, err=True)


def fail(error: RtbenchError) -> None:
    """The lines of an error on the error stream."""
    for number, text in enumerate(error.lines()):
        note(text if number else f"error: {text}")


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """A table: drawn by rich on a terminal, else in plain columns that tools can cut."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(headers, cells, title)
        return
    if title:
        line(title)
    for text in plain_table(headers, cells):
        line(text)


def plain_table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a left-aligned table, two spaces between columns, none after the last."""
    rows = [list(headers), *[list(row) for row in cells]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headers))]
    return ["  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rich_table(headers: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        drawn.add_column(header)
    for row in cells:
        drawn.add_row(*[Text(value) for value in row])  # Text: a '[' in a value is no markup
    Console().print(drawn)


def given_parameters(named: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A part's parameters: the named options that were given, and every --set (JSON, else a text)."""
    given = {name: value for name, value in named.items() if value is not None}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not (name and equals):
            raise SuiteError(f"not a parameter: {setting!r}", place="--set", hint="write key=value, e.g. lstm=true")
        if name in given:
            raise SuiteError(f"parameter {name!r} is given twice", place="--set")
        try:
            given[name] = json_module.loads(text)
        except ValueError:
            given[name] = text
    return given
