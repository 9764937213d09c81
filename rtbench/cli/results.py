"""`rtbench leaderboard build|check`, `rtbench results export|check`: from rows to leaderboards and submissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.output import JsonOption, emit, line, note
from rtbench.errors import InvalidResults, RtbenchError, SuiteError
from rtbench.results.places import State, state_from

if TYPE_CHECKING:
    from rtbench.results.figure_files import Form
    from rtbench.results.figures import Figure
    from rtbench.results.leaderboard import Leaderboard
    from rtbench.results.schema import Row
    from rtbench.suites.model import Suite

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="A suite's name, or a path that ends in .toml.")]
SuiteChoice = Annotated[
    str | None, typer.Argument(metavar="[SUITE]", help="One suite; all that have rows if left out.")
]
ResultsOption = Annotated[
    Path, typer.Option("--results", help="Folder of submissions/ and leaderboards/, as committed.")
]
if TYPE_CHECKING:
    StateType = State
else:  # Typer knows no unions; the parser gives the value its type
    StateType = object
StateOption = Annotated[
    StateType,
    typer.Option(
        "--state",
        envvar="RTBENCH_STATE",
        parser=state_from,
        metavar="PLACE",
        help="Where runs, leases and checkpoints lie: a folder, or s3://bucket/folder, gs://bucket/folder.",
    ),
]
RESULTS = Path("results")
STATE = Path(".rtbench")
FIGURES = "figures"
NOT_DRAWN = "matplotlib is not installed, so no picture is drawn; next: pip install 'rtbench[figures]'"

leaderboard = typer.Typer(help="Rebuild leaderboards from committed rows, or check them.", no_args_is_help=True)
results = typer.Typer(help="Turn local rows into a submission, or check submissions.", no_args_is_help=True)


def tell_set_aside(problems: Sequence[str], but: str = "not counted") -> None:
    """Name the files of rows that could not be used, and say what to do about them."""
    for problem in problems:
        note(f"warning: set aside, {but}: {problem}")
    if problems:
        note("  next: put these files back from a copy, or move them away; runs without a result start anew")


@leaderboard.command("build")
def leaderboard_build(suite: SuiteChoice = None, folder: ResultsOption = RESULTS, json: JsonOption = False) -> None:
    """Rebuild leaderboards and figures from the submissions and write them."""
    from rtbench.results import figure_files, pages
    from rtbench.results.submissions import read_submissions

    boards, figures = _boards(suite, folder, read_submissions(_there(folder) / "submissions"))
    written = [str(path) for board in boards for path in pages.write(board, folder / "leaderboards")]
    forms: tuple[Form, ...] = ("svg",) if can_draw() else ()
    if any(figures) and not forms:
        note(f"warning: {NOT_DRAWN}")
    written += [str(path) for some in figures for path in figure_files.write(some, folder / FIGURES, forms=forms)]
    data = {"schema_version": 1, "leaderboards": _told(boards), "written": sorted(set(written))}

    def render() -> None:
        for board in boards:
            line(f"{board.suite}: {len(board.lines)} lines, digest {board.digest[:12]}")
        line("next: commit results/, then rtbench leaderboard check" if boards else "no submissions, nothing to build")

    emit(data, json=json, render=render)


@leaderboard.command("check")
def leaderboard_check(suite: SuiteChoice = None, folder: ResultsOption = RESULTS, json: JsonOption = False) -> None:
    """Rebuild leaderboards and figures' data aside and compare; exit code 4 if one is not what its rows give.

    Exit code 5 if rows are invalid.
    """
    from rtbench.results import figure_files, pages

    boards, figures = _boards(suite, folder, _valid(_there(folder)))
    for board, some in zip(boards, figures, strict=True):
        pages.check(board, folder / "leaderboards")
        figure_files.check(board.suite, some, folder / FIGURES)

    def render() -> None:
        for board in boards:
            line(f"{board.suite}: digest {board.digest[:12]} is what the rows give")
        line(f"{len(boards)} leaderboards checked, all are up to date")

    emit({"schema_version": 1, "leaderboards": _told(boards), "stale": []}, json=json, render=render)


def can_draw() -> bool:
    """Whether matplotlib is there; it is not imported."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def _told(boards: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"suite": board.suite, "lines": len(board.lines), "digest": board.digest} for board in boards]


def _there(folder: Path) -> Path:
    """The folder of results; SuiteError if one was named that is not there."""
    if not folder.is_dir() and folder != RESULTS:  # asked for by name; a fresh checkout may have no results yet
        raise SuiteError("no such folder", place=f"--results {folder}", hint="rtbench results export SUITE makes one")
    return folder


def _boards(
    given: str | None, folder: Path, rows: Sequence[Mapping[str, Any]]
) -> tuple[list[Leaderboard], list[tuple[Figure, ...]]]:
    """Leaderboard and figures of the suite asked for, or of every one here that has rows or a committed leaderboard."""
    from rtbench.results.figures import build_figures
    from rtbench.results.leaderboard import build_all
    from rtbench.suites.model import load_suite

    suites = [load_suite(name) for name in ([given] if given else _suites(folder, rows))]
    return build_all(suites, rows), [build_figures(suite, rows) for suite in suites]


