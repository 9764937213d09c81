"""`rtbench plan`, `rtbench run`, `rtbench status`: what a suite still has to do, doing it, and how far it is."""

from __future__ import annotations

import itertools
import json as json_module
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.costs import ONLY_PLANNED, MachineOption, PriceOption, RunnersOption, core_hours, priced
from rtbench.cli.executor_options import build_executor, with_executor_options
from rtbench.cli.output import JsonOption, emit, line, note, same_command, table
from rtbench.cli.results import RESULTS, STATE, ResultsOption, StateOption, SuiteArgument, tell_set_aside
from rtbench.errors import SuiteError
from rtbench.results.places import local_folder

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.cli.progress import Ended
    from rtbench.executors.planning import PlannedRun, Rerun
    from rtbench.results.places import State
    from rtbench.suites.model import Suite

ProfileOption = Annotated[str, typer.Option(help="The suite's profile.")]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="axis.key=value, e.g. environment.id=Hopper-v4; may be repeated.")
]
SeedsOption = Annotated[str | None, typer.Option(help="Seeds of the suite to keep, e.g. 0,1 or 0..2.")]
RerunOption = Annotated[str, typer.Option(help="What besides missing runs starts: never, failed, stale or all.")]
CONFIRM_HOURS = 1.0
FAILED, STOPPED = 1, 130
SHOWN_FAILURES = 3


