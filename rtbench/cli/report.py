"""`rtbench report`: a suite's table with the published figures beside it, or everything as a static site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.output import JsonOption, emit, line, note, table
from rtbench.cli.results import RESULTS, STATE, ResultsOption, StateOption, tell_set_aside
from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from rtbench.results.places import State
    from rtbench.results.report import Report, ReportLine
    from rtbench.suites.expand import SuiteCell
    from rtbench.suites.model import Suite
    from rtbench.suites.published import Published

EVERY_S = 5.0
SuiteChoice = Annotated[
    str | None,
    typer.Argument(metavar="[SUITE]", help="A suite's name or .toml file; with --html all that have rows if left out."),
]


def report(
    suite: SuiteChoice = None,
    profile: Annotated[str, typer.Option(help="The suite's profile.")] = "paper",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="DIR", help="Write a static site of every profile instead.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="With --html: build again while runs go on, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(help="With --live: seconds between looks.", min=0.5)] = EVERY_S,
    state: StateOption = STATE,
    folder: ResultsOption = RESULTS,
    form: Annotated[
        str | None, typer.Option("--format", help="A table for a paper: markdown, or latex (needs booktabs).")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Every cell of a suite: return with its intervals, the published figure beside it, what is missing or failed.

    With --html DIR one site of the suite, or of all suites with rows: leaderboards, figures, timelines, and every run
    with the command that makes it again. It opens from disk and loads nothing from a network.
    """
    if html is not None and form is not None:
        raise SuiteError("a site is no table for a paper", place="--format", hint="give --format or --html, not both")
    if html is not None:
        from rtbench.cli.report_site import build_site

        build_site(suite, html, state, folder, live_s=every if live else None, json=json)
        return
    if live:
        raise SuiteError("--live renews a site", place="--live", hint="name its folder: --html DIR --live")
    if suite is None:
        raise SuiteError(
            "no suite is named", place="rtbench report", hint="name one, or --html DIR for a site of all suites"
        )
    _one(suite, profile, state, folder, json, form)


def _one(suite: str, profile: str, state: State, folder: Path, json: bool, form: str | None) -> None:
    """One suite under one profile, in the terminal, or as tables for a paper."""
    from rtbench import plugins
    from rtbench.results.report import build_report, columns, suite_rows
    from rtbench.results.tables import paper_tables
    from rtbench.results.tables import render as render_tables
    from rtbench.suites.added import expand_with_plugins
    from rtbench.suites.model import load_suite

    loaded = load_suite(suite, profile)
    cells, plugin_problems = expand_with_plugins(loaded)
    manager, _ = plugins.hooks()
    asked = bool(manager.hook.rtbench_report_section.get_hookimpls())  # plugins are shown whole rows
    rows, problems = _rows(state, folder, cells, None if asked else columns(loaded.leaderboard.metric))
    told = build_report(loaded, cells, rows)
    sections = sections_of(manager, loaded.name, suite_rows(cells, rows)) if asked else []
    data = {"schema_version": 1, **told.data(), "problems": problems, "sections": sections}

    def render() -> None:
        if form is not None:
            line(render_tables(paper_tables(loaded.title, told), form).rstrip())
            return
        _show(loaded, told)
        for text in sections:
            line()
            line(text)
        line()
        line(_next_step(suite, told))

    emit(data, json=json, render=render)
    tell_set_aside(problems)
    for problem in plugin_problems:
        note(f"warning: {problem}")