def _suites(folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every suite here that has rows or a committed leaderboard.

    Rows of a suite that is not installed here (somebody's own) are named and left out; they stop nobody else's.
    """
    from rtbench.results.pages import read_digests
    from rtbench.results.regret import COUNTERFACTUALS
    from rtbench.suites.model import find_suite

    counts = Counter(row["suite"].removesuffix(COUNTERFACTUALS) for row in rows)
    found = []
    for name in sorted(counts.keys() | read_digests(folder / "leaderboards").keys()):
        try:
            find_suite(name, whole=True)
        except RtbenchError:  # unknown, or its plugin is broken
            hint = "install its plugin, or name its .toml file instead"
            note(f"warning: suite {name!r} is not installed here: {counts[name]} rows left out ({hint})")
            continue
        found.append(name)
    return found


def _valid(folder: Path) -> list[Mapping[str, Any]]:
    """The rows of all submissions; InvalidResults if anything is wrong with one."""
    from rtbench.results.checking import check_submissions
    from rtbench.results.submissions import MEND

    checked = check_submissions(folder / "submissions")
    problems = checked.problems
    if problems:
        more = f"\n  (and {len(problems) - 10} more)" if len(problems) > 10 else ""
        raise InvalidResults(
            f"{len(problems)} problems in the submissions:\n  " + "\n  ".join(problems[:10]) + more,
            place=str(folder / "submissions"),
            hint=MEND,
        )
    return checked.rows


@results.command("export")
def results_export(
    suite: SuiteArgument,
    state: StateOption = STATE,
    folder: ResultsOption = RESULTS,
    allow_dirty: Annotated[bool, typer.Option(help="Also rows made with uncommitted changes.")] = False,
    timelines: Annotated[
        bool, typer.Option("--timelines", help="Also what happened when in runs on the wall clock, for the site.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write the suite's finished runs that no submission has yet as one new submission."""
    from rtbench.cli.recordings import keep_recordings
    from rtbench.results.export import export
    from rtbench.suites.model import load_suite

    loaded = load_suite(suite)
    submissions = folder / "submissions"
    problems: list[str] = []
    mine = _of_suite(loaded, state, problems)
    fresh = _not_submitted(mine, submissions, problems)
    tell_set_aside(problems, "not exported, not counted")
    all_there = bool(mine) and not fresh
    path = None if all_there else export(fresh, submissions, suite=loaded.name, allow_dirty=allow_dirty)
    kept = keep_recordings(mine, state, folder) if timelines else []

    def render() -> None:
        line(f"all {len(mine)} rows of {loaded.name} are in a submission already" if all_there else f"wrote {path}")
        if kept:
            line(f"timelines in {kept[0].parent}: {len(kept)}")
        if not all_there:
            shown = suite if suite.endswith(".toml") else loaded.name
            line(f"next: rtbench leaderboard build {shown}" + ("" if folder == RESULTS else f" --results {folder}"))

    written = None if path is None else str(path)
    told = {"written": written, "rows": len(fresh), "timelines": [str(path) for path in kept]}
    emit({"schema_version": 1, **told}, json=json, render=render)


def _of_suite(suite: Suite, state: State, problems: list[str]) -> list[Row]:
    """The newest attempt of runs that the suite, or its regret, started or that are cells of one of its profiles."""
    from rtbench.results.places import open_store
    from rtbench.results.regret import COUNTERFACTUALS
    from rtbench.results.rows import RowStore, latest
    from rtbench.suites.expand import expand
    from rtbench.suites.model import load_suite

    cells: set[str] = set()
    for profile in suite.profiles:
        cells |= {cell.cell_id for cell in expand(load_suite(str(suite.path), profile), support=False)}
    unread: list[str] = []
    rows = RowStore(open_store(state)).stream(unread)
    names = (suite.name, suite.name + COUNTERFACTUALS)
    chosen = latest(row for row in rows if row["suite"] in names or row["cell_id"] in cells)
    problems += [f"{state}/{problem}" for problem in unread]
    return list(chosen.values())


def _not_submitted(rows: Sequence[Row], submissions: Path, problems: list[str]) -> list[Row]:
    """The rows that no readable submission has."""
    from rtbench.results.schema import row_digest
    from rtbench.results.submissions import readable_submissions

    runs = {row["run_id"] for row in rows}
    there = [row for row in readable_submissions(submissions, problems) if row["run_id"] in runs]
    digests, again = {row_digest(row) for row in there}, {row["run_id"] for row in there}
    return [row for row in rows if row["run_id"] not in again or row_digest(row) not in digests]


@results.command("check")
def results_check(
    folder: ResultsOption = RESULTS,
    against: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Also: since the merge base with this commit submissions were only added."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check every submission: schema, digest, identity of each row, duplicates, values that cannot be, size."""
    from rtbench.results.recordings import check_recordings
    from rtbench.results.submissions import submission_files

    if not folder.is_dir():
        raise SuiteError("no such folder", place=str(folder), hint="rtbench results export SUITE makes one")
    problems = check_recordings(folder, _valid(folder))
    if problems:
        told = f"{len(problems)} problems in the timelines:\n  " + "\n  ".join(problems[:10])
        raise InvalidResults(told, place=str(folder), hint="rtbench results export SUITE --timelines writes them")
    files = submission_files(folder / "submissions")
    added = None if against is None else _only_added(folder / "submissions", against)

    def render() -> None:
        line(f"{len(files)} submissions checked, all are valid; next: rtbench leaderboard check")
        if added is not None:
            line(f"since {against} {len(added)} were added and nothing else was touched: {', '.join(added) or '–'}")

    emit({"schema_version": 1, "submissions": len(files), "added": added, "problems": []}, json=json, render=render)


def _only_added(submissions: Path, against: str) -> list[str]:
    """The submissions added since; InvalidResults if one was changed or removed."""
    from rtbench.results.appended import added_since

    added, problems = added_since(submissions, against)
    if problems:
        raise InvalidResults(
            "submissions are append-only:\n  " + "\n  ".join(problems),
            place=str(submissions),
            hint=f"git checkout {against} -- {submissions} puts them back; what is wrong is answered by another row",
        )
    return added
