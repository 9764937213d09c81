"""`rtbench describe timeline RUN`: who computed what when, who learned, and which version of the parameters acted."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.cli.output import emit, line, note, table
from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.interaction.timeline import Timeline
    from rtbench.report.timelines import Learnt
    from rtbench.results.places import State
    from rtbench.results.schema import Row

KINDS = ("timeline", "timelines")
SHORTEST_PREFIX, _SHOWN = 4, 8
MOST_STEPS, _SETTLED_STEPS = 2_000, 240
_TITLE = ("environment", "learner", "scheduler")
_LINES = 40
"""Of the inferences, those that the terminal shows."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A piece of a timeline: `steps` from `first` on; None: what three inferences of each process take."""

    timeline: Timeline
    first: int
    steps: int | None
    learnt: Learnt | None
    about: str


def describe_timeline(
    run: str, begin_s: float, seconds: float | None, svg: Path | None, state: State, results: Path, *, json: bool
) -> None:
    """Tell of a run's timeline from `begin_s` on for some seconds of its world's time, and draw it."""
    from rtbench import files
    from rtbench.cell import cell_from_data
    from rtbench.learners.backs import Backs
    from rtbench.parts import PolicyShape
    from rtbench.plugins import build
    from rtbench.report.timelines import timeline_svg
    from rtbench.results.schema import cell_data

    row = find_row(run, state, results)
    cell: Cell = cell_from_data(cell_data(row))
    spec = build(cell.environment).spec()
    graph = build(cell.architecture).make(PolicyShape.of(spec, spec.action_size))
    first = math.floor(begin_s / spec.step_s + 1e-9)
    steps = None if seconds is None else max(1, math.ceil(seconds / spec.step_s - 1e-9))
    if begin_s < 0 or (steps or 0) > MOST_STEPS:
        raise SuiteError(
            f"a drawing has at most {MOST_STEPS} environment steps, {MOST_STEPS * spec.step_s:g} s, from 0 s on",
            place="--from, --seconds",
        )
    if cell.interaction.clock == "wall":
        shown = _recorded(row, first, steps, state, results)
    else:
        shown = _computed(cell, len(graph.layers), spec.step_s, row["seed"], first, steps)
    backs = Backs.of(graph, cell.interaction, "zero")
    title = " · ".join([*(row[f"{axis}_label"] or row[f"{axis}_name"] for axis in _TITLE), row["run_id"][:12]])
    lags = (1 + backs.newest, 1 + backs.oldest)
    if svg is not None:
        drawn = timeline_svg(
            shown.timeline, title, lags=lags, steps=shown.steps, first=shown.first, learnt=shown.learnt
        )
        files.write(svg.absolute(), drawn.encode(), kind="drawing")
    data = {
        "schema_version": 1,
        "run_id": row["run_id"],
        "clock": cell.interaction.clock,
        "step_ns": shown.timeline.step_ns,
        "first_step": shown.first,
        "about": shown.about,
        "inferences": _inferences(shown),
        "updates": _updates(shown),
        "file": None if svg is None else str(svg),
    }
    emit(data, json=json, render=lambda: _render(title, data))
    if svg is not None:
        note(f"written: {svg}")


def find_row(run: str, state: State, results: Path) -> Row:
    """The newest local row of a run by the first letters of its id, else the best submitted one; SuiteError if none."""
    from rtbench.results.groups import choose
    from rtbench.results.places import open_store
    from rtbench.results.rows import RowStore
    from rtbench.results.submissions import readable_submissions

    if len(run) < SHORTEST_PREFIX:
        raise SuiteError(f"{run!r} is too short for the id of a run", place="RUN", hint="at least 4 letters")
    scan = RowStore(open_store(state)).scan(newest=True, wanted=lambda run_id: run_id.startswith(run.lower()))
    found: dict[str, Row] = {row["run_id"]: row for row in scan.rows}
    handed_in = readable_submissions(results / "submissions", [])
    for row in choose(row for row in handed_in if row["run_id"].startswith(run.lower())):
        found.setdefault(row["run_id"], dict(row))
    if len(found) != 1:
        raise SuiteError(
            f"{len(found) or 'no'} runs in {state} and {results} begin with {run!r}",
            place="RUN",
            allowed=[name[: max(12, len(run) + 4)] for name in sorted(found)[:_SHOWN]],
            hint="rtbench plan SUITE --runs --json names them; --state names another folder",
        )
    (row,) = found.values()
    return row


