"""One process, one job: told what to do as JSON on its input, tells events as JSON lines on its output.

Continues from the job's checkpoint if there is one. On SIGTERM it checkpoints, writes an `interrupted` row and exits
with 130. It works under the leases its runner took; when another runner has taken one over it writes nothing more and
exits with `LOST`. Nothing it does is needed by another job.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.executors.hooks import Hooks
from rtbench.executors.jobs import LOGS, Job, StatePaths
from rtbench.executors.leases import Heart, Held, Holder, Lost, held_from
from rtbench.executors.recording import DIVERGED, NO_ROOM, PROCESS_DIED, Recorder
from rtbench.files import CannotWrite, Refused
from rtbench.learners.base import Outcome
from rtbench.parts import canonical_json
from rtbench.results.places import State, local_folder, open_store, pace, state_from
from rtbench.results.rows import RowStore

if TYPE_CHECKING:
    from rtbench.learners.base import Program
    from rtbench.learners.checkpoint import CheckpointFolder
    from rtbench.results.store import Store

INTERRUPTED = 130
LOST = 75
_ASKED_S = os.environ.get("RTBENCH_CHECKPOINT_SECONDS")
CHECKPOINT_SECONDS, CHECKPOINT_SHARE = (float(_ASKED_S), 1.0) if _ASKED_S else (20.0, 0.01)
"""Seconds between checkpoints, unless writing one costs more than its share; the variable is for tests: they get it."""
PROGRESS_SECONDS = 1.0
_NO_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")


class Interrupted(Exception):
    """The process was asked to stop."""


class OverWallLimit(Exception):
    """The run's time is up. Not TimeoutError, which an environment's own troubles are."""


class Diverged(Exception):
    """No run of the job has a finite score any more."""


class Worker:
    """Carries one job through: load, advance, checkpoint, write rows."""

    def __init__(
        self, state: State, job: Job, leases: Sequence[Held], heart: Heart, store: Store | None = None
    ) -> None:
        """`store` is that of `state`, if it is open."""
        self.job, self.paths = job, StatePaths(state, job.key)
        self.store = store or open_store(state)
        self._progress_s = PROGRESS_SECONDS * (pace(state) - 1)
        self._checkpoint_s = CHECKPOINT_SECONDS * pace(state)
        self._kept_at = -math.inf
        self._leases, self._heart = leases, heart
        self._stop = False
        self._hooks = Hooks(lambda text: self.tell("note", text=text))
        self._recorder = Recorder(RowStore(self.store), job, leases, self._hooks)
        self._begin = time.monotonic()
        self._before_s = 0.0
        self._trained_s = 0.0
        self._diverged: set[int] = set()
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _ask_to_stop(self, *_: Any) -> None:
        self._stop = True

    def tell(self, event: str, **values: Any) -> None:
        """One event to whoever started this process; if nobody listens any more, it stops."""
        try:
            sys.stdout.write(
                json.dumps({"event": event, "job": self.job.key, "title": self.job.title, **values}) + "\n"
            )
            sys.stdout.flush()
        except (BrokenPipeError, OSError):
            self._stop = True

    @property
    def wall_s(self) -> float:
        """Seconds of all continuations."""
        return self._before_s + time.monotonic() - self._begin

    def _check(self) -> None:
        """Lost if another runner has one of the runs now."""
        for lease in self._leases:
            lease.check()

    # ---- running ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """The job, whatever happens to it; the process's exit code."""
        self._hooks.call(self._hooks.hook.rtbench_configure, state_folder=str(local_folder(self.paths.root)))
        cell = self.job.cell.data()
        for run_id, seed, attempt in zip(self.job.run_ids, self.job.seeds, self.job.attempts, strict=True):
            self._hooks.call(self._hooks.hook.rtbench_run_started, run_id=run_id, cell=cell, seed=seed, attempt=attempt)
        self.tell("started", pid=os.getpid())
        try:
            program = self._train()
            outcomes = program.outcomes()
            self._keep(program, outcomes)
        except Lost:
            raise
        except Interrupted:
            return self.finish("interrupted", "asked to stop; run the same command again to continue") or INTERRUPTED
        except OverWallLimit as error:
            return self.finish("timeout", str(error))
        except Diverged:
            return self.finish("failed", DIVERGED, error_type="Diverged")
        except Refused as error:  # the disk is full, say: it can go on from its checkpoint
            return self.finish("interrupted", f"{error.message} ({error.place}); {error.hint}")
        except Exception as error:  # one failing run never stops the rest: it gets its row and its traceback a file
            if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
                return self.finish("failed", f"out of memory: {error}", error_type="MemoryError")
            self._log(traceback.format_exc())
            return self.finish("failed", f"{error} (traceback: {self.paths.log})", error_type=type(error).__name__)
        return self.finish("ok", "", outcomes=outcomes)

    def _train(self) -> Program:
        import torch

        from rtbench import plugins
        from rtbench.cell import RunBatch

        torch.set_num_threads(self.job.threads)
        program: Program = plugins.build(self.job.cell.learner).make(RunBatch(self.job.cell, self.job.seeds))
        folder = self._checkpoints()
        if self.job.fresh:
            folder.remove()
        extra = folder.load(program)
        for note in folder.notes:
            self.tell("note", text=f"warning: checkpoint set aside: {note}")
        if extra:
            self._before_s, self._trained_s = extra["wall_s"], extra["trained_s"]
            self.tell("note", text=f"continues at {program.done_units:,} of {program.total_units:,}: {self.job.title}")
            if extra["threads"] != self.job.threads:
                words = f"it began with --threads {extra['threads']} and goes on with {self.job.threads}"
                self.tell("note", text=f"warning: {words}: sums round otherwise, so its result is neither's")
        self._tell_progress(program, 0.0)
        self._advance(program, folder)
        self._metrics(program)
        return program

    def _advance(self, program: Program, folder: CheckpointFolder) -> None:
        checkpoint_at = time.monotonic() + self._checkpoint_s
        told_at, told_units = time.monotonic(), program.done_units
        last = time.monotonic()
        while not program.done:
            before = program.done_units
            program.advance()
            now = time.monotonic()
            if program.done_units > before:
                self._trained_s += now - last
            last = now
            if self._stop or self._heart.lost:
                self._save(program, folder)
                raise Interrupted
            if self.wall_s > self.job.wall_limit_s:
                self._save(program, folder)
                raise OverWallLimit(f"did not finish within its wall limit of {self.job.wall_limit_s:g} s")
            if now - told_at >= PROGRESS_SECONDS:
                self._progress(program, (program.done_units - told_units) / (now - told_at))
                told_at, told_units = now, program.done_units
            if now >= checkpoint_at:
                cost = self._save(program, folder)
                last = time.monotonic()
                checkpoint_at = last + max(self._checkpoint_s, cost / CHECKPOINT_SHARE)

    def _save(self, program: Program, folder: CheckpointFolder) -> float:
        begin = time.monotonic()
        self._check()
        folder.save(program, {"wall_s": self.wall_s, "trained_s": self._trained_s, "threads": self.job.threads})
        return time.monotonic() - begin

    def _progress(self, program: Program, units_per_s: float) -> None:
        values = self._tell_progress(program, units_per_s)
        if time.monotonic() >= self._kept_at + self._progress_s:
            self._kept_at = time.monotonic()
            self._check()
            found = {**values, "title": self.job.title, "pid": os.getpid(), "run_ids": list(self.job.run_ids)}
            self.store.replace(self.paths.progress, canonical_json(found).encode())
        self._metrics(program)

    def _tell_progress(self, program: Program, units_per_s: float) -> dict[str, Any]:
        values = {
            "done_units": program.done_units,
            "total_units": program.total_units,
            "unit": self.job.cell.budget.unit,
            "units_per_s": round(units_per_s, 1),
            "wall_s": round(self.wall_s, 1),
            "runs": len(self.job.seeds),
        }
        self.tell("progress", **values)
        return values

    def _metrics(self, program: Program) -> None:
        """Pass on to plugins what every run has reported since the last time; Diverged if it is not finite."""
        for metrics in program.metrics():
            step = int(metrics.pop("step", program.done_units))
            for index, run_id in enumerate(self.job.run_ids):
                own = {name.removesuffix(f"/{index}"): v for name, v in metrics.items() if name.endswith(f"/{index}")}
                unit = self.job.cell.budget.unit
                self._hooks.call(self._hooks.hook.rtbench_metrics, run_id=run_id, step=step, unit=unit, metrics=own)
                if not math.isfinite(own.get("eval_return", 0.0)):
                    self._diverged.add(index)
        if len(self._diverged) == len(self.job.run_ids):  # of a batch the others go on
            raise Diverged

    # ---- the end ---------------------------------------------------------------------------------------------------

    def finish(
        self,
        status: str,
        reason: str,
        *,
        error_type: str | None = None,
        outcomes: Sequence[Outcome] = (),
        wall_s: float | None = None,
    ) -> int:
        """Write every run's row, tell of it, tidy up; 0 (the status is in the row and in the event).

        `wall_s` is given where another process did the work.
        """
        if wall_s is None:
            wall_s, peak = self.wall_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        else:
            peak = None
        outcomes = outcomes or [Outcome() for _ in self.job.seeds]
        told: list[dict[str, Any]] = []
        for index, (outcome, extras) in enumerate((found.columns, found.extras) for found in outcomes):
            ended = {"status": status, "reason": reason or None, "error_type": error_type}
            if any(isinstance(value, float) and not math.isfinite(value) for value in _flat(outcome)):
                ended, outcome = {"status": "failed", "reason": DIVERGED, "error_type": "Diverged"}, {}
            speed = outcome["env_steps"] / self._trained_s if outcome and self._trained_s else None
            cost = {"wall_s": wall_s, "steps_per_s": speed, "peak_memory_bytes": peak, "batch_runs": len(outcomes)}
            told.append(self._recorder.write(index, {**outcome, **cost, **ended}, extras))
        if status in ("ok", "failed") and error_type != PROCESS_DIED:  # all others can go on from their checkpoint
            self._checkpoints().remove()
        with contextlib.suppress(Refused):
            self.store.remove(self.paths.progress)
        self.tell("finished", runs=told)
        return 0

    def _checkpoints(self) -> CheckpointFolder:
        """What was saved of the job, to be continued under the leases this process holds."""
        from rtbench.learners.checkpoint import CheckpointFolder

        return CheckpointFolder(self.paths.checkpoint(self.store), max(lease.fence for lease in self._leases))

    def _keep(self, program: Program, outcomes: Sequence[Outcome]) -> None:
        """Policies for `watch` and `probe`, recordings for `describe`; without room for them the result stands."""
        from rtbench.learners.policy import policy_key
        from rtbench.realtime.recording import recording_key

        try:
            for run_id, outcome in zip(self.job.run_ids, outcomes, strict=True):
                if outcome.recording:
                    self.store.replace(recording_key(run_id), outcome.recording)
            for policy in program.policies(self.job.run_ids):
                self.store.replace(policy_key(policy.run_id), policy.to_bytes())
        except CannotWrite as error:
            self.tell("note", text=f"warning: the policy or timeline is not kept: {error.message} ({error.place})")

    def _log(self, text: str) -> None:
        self.paths.log.parent.mkdir(parents=True, exist_ok=True)
        self.paths.log.write_text(text)
        if not isinstance(self.paths.root, Path):  # whoever looks may be on another machine
            with contextlib.suppress(Refused):
                self.store.replace(f"{LOGS}/{self.paths.log.name}", text.encode())


def _flat(outcome: dict[str, Any]) -> list[Any]:
    return [item for value in outcome.values() for item in (value if isinstance(value, list) else [value])]


def main() -> int:
    """Carry out the task on the input: `run` a job, or `record` what became of a process that cannot say it."""
    task = json.load(sys.stdin)
    job, state = Job.from_json(task["job"]), state_from(task["state"])
    store = open_store(state)
    try:
        leases = held_from(store, job.run_ids, task["fences"], Holder.of_this_process(task["holder"]))
    except Lost:
        return LOST
    heart = Heart(leases)
    heart.start()
    try:
        worker = Worker(state, job, leases, heart, store)
        if task["do"] == "run":
            return worker.run()
        return worker.finish(task["status"], task["reason"], error_type=task["error_type"], wall_s=task["wall_s"])
    except Lost:
        return LOST
    except Refused as error:
        sys.stderr.write(f"{error.message} ({error.place}); {error.hint}\n")
        return NO_ROOM
    finally:
        heart.stop()
        for lease in leases:
            lease.release()


if __name__ == "__main__":
    sys.exit(main())