def _rows(
    state: State, folder: Path, cells: Sequence[SuiteCell], columns: Sequence[str] | None
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Rows of the cells' runs in the local state and in submissions, and what could not be read."""
    from rtbench.results.places import open_store
    from rtbench.results.rows import RowStore
    from rtbench.results.submissions import readable_submissions

    runs = {run for cell in cells for run in cell.run_ids}
    scan = RowStore(open_store(state)).scan(wanted=runs.__contains__, columns=columns, newest=True)
    problems = [f"{state}/{problem}" for problem in scan.problems]
    submitted = readable_submissions(folder / "submissions", problems, columns)
    return [*scan.rows, *(row for row in submitted if row["run_id"] in runs)], problems


def sections_of(manager: Any, suite: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What plugins add to the report; a hook that fails is named and stops nothing."""
    from rtbench import plugins

    given = {"suite": suite, "rows": [dict(row) for row in rows]}
    answers, problems = plugins.call_each(manager.hook.rtbench_report_section, given)
    for problem in problems:
        note(f"warning: {problem}")
    return [str(answer) for answer in answers if answer]


def _show(suite: Suite, told: Report) -> None:
    line(f"{suite.title} ({suite.name}, profile {suite.profile}: {suite.length}, {told.metric})")
    if suite.source:
        line(f"after: {suite.source}")
    for environment in dict.fromkeys(entry.environment for entry in told.lines):
        lines = [entry for entry in told.lines if entry.environment == environment]
        line()
        table(_heads(lines), [_cells(entry, _heads(lines)) for entry in lines], title=environment)
    ticks = {entry.published.ticks for entry in told.lines if entry.published and entry.published.ticks}
    if ticks and ticks != {budget.steps for budget in suite.budgets}:
        trained = ", ".join(f"{count:,}" for count in sorted(ticks))
        line(f"The published figures were trained for {trained} ticks, these for {suite.length}.")
    for status in ("failed", "unsupported", "excluded"):
        reasons = sorted({reason for entry in told.lines if entry.status == status for reason in entry.reasons})
        for reason in reasons:
            line(f"{status}: {reason}")


def _heads(lines: Sequence[ReportLine]) -> list[str]:
    further = [key for key in lines[0].further if len({str(entry.further[key]) for entry in lines}) > 1]
    heads = ["delta", "execution", "method", *further, "seeds", "mean ± SE", _reduced(lines[0]), "age p50"]
    if any(entry.published for entry in lines):
        heads += ["published", "difference"]
    return [*heads, "status"]


def _cells(entry: ReportLine, heads: Sequence[str]) -> list[str]:
    from rtbench.results.pages import between, plus_minus

    told, published = entry.summary, entry.published
    values = {
        "delta": f"{entry.delta:g}",
        "execution": entry.execution,
        "method": entry.method,
        **{key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in entry.further.items()},
        "seeds": f"{told.done}/{told.wanted}",
        "mean ± SE": plus_minus(_short(told.mean), _short(told.standard_error)),
        _reduced(entry): between(_short(told.reduced), _short(told.low), _short(told.high)),
        "age p50": "" if told.observation_age_p50_steps is None else f"{told.observation_age_p50_steps:g}",
        "published": _printed(published) if published else "",
        "difference": "" if entry.difference is None else f"{_short(entry.difference):+g}",
        "status": entry.status + (f", {told.failed} failed" if told.failed else ""),
    }
    return [values[head] for head in heads]


def _reduced(entry: ReportLine) -> str:
    return "IQM [95 %]" if entry.summary.how == "iqm" else "mean [95 %]"


def _printed(published: Published) -> str:
    from rtbench.results.pages import plus_minus
    from rtbench.suites.published import NORMALISED

    kind = " (normalised)" if published.metric == NORMALISED else ""
    return plus_minus(published.mean, published.spread) + kind


def _short(value: float | None) -> float | None:
    """Four significant digits, integers above a thousand."""
    from rtbench.results.statistics import rounded

    if value is None:
        return None
    return float(round(value)) if abs(value) >= 1000 else rounded(value, 4)


def _next_step(suite: str, told: Report) -> str:
    counts = told.counts
    chosen = f"{suite} --profile {told.profile}" if told.profile != "paper" else suite
    if counts.get("missing") or counts.get("incomplete") or counts.get("failed"):
        open_cells = sum(counts.get(name, 0) for name in ("missing", "incomplete", "failed"))
        return f"next: rtbench run {chosen}   ({open_cells} of {len(told.lines)} cells lack runs)"
    return f"next: rtbench results export {suite}   (every cell is complete)"
