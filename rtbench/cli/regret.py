"""`rtbench regret SUITE`: where the cells of a suite lose return: by inaction, by delay, by learning."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.exact import show_exact
from rtbench.cli.output import JsonOption, emit, line, note, table
from rtbench.cli.results import RESULTS, STATE, ResultsOption, StateOption, SuiteArgument, tell_set_aside
from rtbench.cli.running import FAILED, SHOWN_FAILURES, STOPPED, OnlyOption, ProfileOption
from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from rtbench.results.places import State
    from rtbench.results.regret import Decomposition, Estimate, Worlds
    from rtbench.suites.expand import SuiteCell
    from rtbench.suites.model import Suite

EARNED = ("rtbench/return_agent", "rtbench/return_default")
"""Return of an episode by whose steps it was earned on, the agent's or the default policy's, if a learner tells it."""


@dataclass(frozen=True)
class Found:
    """A cell, and what became of its regret: the terms, or why there are none."""

    cell: SuiteCell
    terms: Decomposition | None
    best: str
    why: str
    earned: Mapping[str, float]

    def data(self) -> dict[str, Any]:
        """Plain data."""
        met = self.cell.cell.interaction
        named = {
            "environment": self.cell.environment,
            "method": self.cell.method,
            "scheduler": met.scheduler.label or met.scheduler.name,
            "execution": met.execution,
            "delta": met.delta,
            "processes": met.processes,
            "learner": self.cell.cell.learner.title,
            "cell_id": self.cell.cell_id,
        }
        told = self.terms.data() | {"best_known": self.best} if self.terms else {"why": self.why}
        return {**named, **told, **self.earned}


def regret(
    suite: SuiteArgument,
    profile: ProfileOption = "paper",
    only: OnlyOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Instead, measured regret beside the formulas', where a learner knows them.")
    ] = False,
    run: Annotated[bool, typer.Option(help="Run the counterfactual cells that have no result yet.")] = True,
    jobs: Annotated[int, typer.Option(help="Processes at a time; 0 = one per core.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the estimates to this CSV.")] = None,
    state: StateOption = STATE,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> int:
    """Regret taken apart: what acting too seldom, acting late and learning cost each cell, as estimates.

    inaction = J(instant) − J(the same steps without a new action, every action on the newest observation);
    delay = that − J(the cell); learning = J(instant, best known) − J(instant, this learner and budget).
    """
    from rtbench.results.regret import why_not
    from rtbench.suites.model import load_suite

    if jobs < 0:
        raise SuiteError(f"--jobs must be at least 0, got {jobs}", place="--jobs")
    loaded = load_suite(suite, profile)
    chosen = _chosen(loaded, only or [])
    if exact:
        show_exact(loaded, chosen, _rows(loaded, state, results), output, json=json)
        return 0
    apart = {cell.cell_id: _worlds(cell) for cell in chosen if why_not(cell.cell) is None}
    needed = _needed(loaded, apart)
    code = _execute(loaded, needed, state, jobs, quiet=json) if run else 0
    if code == STOPPED:
        note("stopped; everything is kept, and the same command continues it")
        return code
    found = _estimates(loaded, chosen, apart, needed, _rows(loaded, state, results))
    if output is not None:
        _write(output, found)
    data = {"schema_version": 1, "suite": loaded.name, "profile": profile, "cells": [one.data() for one in found]}
    emit(data, json=json, render=lambda: _show(loaded, found))
    return code


def _chosen(loaded: Suite, only: Sequence[str]) -> list[SuiteCell]:
    """The cells of the suite that are run at all and that `--only` keeps."""
    from rtbench.executors.planning import parse_only
    from rtbench.suites.added import expand_with_plugins
    from rtbench.suites.match import holds, view

    cells, problems = expand_with_plugins(loaded)
    for problem in problems:
        note(f"warning: {problem}")
    match = parse_only(only, cells)
    return [
        cell
        for cell in cells
        if not (cell.excluded or cell.unsupported) and (not match or holds(match, view(cell.cell)))
    ]


def _worlds(cell: SuiteCell) -> Worlds:
    from rtbench.plugins import use
    from rtbench.results.regret import worlds

    return worlds(cell.cell, use("schedulers", "one-process"))


def _needed(loaded: Suite, apart: Mapping[str, Worlds]) -> dict[str, SuiteCell]:
    """Every cell that is compared, as the suite's seeds ask for it, by cell_id."""
    from rtbench.suites.expand import expand
    from rtbench.suites.identity import cell_id

    cells = [cell for worlds in apart.values() for cell in worlds.cells]
    wanted = {cell_id(cell) for cell in cells}
    return {cell.cell_id: cell for cell in expand(loaded, added=cells) if cell.cell_id in wanted}


