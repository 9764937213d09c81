"""One process, one job: `python -m rtbench.executors.worker STATE JOB.json`. Tells events as JSON lines on stdout.

Continues from the job's checkpoint if there is one. On SIGTERM it checkpoints, writes an `interrupted` row and exits
with 130. Nothing it does is needed by another job.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.executors.jobs import Job, StatePaths
from rtbench.files import CannotWrite
from rtbench.parts import canonical_json
from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore, KeyTaken

if TYPE_CHECKING:
    from rtbench.learners.base import Program
    from rtbench.learners.checkpoint import CheckpointFolder

INTERRUPTED = 130
BUSY = 75
CHECKPOINT_SHARE = 0.01
CHECKPOINT_SECONDS = float(os.environ.get("RTBENCH_CHECKPOINT_SECONDS", "20"))
"""Seconds between checkpoints, unless writing one costs more than its share; the variable is for tests."""
PROGRESS_SECONDS = 1.0


class Interrupted(Exception):
    """The process was asked to stop."""


class Worker:
    """Carries one job through: load, advance, checkpoint, write rows."""

    def __init__(self, state: Path, job: Job) -> None:
        from rtbench import plugins

        self.job, self.paths = job, StatePaths(state, job.key)
        self.store = FolderStore(state)
        self.rows = RowStore(self.store)
        self.hook, broken = plugins.hooks()
        self._call_each = plugins.call_each
        for problem in broken:
            self.tell("note", text=f"warning: {problem.message}")
        self._stop = False
        self._started_utc = datetime.now(UTC).isoformat(timespec="seconds")
        self._begin = time.monotonic()
        self._before_s = 0.0
        self._trained_s = 0.0
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _ask_to_stop(self, *_: Any) -> None:
        self._stop = True

    def tell(self, event: str, **values: Any) -> None:
        """One event to whoever started this process; if nobody listens any more, it stops."""
        try:
            sys.stdout.write(json.dumps({"event": event, "job": self.job.key, **values}) + "\n")
            sys.stdout.flush()
        except (BrokenPipeError, OSError):
            self._stop = True

    def _hook(self, caller: Any, **given: Any) -> list[Any]:
        """What every plugin answers; one that fails is told of and stops nothing."""
        answers, problems = self._call_each(caller, given)
        for problem in problems:
            self.tell("note", text=f"warning: {problem}")
        return answers

    @property
    def wall_s(self) -> float:
        """Seconds of all continuations."""
        return self._before_s + time.monotonic() - self._begin

    # ---- running ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """The job, whatever happens to it; the process's exit code."""
        self._hook(self.hook.hook.rtbench_configure, state_folder=str(self.paths.root))
        cell = self.job.cell.data()
        for run_id, seed, attempt in zip(self.job.run_ids, self.job.seeds, self.job.attempts, strict=True):
            self._hook(self.hook.hook.rtbench_run_started, run_id=run_id, cell=cell, seed=seed, attempt=attempt)
        self.tell("started", title=self.job.title, pid=os.getpid())
        try:
            program = self._train()
        except Interrupted:
            return self._finish("interrupted", "asked to stop; run the same command again to continue") or INTERRUPTED
        except TimeoutError as error:
            return self._finish("timeout", str(error))
        except MemoryError as error:
            return self._finish("failed", f"out of memory: {error}", error_type="MemoryError")
        except Exception as error:  # one failing run never stops the rest: it gets its row and its traceback a file
            if isinstance(error, CannotWrite):
                return self._finish("interrupted", f"{error.message} ({error.place}); {error.hint}")
            self._log(traceback.format_exc())
            return self._finish("failed", f"{error} (traceback: {self.paths.log})", error_type=type(error).__name__)
        return self._finish("ok", "", program=program)

    def _train(self) -> Program:
        import torch

        from rtbench import plugins
        from rtbench.cell import RunBatch
        from rtbench.learners.checkpoint import CheckpointFolder

        torch.set_num_threads(self.job.threads)
        program: Program = plugins.build(self.job.cell.learner).make(RunBatch(self.job.cell, self.job.seeds))
        folder = CheckpointFolder(self.paths.checkpoint)
        extra = folder.load(program)
        for note in folder.notes:
            self.tell("note", text=f"warning: checkpoint set aside: {note}")
        if extra:
            self._before_s, self._trained_s = extra["wall_s"], extra["trained_s"]
            self.tell("note", text=f"continues at {program.done_units:,} of {program.total_units:,}: {self.job.title}")
        self._advance(program, folder)
        self._metrics(program)
        return program

    def _advance(self, program: Program, folder: CheckpointFolder) -> None:
        checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        told_at, told_units = time.monotonic(), program.done_units
        last = time.monotonic()
        while not program.done:
            before = program.done_units
            program.advance()
            now = time.monotonic()
            if program.done_units > before:
                self._trained_s += now - last
            last = now
            if self._stop:
                self._save(program, folder)
                raise Interrupted
            if self.wall_s > self.job.wall_limit_s:
                self._save(program, folder)
                raise TimeoutError(f"did not finish within its wall limit of {self.job.wall_limit_s:g} s")
            if now - told_at >= PROGRESS_SECONDS:
                self._progress(program, (program.done_units - told_units) / (now - told_at))
                told_at, told_units = now, program.done_units
            if now >= checkpoint_at:
                cost = self._save(program, folder)
                last = time.monotonic()
                checkpoint_at = last + max(CHECKPOINT_SECONDS, cost / CHECKPOINT_SHARE)

    def _save(self, program: Program, folder: CheckpointFolder) -> float:
        begin = time.monotonic()
        folder.save(program, {"wall_s": self.wall_s, "trained_s": self._trained_s})
        return time.monotonic() - begin

    def _progress(self, program: Program, units_per_s: float) -> None:
        values = {
            "done_units": program.done_units,
            "total_units": program.total_units,
            "units_per_s": round(units_per_s, 1),
            "wall_s": round(self.wall_s, 1),
            "title": self.job.title,
            "pid": os.getpid(),
        }
        self.tell("progress", **values)
        self.store.replace(self.paths.progress, canonical_json({**values, "run_ids": list(self.job.run_ids)}).encode())
        self._metrics(program)

    def _metrics(self, program: Program) -> None:
        """Pass on to plugins what every run has reported since the last time."""
        for metrics in program.metrics():
            step = int(metrics.pop("step", program.done_units))
            for index, run_id in enumerate(self.job.run_ids):
                own = {name.removesuffix(f"/{index}"): v for name, v in metrics.items() if name.endswith(f"/{index}")}
                self._hook(
                    self.hook.hook.rtbench_metrics,
                    run_id=run_id,
                    step=step,
                    unit=self.job.cell.budget.unit,
                    metrics=own,
                )

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _finish(
        self, status: str, reason: str, *, error_type: str | None = None, program: Program | None = None
    ) -> int:
        """Write every run's row, tell of it, tidy up; 0 (the status is in the row and in the event)."""
        outcomes = [outcome.columns for outcome in program.outcomes()] if program else [{} for _ in self.job.seeds]
        told: list[dict[str, Any]] = []
        for index, outcome in enumerate(outcomes):
            own_status, own_reason = status, reason
            if any(isinstance(value, float) and not math.isfinite(value) for value in _flat(outcome)):
                own_status, own_reason, outcome = "failed", "training diverged: a score is not a finite number", {}
            told.append(self._row(index, own_status, own_reason, error_type, outcome))
        if status in ("ok", "failed"):  # what was interrupted or timed out can go on from its checkpoint
            from rtbench.learners.checkpoint import CheckpointFolder

            CheckpointFolder(self.paths.checkpoint).remove()
        with contextlib.suppress(OSError):
            (self.paths.root / self.paths.progress).unlink(missing_ok=True)
        self.tell("finished", runs=told)
        return 0

    def _row(
        self, index: int, status: str, reason: str, error_type: str | None, outcome: dict[str, Any]
    ) -> dict[str, Any]:
        from rtbench.backends.machine import fingerprint
        from rtbench.executors.provenance import provenance
        from rtbench.results.schema import new_row

        job, run_id = self.job, self.job.run_ids[index]
        cell = job.cell.data()
        extras: dict[str, float] = {}
        for given in self._hook(self.hook.hook.rtbench_columns, run_id=run_id, cell=cell, outcome=dict(outcome)):
            extras |= given or {}
        machine: dict[str, Any] = fingerprint(job.threads)
        facts: dict[str, str] = {}
        for given in self._hook(self.hook.hook.rtbench_fingerprint):
            facts |= given or {}
        if facts:
            machine["machine_json"] = canonical_json(facts)
        cost = {
            "wall_s": self.wall_s,
            "steps_per_s": outcome["env_steps"] / self._trained_s if outcome and self._trained_s else None,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "batch_runs": len(job.seeds),
        }
        row = new_row(
            job.cell,
            job.seeds[index],
            suite=job.suite,
            suite_revision=job.suite_revision,
            attempt=job.attempts[index],
            outcome={**outcome, **cost, "status": status, "reason": reason or None, "error_type": error_type},
            machine=machine,
            provenance=provenance(self._started_utc),
            extras=extras,
        )
        row = commit(self.rows, row)
        self._hook(self.hook.hook.rtbench_run_finished, run_id=run_id, row=row)
        return {"run_id": run_id, "status": status, "reason": reason, "eval_return_final": row["eval_return_final"]}

    def _log(self, text: str) -> None:
        self.paths.log.parent.mkdir(parents=True, exist_ok=True)
        self.paths.log.write_text(text)


