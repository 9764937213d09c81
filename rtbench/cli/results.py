"""`rtbench report`, `rtbench leaderboard build|check`, `rtbench results export|check`: from rows to tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.output import JsonOption, emit, line, note, table
from rtbench.errors import InvalidResults, RtbenchError, SuiteError

if TYPE_CHECKING:
    from rtbench.results.report import Report, ReportLine
    from rtbench.results.schema import Row
    from rtbench.suites.model import Suite

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="A suite's name, or a path that ends in .toml.")]
SuiteChoice = Annotated[
    str | None, typer.Argument(metavar="[SUITE]", help="One suite; all that have rows if left out.")
]
ResultsOption = Annotated[
    Path, typer.Option("--results", help="Folder of submissions/ and leaderboards/, as committed.")
]
StateOption = Annotated[Path, typer.Option("--state", envvar="RTBENCH_STATE", help="Folder of the local state.")]
RESULTS = Path("results")
STATE = Path(".rtbench")

leaderboard = typer.Typer(help="Rebuild leaderboards from committed rows, or check them.", no_args_is_help=True)
results = typer.Typer(help="Turn local rows into a submission, or check submissions.", no_args_is_help=True)


def report(
    suite: SuiteArgument,
    profile: Annotated[str, typer.Option(help="The suite's profile.")] = "paper",
    state: StateOption = STATE,
    folder: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Every cell of a suite: return with its intervals, the published figure beside it, what is missing or failed."""
    from rtbench.results.report import build_report, suite_rows
    from rtbench.suites.added import expand_with_plugins
    from rtbench.suites.model import load_suite

    loaded = load_suite(suite, profile)
    cells, plugin_problems = expand_with_plugins(loaded)
    rows, problems = _rows(state, folder)
    told = build_report(loaded, cells, rows)
    sections = _sections(loaded.name, suite_rows(cells, rows))
    data = {"schema_version": 1, **told.data(), "problems": problems, "sections": sections}

    def render() -> None:
        _show(loaded, told)
        for text in sections:
            line()
            line(text)
        line()
        line(_next_step(suite, told))

    emit(data, json=json, render=render)
    for problem in problems:
        note(f"warning: set aside, not counted: {problem}")
    for problem in plugin_problems:
        note(f"warning: {problem}")


def _rows(state: Path, folder: Path) -> tuple[list[Row], list[str]]:
    """Rows of the local state and of submissions, and what could not be read."""
    from rtbench.results.export import read_submission, submission_files
    from rtbench.results.rows import RowStore, latest
    from rtbench.results.store import FolderStore

    scan = RowStore(FolderStore(state)).scan()
    rows, problems = list(latest(scan.rows).values()), list(scan.problems)
    for path in submission_files(folder / "submissions"):
        try:
            rows += read_submission(path)
        except InvalidResults as error:
            problems.append(f"{path}: {error.message}")
    return rows, problems


def _sections(suite: str, rows: Sequence[Row]) -> list[str]:
    """What plugins add to the report; a hook that fails is named and stops nothing."""
    from rtbench import plugins

    manager, _ = plugins.hooks()
    given = {"suite": suite, "rows": [dict(row) for row in rows]}
    answers, problems = plugins.call_each(manager.hook.rtbench_report_section, given)
    for problem in problems:
        note(f"warning: {problem}")
    return [str(answer) for answer in answers if answer]


def _show(suite: Suite, told: Report) -> None:
    budget = told.budget
    line(f"{suite.title} ({suite.name}, profile {suite.profile}: {budget['steps']:,} {budget['unit']}, {told.metric})")
    if suite.source:
        line(f"after: {suite.source}")
    for environment in dict.fromkeys(entry.environment for entry in told.lines):
        lines = [entry for entry in told.lines if entry.environment == environment]
        line()
        table(_heads(lines), [_cells(entry, _heads(lines)) for entry in lines], title=environment)
    ticks = {entry.published.ticks for entry in told.lines if entry.published and entry.published.ticks}
    if ticks and ticks != {budget["steps"]}:
        trained = ", ".join(f"{count:,}" for count in sorted(ticks))
        line(f"The published figures were trained for {trained} {budget['unit']}, these for {budget['steps']:,}.")
    for status in ("failed", "unsupported", "excluded"):
        reasons = sorted({reason for entry in told.lines if entry.status == status for reason in entry.reasons})
        for reason in reasons:
            line(f"{status}: {reason}")


def _heads(lines: Sequence[ReportLine]) -> list[str]:
    heads = ["delta", "execution", "method", "seeds", "mean ± SE", "IQM [95 %]", "age p50"]
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
        "seeds": f"{told.done}/{told.wanted}",
        "mean ± SE": plus_minus(_short(told.mean), _short(told.standard_error)),
        "IQM [95 %]": between(_short(told.iqm), _short(told.low), _short(told.high)),
        "age p50": "" if told.observation_age_p50_steps is None else f"{told.observation_age_p50_steps:g}",
        "published": plus_minus(published.mean, published.spread) if published else "",
        "difference": "" if entry.difference is None else f"{_short(entry.difference):+g}",
        "status": entry.status + (f", {told.failed} failed" if told.failed else ""),
    }
    return [values[head] for head in heads]


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


@leaderboard.command("build")
def leaderboard_build(suite: SuiteChoice = None, folder: ResultsOption = RESULTS, json: JsonOption = False) -> None:
    """Rebuild leaderboards from the submissions and write them."""
    from rtbench.results import pages

    boards = [_board(name, folder) for name in _suites(suite, folder)]
    written = [str(path) for board in boards for path in pages.write(board, folder / "leaderboards")]
    data = {"schema_version": 1, "leaderboards": _told(boards), "written": sorted(set(written))}

    def render() -> None:
        for board in boards:
            line(f"{board.suite}: {len(board.lines)} lines, digest {board.digest[:12]}")
        line("next: commit results/, then rtbench leaderboard check" if boards else "no submissions, nothing to build")

    emit(data, json=json, render=render)