def _execute(loaded: Suite, needed: Mapping[str, SuiteCell], state: State, jobs: int, *, quiet: bool) -> int:
    """Run what has no result yet; the exit code."""
    import dataclasses

    from rtbench.cli.progress import Display
    from rtbench.executors.planning import COLUMNS, make_jobs, plan_runs
    from rtbench.plugins import build, use
    from rtbench.results.places import open_store
    from rtbench.results.regret import COUNTERFACTUALS
    from rtbench.results.rows import RowStore

    runs = {run for cell in needed.values() for run in cell.run_ids}
    scan = RowStore(open_store(state)).scan(wanted=runs.__contains__, columns=COLUMNS, newest=True)
    planned = plan_runs(needed.values(), {row["run_id"]: row for row in scan.rows})
    # Under a name of their own, so that the suite's leaderboard does not take them for rows of an earlier self.
    theirs = dataclasses.replace(loaded, name=loaded.name + COUNTERFACTUALS)
    work = make_jobs(theirs, planned)
    if not work:
        return 0
    if not quiet:
        line(f"{loaded.title} ({loaded.name}, profile {loaded.profile}): {len(work)} runs to do")
    display = Display(work, quiet=quiet)
    if isinstance(state, Path):
        state.mkdir(parents=True, exist_ok=True)
    execution = build(use("executors", "local", {"jobs": jobs, "retries": loaded.retries})).make(state, display)
    with display:
        stopped = execution.run(work)
    lost = {run_id: ended for run_id, ended in display.finished.items() if ended.status != "ok"}
    for run_id, ended in list(lost.items())[:SHOWN_FAILURES]:
        note(f"{ended.status}: {run_id[:12]}: {ended.reason}")
    if len(lost) > SHOWN_FAILURES:
        note(f"... and {len(lost) - SHOWN_FAILURES} more")
    return STOPPED if stopped else FAILED if lost else 0


def _rows(loaded: Suite, state: State, results: Path) -> list[Mapping[str, Any]]:
    """All local and submitted rows, one per run: what is best known may be anybody's."""
    from rtbench.results.groups import choose
    from rtbench.results.places import open_store
    from rtbench.results.regret import COLUMNS, metric_of
    from rtbench.results.rows import RowStore
    from rtbench.results.submissions import readable_submissions
    from rtbench.results.summary import metric_column

    metric = metric_of(loaded.leaderboard.metric)
    columns, problems = tuple(dict.fromkeys((*COLUMNS, metric_column(metric)))), list[str]()
    local = RowStore(open_store(state)).stream(problems, columns=columns, newest=True)
    rows = choose(itertools.chain(local, readable_submissions(results / "submissions", problems, columns)))
    tell_set_aside(problems)
    return rows