def commit(rows: RowStore, row: dict[str, Any]) -> dict[str, Any]:
    """Write an attempt's row; the row that stands.

    Where another runner has written this attempt meanwhile, a finished result of its stands; anything else (it was
    interrupted, it failed) is followed by this row as the next attempt, so that no result is lost.
    """
    while True:
        try:
            rows.write(row)
        except KeyTaken:
            known = rows.attempt(row["run_id"], row["attempt"])
            if known is not None and known["status"] == "ok":
                return known
            row = {**row, "attempt": row["attempt"] + 1}
        else:
            return row


def _flat(outcome: dict[str, Any]) -> list[Any]:
    return [item for value in outcome.values() for item in (value if isinstance(value, list) else [value])]


def die_with_parent() -> None:
    """Ask Linux for SIGTERM when the parent process dies, so that a killed runner leaves no orphan computing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def main() -> int:
    """Entry point of the worker process."""
    from filelock import FileLock, Timeout

    die_with_parent()
    state, job = Path(sys.argv[1]), Job.from_json(json.loads(Path(sys.argv[2]).read_text()))
    lock = FileLock(StatePaths(state, job.key).lock)
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        with lock.acquire(timeout=0):
            return Worker(state, job).run()
    except Timeout:
        return BUSY


if __name__ == "__main__":
    sys.exit(main())
