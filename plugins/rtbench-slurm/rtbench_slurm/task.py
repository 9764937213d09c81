"""What runs on a node: a task of an array is rtbench's local runner with its own jobs, under leases on the state.

Two signals end it early. Before its time limit SLURM sends submitit's signal (`--signal=USR2@…`): every run is
checkpointed and the task puts itself into the queue again. A SIGTERM (scancel, or pre-emption, where SLURM itself
requeues what it may) only checkpoints.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LIMIT = signal.SIGUSR2
"""submitit's own choice; SUBMITIT_PREEMPT_SIGNAL is set to it on submission."""
_TOLD = ("started", "finished", "note")


@dataclass(frozen=True)
class Task:
    """Jobs (as JSON) for one runner, in the state of this name."""

    state: str
    jobs: tuple[dict[str, Any], ...]
    at_once: int
    threads: int
    retries: int
    wait: bool
    requeues: int

    def __call__(self) -> str:
        """Do them; in a word, how it ended."""
        from rtbench.executors.jobs import Job
        from rtbench.executors.local import Local, Params
        from rtbench.executors.stopping import Stopping
        from rtbench.results.places import state_from

        params = Params(jobs=self.at_once, threads=self.threads, retries=self.retries, wait=self.wait)
        execution = Local(params).make(state_from(self.state), _tell)
        with Stopping() as early, limit_asks_to_stop() as limit:
            try:
                # A stop that was asked for before the runner listens has nothing to checkpoint yet.
                stopped = bool(early) or execution.run([Job.from_json(job) for job in self.jobs])
            except KeyboardInterrupt:  # asked twice: the limit itself came while it was ending
                stopped = True
        if not stopped:
            return "done"
        return self._again() if limit.is_set() else "asked to stop"

    def _again(self) -> str:
        """Into the queue again, as often as is allowed."""
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if restarts >= self.requeues:
            _tell({"event": "note", "text": f"its time is up for the {restarts + 1}th time; not requeued any more"})
            return "time is up"
        done = subprocess.run(
            ["scontrol", "requeue", task_name()], capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            _tell({"event": "note", "text": f"its time is up, and it could not be requeued: {done.stderr.strip()}"})
        return "time is up" if done.returncode else "requeued"


def task_name() -> str:
    """This task as SLURM knows it: `123_4` in an array, else `123`."""
    array, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ["SLURM_JOB_ID"]
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else job


@contextlib.contextmanager
def limit_asks_to_stop() -> Iterator[threading.Event]:
    """While inside, the signal before the time limit asks this process to stop, as SIGTERM does, and sets the event.

    SLURM sends it to every process of the step. Blocked, as here, it stays so in all that are started from this one,
    which would die of it otherwise; a thread takes it out of the line.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {LIMIT})
    limit, over = threading.Event(), threading.Event()

    def listen() -> None:
        while not over.is_set():
            if signal.sigtimedwait({LIMIT}, 0.2) is not None and not limit.is_set():
                limit.set()
                os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=listen, name="time limit", daemon=True)
    thread.start()
    try:
        yield limit
    finally:
        over.set()
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell(event: dict[str, Any]) -> None:
    """Into the task's log; how far runs are stands in the state."""
    if event["event"] in _TOLD:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