@leaderboard.command("check")
def leaderboard_check(suite: SuiteChoice = None, folder: ResultsOption = RESULTS, json: JsonOption = False) -> None:
    """Rebuild leaderboards aside and compare; exit code 4 if one is not what its rows give, 5 if rows are invalid."""
    from rtbench.results import pages

    _valid(folder)
    boards = [_board(name, folder) for name in _suites(suite, folder)]
    for board in boards:
        pages.check(board, folder / "leaderboards")

    def render() -> None:
        for board in boards:
            line(f"{board.suite}: digest {board.digest[:12]} is what the rows give")
        line(f"{len(boards)} leaderboards checked, all are up to date")

    emit({"schema_version": 1, "leaderboards": _told(boards), "stale": []}, json=json, render=render)


def _told(boards: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"suite": board.suite, "lines": len(board.lines), "digest": board.digest} for board in boards]


def _suites(given: str | None, folder: Path) -> list[str]:
    """The suite asked for, or every one here that has rows or a committed leaderboard.

    Rows of a suite that is not installed here (somebody's own) are named and left out; they stop nobody else's.
    """
    from rtbench.results.export import read_submissions
    from rtbench.results.pages import read_digests
    from rtbench.suites.model import find_suite

    if not folder.is_dir() and folder != RESULTS:  # asked for by name; a fresh checkout may have no results yet
        raise SuiteError("no such folder", place=f"--results {folder}", hint="rtbench results export SUITE makes one")
    if given:
        return [given]
    rows = read_submissions(folder / "submissions")
    found = []
    for name in sorted({row["suite"] for row in rows} | set(read_digests(folder / "leaderboards"))):
        try:
            find_suite(name)
        except RtbenchError:  # unknown, or its plugin is broken
            count = sum(row["suite"] == name for row in rows)
            hint = "install its plugin, or name its .toml file instead"
            note(f"warning: suite {name!r} is not installed here: {count} rows left out ({hint})")
            continue
        found.append(name)
    return found


def _board(name: str, folder: Path) -> Any:
    from rtbench.results.export import read_submissions
    from rtbench.results.leaderboard import build
    from rtbench.suites.model import load_suite

    return build(load_suite(name), read_submissions(folder / "submissions"))


def _valid(folder: Path) -> None:
    from rtbench.results.export import check_submissions

    problems = check_submissions(folder / "submissions")
    if problems:
        more = f"\n  (and {len(problems) - 10} more)" if len(problems) > 10 else ""
        raise InvalidResults(
            f"{len(problems)} problems in the submissions:\n  " + "\n  ".join(problems[:10]) + more,
            place=str(folder / "submissions"),
            hint="remove the submission, or export it again from the rows it came from",
        )


@results.command("export")
def results_export(
    suite: SuiteArgument,
    state: StateOption = STATE,
    folder: ResultsOption = RESULTS,
    allow_dirty: Annotated[bool, typer.Option(help="Also rows made with uncommitted changes.")] = False,
    json: JsonOption = False,
) -> None:
    """Write the suite's finished runs that no submission has yet as one new submission."""
    from rtbench.results.export import export, read_submissions
    from rtbench.results.rows import RowStore
    from rtbench.results.schema import row_digest
    from rtbench.results.store import FolderStore
    from rtbench.suites.model import load_suite

    loaded = load_suite(suite)
    submissions = folder / "submissions"
    there = {row_digest(row) for row in read_submissions(submissions)}
    scan = RowStore(FolderStore(state)).scan()
    mine = _of_suite(loaded, scan.rows)
    fresh = [row for row in mine if row_digest(row) not in there]
    if mine and not fresh:
        emit(
            {"schema_version": 1, "written": None, "rows": 0},
            json=json,
            render=lambda: line(f"all {len(mine)} rows of {loaded.name} are in a submission already"),
        )
        return
    path = export(fresh, submissions, suite=loaded.name, allow_dirty=allow_dirty)

    def render() -> None:
        line(f"wrote {path}")
        shown = suite if suite.endswith(".toml") else loaded.name
        line(f"next: rtbench leaderboard build {shown}" + ("" if folder == RESULTS else f" --results {folder}"))

    emit({"schema_version": 1, "written": str(path), "rows": len(fresh)}, json=json, render=render)
    for problem in scan.problems:
        note(f"warning: set aside, not exported: {problem}")


def _of_suite(suite: Suite, rows: Sequence[Row]) -> list[Row]:
    """The newest attempt of runs that the suite started or that are cells of one of its profiles."""
    from rtbench.results.rows import latest
    from rtbench.suites.expand import expand
    from rtbench.suites.model import load_suite

    cells: set[str] = set()
    for profile in suite.profiles:
        cells |= {cell.cell_id for cell in expand(load_suite(str(suite.path), profile), support=False)}
    chosen = [row for row in rows if row["suite"] == suite.name or row["cell_id"] in cells]
    return list(latest(chosen).values())


@results.command("check")
def results_check(folder: ResultsOption = RESULTS, json: JsonOption = False) -> None:
    """Check every submission: schema, digest, identity of each row, duplicates, values that cannot be."""
    from rtbench.results.export import submission_files

    if not folder.is_dir():
        raise SuiteError("no such folder", place=str(folder), hint="rtbench results export SUITE makes one")
    _valid(folder)
    files = submission_files(folder / "submissions")
    emit(
        {"schema_version": 1, "submissions": len(files), "problems": []},
        json=json,
        render=lambda: line(f"{len(files)} submissions checked, all are valid; next: rtbench leaderboard check"),
    )
