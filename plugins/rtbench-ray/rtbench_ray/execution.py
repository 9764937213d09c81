"""The runner of a cluster: sends jobs as tasks, tells of them from the state, sends lost ones again, stops them all."""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rtbench
from rtbench.errors import RtbenchError
from rtbench.executors.jobs import PROGRESS, Job
from rtbench.executors.recording import standing, told
from rtbench.executors.stopping import Stopping
from rtbench.results.places import pace, shared_store
from rtbench.results.rows import RowStore

from rtbench_ray.cluster import PLACE, Cancelled, Cluster, Lost
from rtbench_ray.task import Ended, Task
from rtbench_ray.watch import Watch

if TYPE_CHECKING:
    from rtbench.results.places import State

    from rtbench_ray.executor import Params

MARKS = "ray"
TURN_S = 1.0
POLL_S = 2.0
STOP_S = 15.0
"""How long tasks have to checkpoint and come back; their runners take less than 10 s."""
_PROGRESS = ("done_units", "total_units", "unit", "units_per_s", "wall_s", "runs")


@dataclass(eq=False)
class Sent:
    """A job on its way: how often it was lost, whether its next task waits for its leases, what was told of it."""

    job: Job
    wait: bool = False
    losses: int = 0
    started: bool = False
    told: set[str] = field(default_factory=set)

    @property
    def left(self) -> Job | None:
        """The part of it of which no end was told yet."""
        indices = [index for index, run_id in enumerate(self.job.run_ids) if run_id not in self.told]
        return self.job.only(indices) if indices else None