def _recorded(row: Row, first: int, steps: int | None, state: State, results: Path) -> Shown:
    """What really happened: the stretch of the recording that the step is in; steps count through all of them."""
    from rtbench.cli.recordings import Recordings
    from rtbench.realtime.recording import recording_key
    from rtbench.report.timelines import learnt_beside

    recording = Recordings(state, results, [row]).of(row)
    if recording is None:
        raise SuiteError(
            "what happened when is not kept of this run",
            place=f"{state}/{recording_key(row['run_id'])}",
            hint="it stays in the local state of the machine that ran it, unless results export --timelines kept it",
        )
    found = recording.stretch_of(first)
    if found is None:
        raise SuiteError(f"the run was over after {len(recording.rewards)} environment steps", place="--from")
    stretch, begin = found
    alone = len(recording.stretches) == 1
    about = "on the wall clock, as it happened" + ("" if alone else f"; steps from step {begin} of the run on")
    return Shown(stretch.timeline, first - begin, steps, learnt_beside(recording, stretch), about)


def _computed(cell: Cell, layers: int, step_s: float, seed: int, first: int, steps: int | None) -> Shown:
    """The timeline of the run's evaluation, from its first episode on, computed anew."""
    from rtbench.interaction.timing import draws, timeline_of

    met = dataclasses.replace(cell.interaction, counterfactual="none")
    episode = (0,) if met.on_reset == "restart" and draws(met, layers, step_s) else ()
    length = first + (steps or _SETTLED_STEPS)
    timeline = timeline_of(met, layers, step_s, length, seed, "evaluate", *episode)
    return Shown(timeline, first, steps, None, "on the virtual clock, computed anew: its evaluation's first episode")


def _inferences(shown: Shown) -> list[dict[str, Any]]:
    """Those that are under way in the piece."""
    whole = shown.timeline
    end = shown.first + (shown.steps or whole.steps)
    found = []
    for number in range(len(whole.process)):
        started, finished = int(whole.started_ns[number]), int(whole.finished_ns[number])
        if finished < shown.first * whole.step_ns or started >= end * whole.step_ns:
            continue
        applied = int(whole.apply_step[number])
        found.append(
            {
                "process": int(whole.process[number]),
                "read_step": int(whole.read_step[number]),
                "started_ns": started,
                "finished_ns": finished,
                "apply_step": applied if applied < whole.steps and not whole.dropped[number] else None,
                "version": int(shown.learnt.version[number]) if shown.learnt else None,
            }
        )
    return found


def _updates(shown: Shown) -> list[dict[str, int]]:
    if shown.learnt is None:
        return []
    begin, end = shown.first, shown.first + (shown.steps or shown.timeline.steps)
    columns = zip(shown.learnt.process, shown.learnt.started_ns, shown.learnt.finished_ns, strict=True)
    return [
        {"process": int(process), "started_ns": int(started), "finished_ns": int(finished), "version": number}
        for number, (process, started, finished) in enumerate(columns, 1)
        if finished >= begin * shown.timeline.step_ns and started < end * shown.timeline.step_ns
    ]


def _render(title: str, data: dict[str, Any]) -> None:
    line(title)
    line(data["about"])
    told = data["inferences"][:_LINES]
    learnt = any(each["version"] is not None for each in told)
    head = ("process", "reads step", "from, ms", "to, ms", "acts from step", *(("version",) if learnt else ()))
    cells = [
        [
            str(each["process"] + 1),
            str(each["read_step"]),
            f"{each['started_ns'] / 1e6:.3f}",
            f"{each['finished_ns'] / 1e6:.3f}",
            "–" if each["apply_step"] is None else str(each["apply_step"]),
            *((str(each["version"]),) if learnt else ()),
        ]
        for each in told
    ]
    table(head, cells)
    if len(data["inferences"]) > _LINES:
        line(f"and {len(data['inferences']) - _LINES} more inferences (--json has all)")
    if data["updates"]:
        line(
            f"{len(data['updates'])} updates of {len({each['process'] for each in data['updates']})} learner processes"
        )
