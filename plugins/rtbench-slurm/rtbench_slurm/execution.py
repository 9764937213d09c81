"""Handing jobs over to SLURM, and following them there if asked to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.errors import RtbenchError, SuiteError
from rtbench.executors.handed import Handed, Place, whereabouts, write
from rtbench.executors.jobs import Job, StatePaths
from rtbench.executors.recording import standing, told
from rtbench.executors.stopping import Stopping
from rtbench.results.places import shared_store
from rtbench.results.rows import RowStore

from rtbench_slurm.submission import arrays, check, submit

if TYPE_CHECKING:
    from rtbench.results.places import State

    from rtbench_slurm.executor import Params

NAME = "slurm/slurm"
FOLDER = "slurm"
_TURN_S = 0.2


@dataclass
class Followed:
    """A job that was handed over: which of its runs are not settled, and what was told of it."""

    job: Job
    open: set[int] = field(default_factory=set)
    started: bool = False
    progress: bytes = b""


class SlurmExecution:
    """Submits what is not in the queue yet and returns, or stays until it is done (`follow`)."""

    def __init__(self, state: State, tell: Callable[[dict[str, Any]], None], params: Params) -> None:
        check(params)
        self._state, self._tell, self._params = state, tell, params
        self._folder = _folder(state, params.folder)
        self.slots = params.array_parallelism * (params.jobs or 1)

    def run(self, jobs: Sequence[Job]) -> bool:
        """Hand the jobs over; True if it was following them and was asked to stop, which leaves the queue as it is."""
        self._store = shared_store(self._state)
        self._submit(jobs)
        return self._follow(jobs) if self._params.follow else False

    def _submit(self, jobs: Sequence[Job]) -> None:
        """What the queue has already stays as it is: a run is handed over once at a time."""
        places = self._places(jobs)
        lost = [place.words for place in places.values() if place.where == "unknown"]
        if lost:
            raise RtbenchError(lost[0], place="--executor slurm", hint="nothing was submitted")
        there = {run for run, place in places.items() if place.where in ("queued", "running")}
        if there:
            self._note(f"{len(there)} run(s) are in the queue already")
        left = [_without(job, there) for job in jobs]
        state = str(self._state.resolve() if isinstance(self._state, Path) else self._state)
        for array in arrays([job for job in left if job], self._params):
            names = submit(array, state, self._folder, self._params)
            runs = [tuple(run for job in task for run in job.run_ids) for task in array.tasks]
            write(self._store, Handed(NAME, dict(zip(names, runs, strict=True))))
            self._note(
                f"submitted {sum(map(len, runs))} run(s) as {len(names)} task(s) of job {names[0].partition('_')[0]}; "
                f"logs: {self._folder}"
            )

    def _places(self, jobs: Sequence[Job]) -> dict[str, Place]:
        places = whereabouts(self._store, {run for job in jobs for run in job.run_ids})
        return {run: place for run, place in places.items() if place.executor == NAME}

    # ---- following -------------------------------------------------------------------------------------------------

    def _follow(self, jobs: Sequence[Job]) -> bool:
        """Tell of the jobs until all runs are settled or lost, and the queue has none of their tasks any more."""
        rows = RowStore(self._store)
        followed = [Followed(job, set(range(len(job.run_ids)))) for job in jobs]
        with Stopping() as stopping:
            while not stopping:
                # The queue is asked first: what has left it by then has written its rows before.
                places = self._places(jobs)
                for one in followed:
                    self._look(one, rows, places)
                if not any(place.where != "gone" for place in places.values()):
                    return False
                until = time.monotonic() + self._params.poll_s
                while not stopping and time.monotonic() < until:
                    time.sleep(_TURN_S)
        self._note("the queue goes on with its runs; scancel ends a job, with its checkpoints kept")
        return True

    def _look(self, one: Followed, rows: RowStore, places: dict[str, Place]) -> None:
        """Tell what has changed with a job."""
        found: dict[int, dict[str, Any]] = {}
        here: list[Place] = []
        for index in sorted(one.open):
            run_id = one.job.run_ids[index]
            row = standing(rows, run_id, one.job.attempts[index], self._params.retries)
            place = places.get(run_id)
            if not isinstance(row, int):
                found[index] = told(row)
            elif place is None or place.where == "gone":
                why = "its task is not in the queue any more; run the same command again to continue"
                found[index] = {"status": "interrupted", "reason": why}
            else:
                here.append(place)
        if not one.started and (found or any(place.where == "running" for place in here)):
            one.started = True
            self._tell({"event": "started", "job": one.job.key, "title": one.job.title})
        if any(place.where == "running" for place in here):
            self._progress(one)
        if found:
            one.open -= set(found)
            self._tell(one.job.only(sorted(found)).finished([found[index] for index in sorted(found)]))

    def _progress(self, one: Followed) -> None:
        """What its worker has left in the state, if that is new."""
        try:
            value = self._store.read(StatePaths(self._state, one.job.key).progress)
            values = json.loads(value)
        except (KeyError, ValueError):
            return
        if value != one.progress:
            one.progress = value
            known = ("done_units", "total_units", "unit", "units_per_s", "wall_s", "runs")
            about = {"event": "progress", "job": one.job.key, "title": one.job.title}
            self._tell(about | {name: values[name] for name in known})

    def _note(self, text: str) -> None:
        self._tell({"event": "note", "text": text})


def _folder(state: State, given: str) -> Path:
    """Where tasks and logs lie: as given, else in the state, which a bucket cannot be for sbatch."""
    if given:
        return Path(given).resolve()
    if isinstance(state, Path):
        return state.resolve() / FOLDER
    raise SuiteError(
        "sbatch reads tasks from a folder and writes logs there, and the state is a bucket",
        place="--folder",
        hint="give a folder that all nodes reach: --folder /shared/rtbench-slurm",
    )


def _without(job: Job, there: set[str]) -> Job | None:
    """A job without the runs that are somewhere already; None if all are."""
    left = [index for index, run_id in enumerate(job.run_ids) if run_id not in there]
    return job.only(left) if left else None
