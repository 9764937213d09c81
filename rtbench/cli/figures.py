"""`rtbench figures`: a suite's figures drawn from local state and committed rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtbench.cli.output import JsonOption, emit, line, note
from rtbench.cli.results import (
    NOT_DRAWN,
    RESULTS,
    STATE,
    ResultsOption,
    StateOption,
    SuiteArgument,
    can_draw,
    tell_set_aside,
)
from rtbench.errors import SuiteError


def figures(
    suite: SuiteArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.")] = Path(
        "figures"
    ),
    form: Annotated[list[str] | None, typer.Option("--format", help="svg (default) or png; may be repeated.")] = None,
    state: StateOption = STATE,
    folder: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Draw a suite's figures from local and committed rows: one CSV and one picture each."""
    from rtbench.results import figure_files
    from rtbench.results.figures import build_figures
    from rtbench.results.pictures import caption
    from rtbench.results.places import open_store
    from rtbench.results.rows import RowStore
    from rtbench.results.submissions import readable_submissions
    from rtbench.suites.model import load_suite

    for name in form or []:
        if name not in figure_files.FORMS:
            raise SuiteError(f"unknown format {name!r}", place="--format", given=name, allowed=figure_files.FORMS)
    forms = [name for name in figure_files.FORMS if name in (form or ["svg"])]
    loaded = load_suite(suite)
    if not loaded.document.figures:
        raise SuiteError(f"suite {loaded.name} has no figures", place=str(loaded.path), hint="[[figures]] makes one")
    if not can_draw():
        note(f"warning: {NOT_DRAWN}")
    problems: list[str] = []
    scan = RowStore(open_store(state)).scan(newest=True)
    rows = [*scan.rows, *readable_submissions(folder / "submissions", problems)]
    drawn = build_figures(loaded, rows)
    paths = figure_files.write(drawn, output, forms=forms if can_draw() else ())
    tell_set_aside([*(f"{state}/{problem}" for problem in scan.problems), *problems])

    def render() -> None:
        for figure in drawn:
            line(f"{figure.name}: {len(figure.drawn)} points; {caption(figure)}")
        for path in paths:
            line(f"  {path}")
        if all(figure.block is None for figure in drawn):
            line(f"next: rtbench run {suite}")

    told = [{"name": figure.name, "points": len(figure.points), "drawn": len(figure.drawn)} for figure in drawn]
    emit({"schema_version": 1, "figures": told, "written": [str(p) for p in paths]}, json=json, render=render)
