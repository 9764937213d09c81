"""Conformance of executors: every run of every job gets its row, one that fails stops no other."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from rtbench import plugins
from rtbench.cell import Cell, RunBatch
from rtbench.executors.jobs import CHECKPOINTS, Job
from rtbench.results.rows import RowStore
from rtbench.results.schema import identity_problem
from rtbench.results.store import FolderStore
from rtbench.suites.identity import run_ids
from rtbench.testing import samples
from rtbench.testing.base import PartConformance, once, require

FIELDS = {
    "started": {"job", "title"},
    "progress": {"job", "title", "done_units", "total_units", "unit", "units_per_s", "wall_s"},
    "finished": {"job", "title", "total_units", "runs"},
    "note": {"text"},
}


class Execution(NamedTuple):
    """What became of some jobs: rows by run, every event, what `run` answered, what lay in the state afterwards."""

    rows: dict[str, dict[str, Any]]
    events: list[dict[str, Any]]
    stopped: Any
    left: list[str]


class ExecutorConformance(PartConformance):
    """Checks an executor with `params` by running three small jobs for real: one run, two runs at once, one that fails.

    Rows are read from the local state afterwards, whatever machine did the work.
    """

    kind = "executors"

    def jobs(self) -> list[Job]:
        """One run; two runs trained together; one whose network cannot be made."""
        broken = plugins.use("architectures", "mlp", {"layers": 3, "width": 8})
        broken = dataclasses.replace(broken, params={**broken.params, "width": -1})
        fine = samples.cell()
        slow = samples.cell(interaction=samples.interaction("sequential", 1.0))
        return [_job(fine, (1,)), _job(slow, (1, 2)), _job(samples.cell(architecture=broken), (1,))]

    def execute(self, state: Path, jobs: list[Job]) -> Execution:
        """Run jobs with their state in a folder."""
        events: list[dict[str, Any]] = []
        stopped = self.build().make(state, events.append).run(jobs)
        left = sorted(path.name for path in (state / CHECKPOINTS).rglob("*") if path.is_file())
        return Execution(dict(RowStore(FolderStore(state)).latest()), events, stopped, left)

    @once
    def executions(self) -> tuple[Execution, Execution]:
        """All jobs, and all jobs again in the same state."""
        with tempfile.TemporaryDirectory() as folder:
            return self.execute(Path(folder), self.jobs()), self.execute(Path(folder), self.jobs()[:2])

    @property
    def first(self) -> Execution:
        """The first time."""
        return self.executions()[0]

    def test_every_run_has_a_row(self) -> None:
        """Also that which failed, and both of two that were trained together."""
        wanted = {run for job in self.jobs() for run in job.run_ids}
        require(set(self.first.rows) == wanted, f"{len(self.first.rows)} rows of {len(wanted)} runs")

    def test_rows_are_of_their_runs(self) -> None:
        """The identity in a row is what its own columns give."""
        for row in self.first.rows.values():
            require(not identity_problem(row), str(identity_problem(row)))

    def test_what_can_run_ends_well(self) -> None:
        """Status ok, and a score."""
        for job in self.jobs()[:2]:
            for run in job.run_ids:
                row = self.first.rows[run]
                require(row["status"] == "ok", f"{job.title}: {row['status']}, {row['reason']}")
                require(row["eval_return_final"] is not None, f"{job.title} has no score")

    def test_failure_is_told_and_stops_nothing(self) -> None:
        """A run that raises has status failed, the reason and the kind of error in its row."""
        row = self.first.rows[self.jobs()[2].run_ids[0]]
        require(row["status"] == "failed", f"a run that raises has status {row['status']}")
        require(row["reason"] and row["error_type"], "a failed run says neither why nor what it was")

    def test_results_are_those_of_the_program(self) -> None:
        """What it writes is what the learner's program gives in this process."""
        for job in self.jobs()[:2]:
            program = plugins.build(job.cell.learner).make(RunBatch(job.cell, job.seeds))
            while not program.done:
                program.advance()
            for run, outcome in zip(job.run_ids, program.outcomes(), strict=True):
                found, expected = self.first.rows[run]["eval_return_final"], outcome.columns["eval_return_final"]
                require(found == expected, f"{job.title}: {found}, the program gives {expected}")

    def test_rows_say_where_they_are_from(self) -> None:
        """Machine, versions and cost are in the row."""
        for row in self.first.rows.values():
            require(row["machine_class"] and row["rtbench_version"], "a row does not say where it was made")
            require(row["wall_s"] is not None and row["batch_runs"], "a row does not say what it cost")

    def test_events_have_their_fields(self) -> None:
        """Every event is of a known kind, with what belongs to it, and is JSON."""
        for event in self.first.events:
            kind = event.get("event")
            require(kind in FIELDS, f"unknown event {kind!r}; known: {', '.join(FIELDS)}")
            missing = FIELDS[kind] - set(event) if kind in FIELDS else set()
            require(not missing, f"an event {kind!r} lacks {', '.join(sorted(missing))}")
            json.dumps(event)

    def test_every_job_is_told_of(self) -> None:
        """It starts, and what became of its runs is told, each run once but for retries."""
        for job in self.jobs():
            mine = [event for event in self.first.events if event.get("job") == job.key]
            require(any(event["event"] == "started" for event in mine), f"nothing tells that {job.title} starts")
            done = [run for e in mine if e["event"] == "finished" and not e.get("retried") for run in e["runs"]]
            require(sorted(run["run_id"] for run in done) == sorted(job.run_ids), f"{job.title}: told of {done}")

    def test_answers_whether_it_was_stopped(self) -> None:
        """`run` answers False when all is done."""
        require(self.first.stopped is False, f"run answers {self.first.stopped!r}")

    def test_no_checkpoint_is_left(self) -> None:
        """Of runs that are over nothing remains but their rows."""
        require(not self.first.left, f"left behind: {', '.join(self.first.left)}")

    def test_run_again_changes_nothing(self) -> None:
        """Runs that have a result are not computed again: their rows stay as they are."""
        again = self.executions()[1]
        for run, row in self.first.rows.items():
            require(again.rows[run] == row, f"run again, the row of {run[:12]} is another one")

    def test_nothing_to_do_is_nothing_done(self) -> None:
        """Without jobs it ends at once."""
        with tempfile.TemporaryDirectory() as folder:
            found = self.execute(Path(folder), [])
        require(found.stopped is False and not found.rows, "without jobs it does something")


def _job(cell: Cell, seeds: tuple[int, ...]) -> Job:
    names = tuple(run_ids(cell, seeds))
    return Job(cell, seeds, names, tuple(1 for _ in seeds), "conformance", 1, 120.0)