class RayExecution:
    """Stays until all jobs are done; a runner that is killed takes its tasks along, and the next one continues them."""

    def __init__(self, state: State, tell: Callable[[dict[str, Any]], None], params: Params) -> None:
        self._state, self._tell, self._params = state, tell, params
        self._cluster = Cluster(params)
        self.slots = min(self._cluster.slots, params.jobs or self._cluster.slots)

    def run(self, jobs: Sequence[Job]) -> bool:
        """Execute all jobs; True if it was asked to stop before they were done."""
        self._store = shared_store(self._state)
        self._rows, self._watch = RowStore(self._store), Watch(self._store)
        self._waiting = deque(Sent(job) for job in jobs)
        self._flying: dict[Any, Sent] = {}
        self._busy: list[Sent] = []
        self._progress = self._progress_now()
        self._mark = f"{MARKS}/{uuid.uuid4().hex}.json"
        self._store.write_new(self._mark, b"{}")
        try:
            with Stopping() as self._stopping:
                return self._work()
        finally:
            self._store.remove(self._mark)
            self._cluster.close()

    def _work(self) -> bool:
        if self._waiting and (missing := self._cluster.missing()):
            self._note(f"no node has {missing} now; the cluster starts jobs when one does")
        look_at = 0.0
        try:
            while not self._stopping and (self._waiting or self._flying or self._busy):
                self._send()
                self._turn(TURN_S)
                if time.monotonic() >= look_at:
                    self._look()
                    look_at = time.monotonic() + POLL_S * pace(self._state)
            if self._stopping:
                self._stop()
        except (RtbenchError, OSError):
            self._stopping.ask()
            self._stop()
            raise
        except KeyboardInterrupt:  # asked a second time
            self._cluster.cancel(list(self._flying), force=True)
        return bool(self._stopping)

    def _send(self) -> None:
        most = self._params.jobs or len(self._waiting) + len(self._flying)
        while self._waiting and len(self._flying) < most:
            sent = self._waiting.popleft()
            if job := sent.left:
                self._flying[self._cluster.send(self._task(job, sent.wait), job.title, alone=job.alone)] = sent

    def _task(self, job: Job, wait: bool) -> Task:
        state = str(self._state.resolve() if isinstance(self._state, Path) else self._state)
        threads, retries = self._params.threads, self._params.retries
        return Task(state, self._mark, rtbench.__version__, job.to_json(), threads, retries, wait)

    # ---- listening -------------------------------------------------------------------------------------------------

    def _turn(self, timeout_s: float) -> None:
        """Deal with tasks that came back, within a time."""
        if not self._flying:
            time.sleep(timeout_s)
            return
        for task in self._cluster.ready(list(self._flying), timeout_s):
            sent = self._flying.pop(task)
            result = self._cluster.result(task)
            if isinstance(result, Ended):
                self._ended(sent, result)
            elif self._stopping or isinstance(result, Cancelled):
                self._stopped(sent)
            else:
                self._lost(sent, result)

    def _ended(self, sent: Sent, result: Ended) -> None:
        if result.refused and self._stopping:  # of many nodes that refuse one was told of
            return
        if result.refused:
            raise RtbenchError(f"{result.node}: {result.refused}", place=PLACE, hint=result.hint)
        early = result.stopped and not self._stopping  # its node went away in order; others go on from the checkpoint
        begun = any(event["event"] == "started" for event in result.events)
        for event in result.events:
            if begun or event["event"] != "note" or not self._params.wait:  # that nobody waits there is no news
                self._pass_on(sent, event, early=early)
        if sent.left is None:
            return
        if early:
            self._lost(sent, Lost("its node stopped it"))
        elif self._stopping:
            self._stopped(sent)
        elif self._params.wait:
            self._note(f"another runner has it, and it is sent again when that lets go: {sent.job.title}")
            self._busy.append(sent)

    def _pass_on(self, sent: Sent, event: dict[str, Any], *, early: bool) -> None:
        """An event of a node, but for what was told before and what is not the end of it."""
        if event["event"] == "started":
            self._started(sent)
        elif event["event"] == "finished" and not event.get("retried"):
            runs = [run for run in event["runs"] if not (early and run["status"] == "interrupted")]
            sent.told |= {run["run_id"] for run in runs}
            if runs:
                self._tell({**event, "job": sent.job.key, "runs": runs})
        else:
            self._tell({**event, "job": sent.job.key})

    def _started(self, sent: Sent) -> None:
        if not sent.started:
            sent.started = True
            self._tell({"event": "started", "job": sent.job.key, "title": sent.job.title})

    def _lost(self, sent: Sent, lost: Lost) -> None:
        """Its job is sent again and goes on from its checkpoint; that the lease of a lost one ends is waited for."""
        sent.losses += 1
        sent.wait = True
        if sent.losses <= self._params.losses:
            self._note(f"{lost.reason}; sent again: {sent.job.title}")
            self._waiting.append(sent)
        elif left := sent.left:
            often = f", {sent.losses} times in all" if sent.losses > 1 else ""
            reason = f"{lost.reason}{often}; run the same command again to continue"
            self._tell(left.finished([{"status": "interrupted", "reason": reason}] * len(left.run_ids)))

    def _look(self) -> None:
        """Tell how far jobs are, and send those of other runners that are free by now."""
        found = self._progress_now()
        flying = {job.key: sent for sent in self._flying.values() if (job := sent.left)}
        for key, value in found.items():
            if (sent := flying.get(key)) and self._progress.get(key) != value:
                self._started(sent)
                values = {name: value[name] for name in _PROGRESS if name in value}
                self._tell({"event": "progress", "job": sent.job.key, "title": sent.job.title, **values})
        self._progress = found
        for sent in list(self._busy):
            left = sent.left
            if left is None or self._watch.free(left.run_ids):
                self._busy.remove(sent)
                sent.wait = True
                self._waiting.append(sent)

    def _progress_now(self) -> dict[str, dict[str, Any]]:
        """What workers have last told in the state, by job."""
        found = {}
        for name in self._store.list(f"{PROGRESS}/"):
            try:
                found[Path(name).stem] = json.loads(self._store.read(name))
            except (KeyError, ValueError):  # it is over, or is being written
                continue
        return found

    # ---- stopping --------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Cancel all tasks; those that run checkpoint, write their rows and come back."""
        self._cluster.cancel(list(self._flying))
        until = time.monotonic() + STOP_S
        try:
            while self._flying and time.monotonic() < until:
                self._turn(TURN_S / 4)
        finally:
            self._cluster.cancel(list(self._flying), force=True)

    def _stopped(self, sent: Sent) -> None:
        """Tell what the state has of a job that was stopped; of one that had not begun there is nothing."""
        left = sent.left
        if left is None:
            return
        rows = [self._newest(run_id, attempt) for run_id, attempt in zip(left.run_ids, left.attempts, strict=True)]
        if there := [index for index, row in enumerate(rows) if row is not None]:
            sent.told |= {left.run_ids[index] for index in there}
            self._tell(left.only(there).finished([told(rows[index]) for index in there]))

    def _newest(self, run_id: str, attempt: int) -> Any:
        """The row of the last attempt that was made since this runner began; None if there is none."""
        found = standing(self._rows, run_id, attempt, self._params.retries)
        if isinstance(found, int):
            return self._rows.attempt(run_id, found - 1) if found > attempt else None
        return found

    def _note(self, text: str) -> None:
        self._tell({"event": "note", "text": text})