def _estimates(
    loaded: Suite,
    chosen: Sequence[SuiteCell],
    apart: Mapping[str, Worlds],
    needed: Mapping[str, SuiteCell],
    rows: Sequence[Mapping[str, Any]],
) -> list[Found]:
    """The terms of every cell."""
    from rtbench.results.regret import metric_of, take_apart, why_not
    from rtbench.suites.identity import cell_id

    by_cell: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_cell.setdefault(row["cell_id"], []).append(row)
    terms = take_apart(apart, rows, metric_of(loaded.leaderboard.metric), loaded.seeds)
    found = []
    for cell in chosen:
        if cell.cell_id not in apart:
            found.append(Found(cell, None, "", why_not(cell.cell) or "", {}))
            continue
        mine, whose = terms[cell.cell_id]
        names = [cell_id(world) for world in apart[cell.cell_id].cells]
        why = "" if mine else _why([needed[name] for name in names if name in needed], by_cell)
        found.append(Found(cell, mine, whose, why, _earned(by_cell.get(cell.cell_id, []))))
    return found


def _why(cells: Sequence[SuiteCell], by_cell: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Why the three worlds of a cell cannot be compared."""
    for cell in cells:
        if cell.unsupported:
            return cell.unsupported
        for row in by_cell.get(cell.cell_id, ()):
            if row["status"] != "ok":
                return f"a run {row['status']}: {row['reason']}"
    return "no seed has a result in all three worlds"


def _earned(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean over rows of what was earned on whose steps."""
    out = {}
    for name in EARNED:
        told = [row["extras"][name] for row in rows if row["status"] == "ok" and name in (row["extras"] or {})]
        if told:
            out[_key(name)] = sum(told) / len(told)
    return out


def _key(extra: str) -> str:
    return extra.partition("/")[2]


# ---- showing ---------------------------------------------------------------------------------------------------------


def _show(loaded: Suite, found: Sequence[Found]) -> None:
    from rtbench.results.regret import TERMS, metric_of

    line(f"{loaded.title} ({loaded.name}, profile {loaded.profile}, {metric_of(loaded.leaderboard.metric)})")
    told = [name.partition("_")[2] for name in EARNED if any(_key(name) in one.earned for one in found)]
    heads = ["environment", "method", "scheduler", "δ", "N", "return", *(f"of it by {who}" for who in told), *TERMS]
    rows = []
    for one in found:
        met = one.cell.cell.interaction
        speed = f"{met.delta:g}" if met.delta else met.execution if met.latency is None else "latency"
        scheduler = met.scheduler.label or met.scheduler.name
        row = [one.cell.environment, one.cell.method, scheduler, speed, str(met.processes)]
        if one.terms is None:
            row += [one.why]
        else:
            earned = [one.earned.get(f"return_{who}") for who in told]
            row += [f"{one.terms.returns['actual']:.4g}", *("" if part is None else f"{part:.4g}" for part in earned)]
            row += [_with_interval(one.terms.terms[name]) for name in TERMS]
        rows.append([*row, *[""] * (len(heads) - len(row))])
    table(heads, rows)
    line("Estimates with 95 % intervals over seeds (bootstrap), in returns; total = inaction + delay + learning.")
    for environment in dict.fromkeys(one.cell.environment for one in found):
        whose = sorted({one.best for one in found if one.terms and one.cell.environment == environment})
        if whose:
            line(f"best known in {environment}: {', '.join(whose)}")


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def _write(path: Path, found: Sequence[Found]) -> None:
    """The estimates as CSV, one line per cell that has them."""
    import csv
    import io

    from rtbench import files
    from rtbench.results.regret import TERMS

    heads = ("environment", "method", "scheduler", "execution", "delta", "processes", "learner", "cell_id")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    bounds = [f"{name}{end}" for name in TERMS for end in ("", "_low", "_high")]
    earned = [_key(name) for name in EARNED]
    writer.writerow([*heads, "seeds", "return", *earned, *bounds, "best_known"])
    for one in found:
        if one.terms is None:
            continue
        data = one.data()
        numbers = [one.terms.returns["actual"], *(one.earned.get(name) for name in earned)]
        numbers += [data[name][end] for name in TERMS for end in ("value", "low", "high")]
        told = ["" if number is None else f"{number:.6g}" for number in numbers]
        writer.writerow([*(data[name] for name in heads), len(one.terms.seeds), *told, one.best])
    files.write(path.absolute(), text.getvalue().encode(), kind="regret")
