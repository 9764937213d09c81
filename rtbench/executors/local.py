"""Runs jobs in processes of this machine, one core each, a few at a time."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtbench.executors.jobs import Job, StatePaths
from rtbench.parts import Executor, param

GRACE_SECONDS = 9.0
"""How long workers have to write their checkpoints after they were asked to stop."""

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Params:
    """How many processes, and threads in each."""

    jobs: int = param(0, unit="processes", doc="at a time; 0 = as many as there are cores for their threads")
    threads: int = param(1, unit="threads", doc="threads of arithmetic per process")
    retries: int = param(1, unit="attempts", doc="further attempts after a failure")


class Local(Executor):
    """This machine: one process per job, as many at a time as there are cores."""

    Params = Params

    def make(self, state: Path, tell: Tell) -> LocalExecution:
        """An execution with its state in a folder, telling events as they come."""
        return LocalExecution(state, tell, self.params)


class LocalExecution:
    """Starts workers, passes their events on, retries what failed, stops them all when asked."""

    def __init__(self, state: Path, tell: Tell, params: Params) -> None:
        self._state, self._tell, self._params = state, tell, params
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.slots = params.jobs or max(1, cores // max(1, params.threads))
        self._events: queue.Queue[tuple[Job, dict[str, Any] | None]] = queue.Queue()
        self._running: dict[str, tuple[Job, subprocess.Popen[str]]] = {}
        self._finished: set[str] = set()
        self._stopping = False

    def run(self, jobs: Sequence[Job]) -> bool:
        """Execute all jobs; True if the execution was asked to stop (Ctrl-C or SIGTERM) before they were done."""
        waiting, tries = deque(jobs), dict.fromkeys((job.key for job in jobs), 0)
        # Not by way of SIGINT, which is ignored in a process that a shell started in the background.
        restore = signal.signal(signal.SIGTERM, _interrupt)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self.slots:
                    self._start(waiting.popleft())
                self._next(waiting, tries)
        except KeyboardInterrupt:
            self._stop()
        finally:
            signal.signal(signal.SIGTERM, restore)
            for _, process in self._running.values():
                process.kill()
        return self._stopping

    def _start(self, job: Job) -> None:
        paths = StatePaths(self._state, job.key)
        paths.log.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="rtbench-job-", delete=False) as file:
            json.dump(job.to_json(), file)
        threads = str(job.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        with paths.log.with_suffix(".err").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "rtbench.executors.worker", str(self._state.resolve()), file.name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the runner, which asks its workers itself
            )
        self._running[job.key] = (job, process)
        threading.Thread(target=self._listen, args=(job, process, Path(file.name)), daemon=True).start()

    def _listen(self, job: Job, process: subprocess.Popen[str], job_file: Path) -> None:
        assert process.stdout is not None
        for text in process.stdout:
            try:
                self._events.put((job, json.loads(text)))
            except json.JSONDecodeError:  # something in the process printed on its own
                self._events.put((job, {"event": "note", "job": job.key, "text": text.rstrip()}))
        process.wait()
        job_file.unlink(missing_ok=True)
        self._events.put((job, None))

    def _next(self, waiting: deque[Job], tries: dict[str, int]) -> None:
        """Pass one event on; at a worker's end decide whether its job is tried again."""
        try:
            job, event = self._events.get(timeout=0.2)
        except queue.Empty:
            return
        if event is not None:
            if event["event"] == "finished":
                self._finished.add(job.key)
                if self._again(job, event, tries):
                    waiting.append(job.next_attempt())
                    self._finished.discard(job.key)
                    event["retried"] = True
            self._tell(event)
            return
        _, process = self._running.pop(job.key)
        if job.key not in self._finished and not any(other.key == job.key for other in waiting):
            self._died(job, process.returncode, waiting, tries)

    def _again(self, job: Job, event: dict[str, Any], tries: dict[str, int]) -> bool:
        failed = any(run["status"] == "failed" for run in event["runs"])
        if not failed or self._stopping or tries[job.key] >= self._params.retries:
            return False
        tries[job.key] += 1
        return True

    def _died(self, job: Job, code: int, waiting: deque[Job], tries: dict[str, int]) -> None:
        """A worker ended without a word: killed, crashed, or another runner has the job."""
        from rtbench.executors.worker import BUSY

        if code == BUSY:
            self._tell({"event": "note", "job": job.key, "text": f"another runner works on it: {job.title}"})
            return
        if self._stopping:
            return
        errors = StatePaths(self._state, job.key).log.with_suffix(".err")
        last = errors.read_text().strip().splitlines()[-1:] if errors.exists() else []
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        reason = f"its process {how}{': ' + last[0] if last else ''}"
        retried = tries[job.key] < self._params.retries
        # What it had checkpointed is kept: a further attempt goes on from there.
        write_lost_rows(self._state, job, reason)
        runs = [{"run_id": run_id, "status": "failed", "reason": reason} for run_id in job.run_ids]
        self._tell({"event": "finished", "job": job.key, "runs": runs, "retried": retried})
        if retried:
            tries[job.key] += 1
            waiting.append(job.next_attempt())

    def _stop(self) -> None:
        """Ask every worker to checkpoint and end; kill what does not within the time of grace."""
        self._stopping = True
        for _, process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while self._running and time.monotonic() < deadline:
            self._next(deque(), dict.fromkeys(self._running, 0))


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def write_lost_rows(state: Path, job: Job, reason: str) -> None:
    """Rows for the runs of a process that could not write them itself."""
    from datetime import UTC, datetime

    from rtbench.backends.machine import fingerprint
    from rtbench.executors.provenance import provenance
    from rtbench.executors.worker import commit
    from rtbench.results.rows import RowStore
    from rtbench.results.schema import new_row
    from rtbench.results.store import FolderStore

    now = datetime.now(UTC).isoformat(timespec="seconds")
    for seed, attempt in zip(job.seeds, job.attempts, strict=True):
        row = new_row(
            job.cell,
            seed,
            suite=job.suite,
            suite_revision=job.suite_revision,
            attempt=attempt,
            outcome={"status": "failed", "reason": reason, "error_type": "ProcessDied"},
            machine=fingerprint(job.threads),
            provenance=provenance(now),
        )
        commit(RowStore(FolderStore(state)), row)