def plan(
    suite: SuiteArgument,
    profile: ProfileOption = "paper",
    only: OnlyOption = None,
    seeds: SeedsOption = None,
    rerun: RerunOption = "failed",
    runs: Annotated[bool, typer.Option("--runs", help="List every run.")] = False,
    machine: MachineOption = None,
    runners: RunnersOption = 1,
    price: PriceOption = None,
    state: StateOption = STATE,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """What `run` would start and why, what is done, failed or unsupported, and what it would cost."""
    from rtbench.executors.planning import counts

    loaded, planned, rows = _plan(suite, profile, only, seeds, rerun, state)
    cost = priced(planned, itertools.chain(rows, _submitted(results)), machine, runners, price)
    data = {
        "schema_version": 1,
        "suite": loaded.name,
        "profile": loaded.profile,
        "counts": counts(planned),
        "starts": sum(run.starts for run in planned),
        **cost.data(),
        "runs": [run.data() for run in planned],
    }

    def render() -> None:
        line(f"{loaded.title} ({loaded.name}, profile {loaded.profile})")
        line(f"{len(planned)} runs: " + ", ".join(f"{count} {name}" for name, count in counts(planned).items()))
        _table(planned, each=runs)
        line(f"{data['starts']} would start, about {cost.words()}")
        for reason in sorted(
            {f"{run.state}: {run.why}" for run in planned if run.state in ("unsupported", "excluded")}
        ):
            line(reason)
        line(_plan_hint(planned, suite, profile))

    emit(data, json=json, render=render)


def _plan_hint(planned: list[PlannedRun], suite: str, profile: str) -> str:
    """What to do after looking at a plan."""
    same = same_command("run", without=("--runs",), without_values=ONLY_PLANNED)
    if any(run.starts for run in planned):
        return f"next: {same}"
    stale = sum(run.state == "stale" for run in planned)
    if stale:
        return f"nothing starts; {stale} results are stale: {same} --rerun stale"
    return f"nothing to start; next: rtbench report {suite}" + (f" --profile {profile}" if profile != "paper" else "")


@with_executor_options
def run(
    suite: SuiteArgument,
    profile: ProfileOption = "paper",
    only: OnlyOption = None,
    seeds: SeedsOption = None,
    rerun: RerunOption = "failed",
    jobs: Annotated[int, typer.Option(help="Processes at a time; 0 = one per core.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of arithmetic per process.")] = 1,
    batch: Annotated[
        str, typer.Option(metavar="N|auto", help="Seeds of one cell in one process; auto: by a GPU's memory.")
    ] = "1",
    executor: Annotated[
        str, typer.Option(help="Where runs are executed (rtbench list executors); with --help its options.")
    ] = "local",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the executor, key=value (JSON); may be repeated.")
    ] = None,
    wait: Annotated[
        bool, typer.Option(help="Wait for runs that other runners work on, and take over those of dead ones.")
    ] = True,
    track: Annotated[
        str | None, typer.Option(help="Show runs while they go on: tensorboard, wandb, or both (a,b).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="On a terminal, do not ask before long work.")] = False,
    state: StateOption = STATE,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> int:
    """Run what a suite still misses; stop and continue at any time."""
    from rtbench import tracking
    from rtbench.cli.progress import Display
    from rtbench.executors.estimates import estimate
    from rtbench.executors.planning import counts, make_jobs

    for name, value, least in (("--jobs", jobs, 0), ("--threads", threads, 1)):
        if value < least:
            raise SuiteError(f"{name} must be at least {least}, got {value}", place=name)
    os.environ[tracking.VARIABLE] = ",".join(tracking.asked(track))  # for the processes that this one starts
    loaded, planned, rows = _plan(suite, profile, only, seeds, rerun, state)
    cost = estimate(planned, itertools.chain(rows, _submitted(results)))
    work = make_jobs(loaded, planned, batch=_batch(batch), threads=threads)
    how = {"jobs": jobs, "threads": threads, "retries": loaded.retries} | ({} if wait else {"wait": False})
    part = build_executor(executor, how, settings or [])
    display = Display(work, quiet=json)
    execution = part.make(state, display)
    slots = getattr(execution, "slots", 1)
    if not json:
        line(f"{loaded.title} ({loaded.name}, profile {loaded.profile})")
        line(f"{len(planned)} runs: " + ", ".join(f"{count} {name}" for name, count in counts(planned).items()))
    if work and not json:
        line(f"{len(work)} to do, about {core_hours(cost.core_hours)} on {slots} at a time ({cost.basis})")
    if cost.core_hours > CONFIRM_HOURS and not yes and sys.stdin.isatty():
        typer.confirm(f"This is about {core_hours(cost.core_hours)} of work. Go on?", abort=True)
    unsupported = sorted({found.why for found in planned if found.state == "unsupported"})
    stale = sum(found.state == "stale" and not found.starts for found in planned)
    del planned, rows  # the work may last for days
    stopped = False
    if work:
        try:
            local_folder(state).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SuiteError(f"cannot make the folder: {error.strerror}", place=f"--state {state}") from None
        with display:
            stopped = execution.run(work)
    fine = ("ok", "interrupted") if stopped else ("ok",)  # interrupted without being asked: a full disk, say
    failed = {run_id: ended for run_id, ended in display.finished.items() if ended.status not in fine}
    if work and not (stopped or display.finished or json):  # handed on: a queue has the runs now
        line(f"next: rtbench status {suite}" + (f" --profile {profile}" if profile != "paper" else ""))
        return 0
    _end(suite, profile, loaded, display.finished, failed, unsupported, stale, stopped, state, results, json)
    return STOPPED if stopped else FAILED if failed else 0


def _end(
    suite: str,
    profile: str,
    loaded: Suite,
    finished: dict[str, Ended],
    failed: dict[str, Ended],
    unsupported: list[str],
    stale: int,
    stopped: bool,
    state: State,
    results: Path,
    json: bool,
) -> None:
    """The last words of a run: JSON, or the table, what failed, what to do next."""
    from rtbench.cli.report import report

    chosen = f" --profile {profile}" if profile != "paper" else ""
    if json:
        runs = [{"run_id": run_id, **ended._asdict()} for run_id, ended in finished.items()]
        data = {"schema_version": 1, "suite": loaded.name, "profile": loaded.profile, "stopped": stopped, "runs": runs}
        emit(data, json=True, render=lambda: None)
        return
    if stopped:
        line()
        line(f"stopped; everything is kept. Continue with: {same_command('run')}")
        return
    line()
    report(suite, profile=profile, state=state, folder=results, json=False)
    for run_id, ended in list(failed.items())[:SHOWN_FAILURES]:
        note(f"{ended.status}: {run_id[:12]}: {ended.reason}")
    if len(failed) > SHOWN_FAILURES:
        note(f"... and {len(failed) - SHOWN_FAILURES} more: rtbench status {suite}{chosen}")
    for reason in unsupported:
        note(f"unsupported: {reason}")
    if failed:
        note(f"{len(failed)} run(s) did not succeed; the others are kept. Again: {same_command('run')}")
    if stale:
        note(
            f"{stale} result(s) are stale: a part's code has changed since. "
            f"To compute them anew: {same_command('run')} --rerun stale"
        )


def status(
    suite: SuiteArgument,
    profile: ProfileOption = "paper",
    state: StateOption = STATE,
    json: JsonOption = False,
) -> None:
    """How far a suite is: runs by state, what is running now and how fast, what failed and why."""
    from rtbench.cli import handed_on
    from rtbench.executors.handed import whereabouts
    from rtbench.executors.planning import counts
    from rtbench.results.places import open_store

    loaded, planned, _ = _plan(suite, profile, None, None, "failed", state)
    run_ids = {found.run_id for found in planned}
    running = running_now(state, run_ids)
    places = handed_on.still_open(planned, whereabouts(open_store(state), run_ids))
    failed = [found for found in planned if found.state in ("failed", "timeout")]
    data = {
        "schema_version": 1,
        "suite": loaded.name,
        "profile": loaded.profile,
        "counts": counts(planned),
        "running": running,
        "handed_on": handed_on.data(places),
        "failed": [found.data() for found in failed],
    }

    units = {budget.unit for budget in loaded.budgets}
    unit = units.pop() if len(units) == 1 else "units"

    def render() -> None:
        line(
            f"{loaded.name}, profile {loaded.profile}: {len(planned)} runs: "
            + ", ".join(f"{count} {name}" for name, count in counts(planned).items())
        )
        for text in handed_on.lines(places, same_command("run")):
            line(text)
        for found in running:
            share = 100 * found["done_units"] / found["total_units"]
            gone = "not running any more; the next `rtbench run` continues it"
            alive = f"running on {found['host']}, pid {found['pid']}" if found["alive"] else gone
            line(f"{share:5.1f} %   {found['title']}   {found['units_per_s']:g} {unit}/s   {alive}")
        for lost in failed:
            line(f"{lost.state}: {lost.cell.environment} · {lost.cell.method} · seed {lost.seed}: {lost.why}")

    emit(data, json=json, render=render)


# ---- shared ----------------------------------------------------------------------------------------------------------


def _plan(
    suite: str, profile: str, only: list[str] | None, seeds: str | None, rerun: str, state: State
) -> tuple[Suite, list[PlannedRun], Iterator[Mapping[str, Any]]]:
    """The suite, its runs as they stand, and what all local rows tell of speeds, read when it is asked for."""
    from rtbench.executors.estimates import SPEED_COLUMNS
    from rtbench.executors.planning import COLUMNS, RERUN, parse_only, plan_runs
    from rtbench.results.places import open_store
    from rtbench.results.rows import RowStore
    from rtbench.suites.added import expand_with_plugins
    from rtbench.suites.model import load_suite

    if rerun not in RERUN:
        raise SuiteError(f"unknown choice {rerun!r}", place="--rerun", given=rerun, allowed=RERUN)
    if isinstance(state, Path) and state.exists() and not state.is_dir():
        raise SuiteError("the local state is a folder, and this is none", place=f"--state {state}")
    chosen: Rerun = rerun  # type: ignore[assignment]
    loaded = load_suite(suite, profile)
    cells, problems = expand_with_plugins(loaded)
    for problem in problems:
        note(f"warning: {problem}")
    runs = {run for cell in cells for run in cell.run_ids}
    store = RowStore(open_store(state))
    scan = store.scan(wanted=runs.__contains__, columns=COLUMNS, newest=True)
    tell_set_aside([f"{state}/{problem}" for problem in scan.problems])
    others = store.stream([], wanted=lambda run: run not in runs, columns=SPEED_COLUMNS, newest=True)
    planned = plan_runs(
        cells,
        {row["run_id"]: row for row in scan.rows},
        rerun=chosen,
        match=parse_only(only or [], cells),
        seeds=_seeds(seeds, loaded.seeds),
    )
    return loaded, planned, itertools.chain(scan.rows, others)


def _submitted(results: Path) -> Iterator[Mapping[str, Any]]:
    """What submissions tell of speeds; those that cannot be read are named."""
    from rtbench.executors.estimates import SPEED_COLUMNS
    from rtbench.results.submissions import readable_submissions

    problems: list[str] = []
    yield from readable_submissions(results / "submissions", problems, SPEED_COLUMNS)
    tell_set_aside(problems)


def _batch(text: str) -> int | Callable[[Cell], int]:
    """How many seeds of a cell share a process; SuiteError if it is neither a number from 1 on nor `auto`."""
    from rtbench.executors.packing import automatic

    if text == "auto":
        return automatic
    if not text.isdecimal() or int(text) < 1:
        raise SuiteError(f"--batch must be at least 1, or auto, got {text}", place="--batch")
    return int(text)


def _seeds(text: str | None, known: tuple[int, ...]) -> list[int] | None:
    if text is None:
        return None
    wanted: list[int] = []
    try:
        for part in text.split(","):
            first, dots, last = part.partition("..")
            wanted += range(int(first), int(last) + 1) if dots else [int(first)]
    except ValueError:
        raise SuiteError(f"not seeds: {text!r}", place="--seeds", hint="write 0,1 or 0..2") from None
    unknown = [seed for seed in wanted if seed not in known]
    if unknown:
        allowed = [str(seed) for seed in known]
        raise SuiteError(f"seed {unknown[0]} is not among this profile's", place="--seeds", allowed=allowed)
    return wanted


def running_now(state: State, run_ids: set[str]) -> list[dict[str, Any]]:
    """What runs told last, and by their leases whether their process lives; of another machine that is taken for so."""
    from rtbench.executors.jobs import PROGRESS
    from rtbench.executors.leases import current
    from rtbench.results.places import open_store

    store, found = open_store(state), []
    for key in store.list(f"{PROGRESS}/"):
        try:
            told = json_module.loads(store.read(key))
        except (KeyError, ValueError):
            continue
        mine = run_ids & set(told.get("run_ids", ()))
        if mine:
            lease = current(store, min(mine))
            alive = lease is not None and not lease.released and not lease.holder.dead
            found.append({**told, "alive": alive, "host": lease.holder.host if lease else ""})
    return found


def _table(planned: list[PlannedRun], *, each: bool) -> None:
    if each:
        rows = [
            [
                run.cell.environment,
                run.cell.method,
                _speed(run),
                run.seed,
                run.state,
                "yes" if run.starts else "",
                run.why,
            ]
            for run in planned
        ]
        table(["environment", "method", "delta", "seed", "state", "starts", "why"], rows)
        return
    groups: dict[tuple[str, str, str], list[PlannedRun]] = {}
    for run in planned:
        groups.setdefault((run.cell.environment, run.cell.method, run.state), []).append(run)
    rows = [
        [environment, method, ", ".join(dict.fromkeys(_speed(run) for run in runs)), state, len(runs)]
        for (environment, method, state), runs in groups.items()
    ]
    table(["environment", "method", "delta", "state", "runs"], rows)


def _speed(run: PlannedRun) -> str:
    interaction = run.cell.cell.interaction
    return f"{interaction.delta:g}" if interaction.delta else interaction.execution
