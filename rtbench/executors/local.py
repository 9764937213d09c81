"""Runs jobs in processes of this machine, one core each, a few at a time, beside any number of other runners."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.errors import RtbenchError
from rtbench.executors.claims import ASK_AGAIN_S, Claims
from rtbench.executors.jobs import Job, StatePaths
from rtbench.executors.leases import Held, Lost
from rtbench.executors.preload import modules, start_method
from rtbench.executors.processes import Child, Processes
from rtbench.executors.recording import NO_ROOM, PROCESS_DIED, told
from rtbench.executors.stopping import Stopping
from rtbench.files import Refused
from rtbench.parts import Executor, param
from rtbench.results.places import State, pace, packages, shared_store

if TYPE_CHECKING:
    from rtbench.results.schema import Row

STOP_S = 7.0
"""How long workers have to write their checkpoints after they were asked to stop; with the next, less than 10 s."""
STOP_ROWS_S = 2.0
"""How long it may take to write the rows of workers that did not."""
HANG_S = float(os.environ.get("RTBENCH_HANG_SECONDS", "60"))
"""How long past its wall limit a worker may stay in a call; the variable is for tests."""
START_S = 300.0
"""How long imports may take; then the wall limit counts."""
RECORD_S = 60.0
TURN_S = 0.2
EVENTS = ("started", "progress", "finished", "note")

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Params:
    """How many processes, and threads in each."""

    jobs: int = param(0, unit="processes", doc="at a time; 0 = as many as there are cores for their threads")
    threads: int = param(1, unit="threads", doc="threads of arithmetic per process")
    retries: int = param(1, unit="attempts", doc="further attempts after a failure, of all runners together")
    wait: bool = param(True, doc="wait for runs that other runners work on, and take over those of dead ones")


class Local(Executor):
    """This machine: one process per job, as many at a time as there are cores."""

    Params = Params

    def make(self, state: State, tell: Tell) -> LocalExecution:
        """An execution with its state in a folder or a bucket, telling events as they come."""
        return LocalExecution(state, tell, self.params)


@dataclass(frozen=True)
class Verdict:
    """What became of a process that could not say it itself."""

    status: str
    reason: str
    error_type: str | None = None


@dataclass(eq=False)
class Work:
    """A planned job in hand: the attempts it is at, under which leases, in which process, when that is taken to hang.

    With a `verdict` the process only records what became of another.
    """

    planned: Job
    job: Job
    held: list[Held]
    child: Child
    verdict: Verdict | None = None
    wall_s: float = 0.0
    hangs_at: float = 0.0
    adopted: bool = False
    told: bool = False
    asked: bool = False
    hung: bool = False

    def may_take(self, time_s: float) -> None:
        """From now on; a process that takes longer hangs."""
        self.hangs_at = time.monotonic() + time_s


class LocalExecution:
    """Starts workers, passes their events on, retries what failed, stops them all when asked."""

    def __init__(self, state: State, tell: Tell, params: Params) -> None:
        self._state, self._tell, self._params = state, tell, params
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.slots = params.jobs or max(1, cores // max(1, params.threads))
        self._running: dict[Child, Work] = {}
        self._told_waiting = False

    def run(self, jobs: Sequence[Job]) -> bool:
        """Execute all jobs; True if the execution was asked to stop (Ctrl-C or SIGTERM) before they were done."""
        again_s = ASK_AGAIN_S * pace(self._state)
        self._claims = Claims(shared_store(self._state), jobs, self._params.retries, self._tell, ask_again_s=again_s)
        errors = StatePaths(self._state, "warm").log.with_suffix(".err")
        self._processes = Processes([*modules(jobs), *packages(self._state)], self._params.threads, errors)
        with Stopping() as self._stopping:
            try:
                while not self._stopping and (self._claims or self._running):
                    self._fill()
                    if self._claims.blocked and not self._running and not self._wait():
                        break
                    self._turn()
                if self._stopping:
                    self._stop()
            except (RtbenchError, OSError):
                # The state cannot be written any more, say: what runs may still end in order.
                self._stopping.ask()
                self._stop()
                raise
            except KeyboardInterrupt:  # asked a second time
                self._processes.kill()
            finally:
                self._processes.close()
            return bool(self._stopping)

    def _fill(self) -> None:
        """Start jobs while there is room."""
        while self._room and not self._stopping and (claim := self._claims.next(idle=not self._running)):
            child = self._start(claim.job, claim.held, {"do": "run"})
            self._running[child] = work = Work(claim.planned, claim.job, claim.held, child)
            work.may_take(START_S + claim.job.wall_limit_s + HANG_S)

    @property
    def _room(self) -> bool:
        """Whether another job may start beside those that are running."""
        return len(self._running) < self.slots and not any(work.planned.alone for work in self._running.values())

    def _start(self, job: Job, held: Sequence[Held], task: dict[str, Any]) -> Child:
        fences = [lease.fence for lease in held]
        state = self._state.resolve() if isinstance(self._state, Path) else self._state
        place = {"state": str(state), "holder": self._claims.holder, "fences": fences}
        task = {**task, **place, "job": job.to_json(), "start": start_method(job)}
        return self._processes.start(task, StatePaths(self._state, job.key).log.with_suffix(".err"))

    def _wait(self) -> bool:
        """Tell once whose runs are left; False if they are not to be waited for."""
        if not self._params.wait:
            self._note(f"not waiting for {self._claims.others()}")
        elif not self._told_waiting:
            self._note(f"waiting for {self._claims.others()}; they are taken over when their lease ends")
            self._told_waiting = True
        return self._params.wait

    # ---- listening -------------------------------------------------------------------------------------------------

    def _turn(self, timeout_s: float = TURN_S) -> None:
        """Pass on what workers say, deal with those that ended, end those that hang."""
        for child, lines in self._processes.wait(timeout_s):
            work = self._running[child]
            for line in lines:
                self._hear(work, line)
            if child.code is not None:
                del self._running[child]
                self._ended(work, child.code)
        for work in list(self._running.values()):
            if time.monotonic() > work.hangs_at and not work.hung:
                work.hung = True
                self._end(work)
            elif self._stopping and not work.verdict and not work.asked and work.child.pid:
                work.asked = True
                work.child.send(signal.SIGTERM)
            elif not work.adopted:
                self._beat(work)

    def _hear(self, work: Work, line: str) -> None:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            event = None
        if not isinstance(event, dict) or event.get("event") not in EVENTS:
            self._note(line)  # something in the process printed on its own
            return
        work.adopted = True
        if event["event"] == "progress":
            work.wall_s = event["wall_s"]
        if event["event"] in ("started", "progress"):
            work.may_take(work.planned.wall_limit_s - work.wall_s + HANG_S)
        if event["event"] == "finished":
            work.told = True
            self._finished(work.planned, event["runs"])
        else:
            self._tell(event)

    def _finished(self, job: Job, outcomes: list[dict[str, Any]]) -> None:
        """Tell what became of runs; those that failed wait for their next attempt, as long as they may have one."""
        failed = [i for i, run in enumerate(outcomes) if run["status"] == "failed" and not self._stopping]
        again = {i for i in failed if self._claims.current(job.only([i]))}
        done = [i for i in range(len(outcomes)) if i not in again]
        for retried, indices in ((False, done), (True, sorted(again))):
            if indices:
                self._tell(job.only(indices).finished([outcomes[i] for i in indices], retried=retried))
        if again:
            self._claims.again(job.only(sorted(again)))

    def _beat(self, work: Work) -> None:
        """Until its worker tells of life itself."""
        try:
            for lease in work.held:
                if lease.due:
                    lease.beat()
        except Lost:
            work.child.send(signal.SIGKILL)
        except Refused:  # a file system that is away for a moment; its next beat may come through
            pass

    # ---- ends ------------------------------------------------------------------------------------------------------

    def _end(self, work: Work) -> None:
        """Kill a worker; one that does not exist yet with the parent that was to make it."""
        if work.child.pid is None:
            self._processes.kill()
        work.child.send(signal.SIGKILL)

    def _ended(self, work: Work, code: int) -> None:
        """A worker ended: fine if it said what became of its runs, else that is found out and written for it."""
        job = work.planned
        if work.told:
            return
        if _lost(work.held):
            self._note(f"another runner has taken over: {job.title}")
            self._claims.busy(job)
        elif written := self._claims.written(work.job):
            self._ended_after_writing(work, code, written)
        elif work.verdict:
            self._unrecorded(work, work.verdict)
        elif work.hung:
            limit = f"{job.wall_limit_s:g} s and {HANG_S:g} s more"
            self._record(work, Verdict("timeout", f"did not return from a call within its wall limit of {limit}"))
        elif code == NO_ROOM:
            self._record(work, Verdict("interrupted", f"its row could not be written{self._last_error(job)}"))
        elif not self._stopping:
            self._record(work, Verdict("failed", self._death(job, code), PROCESS_DIED))
        elif work.child.pid is not None:
            self._record(work, Verdict("interrupted", "asked to stop, and was killed: it did not answer in time"))
        else:
            _release(work.held)

    def _ended_after_writing(self, work: Work, code: int, written: dict[int, Row]) -> None:
        """It ended between writing rows and telling of them: those count, and only what is left is found out."""
        _release([work.held[index] for index in written])
        self._finished(work.planned.only(list(written)), [told(row) for row in written.values()])
        left = [index for index in range(len(work.held)) if index not in written]
        if left:
            held = [work.held[index] for index in left]
            self._ended(replace(work, planned=work.planned.only(left), job=work.job.only(left), held=held), code)

    def _death(self, job: Job, code: int) -> str:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        hint = "; the system may have been out of memory" if code == -signal.SIGKILL else ""
        return f"its process {how}{hint}{self._last_error(job)}"

    def _last_error(self, job: Job) -> str:
        errors = StatePaths(self._state, job.key).log.with_suffix(".err")
        last = errors.read_text(errors="replace").strip().splitlines()[-1:] if errors.exists() else []
        return f": {last[0]}" if last else ""

    def _record(self, work: Work, verdict: Verdict) -> None:
        """Rows for the runs of a process that could not write them; what it had checkpointed is kept."""
        left = self._claims.unsettled(work.planned, elsewhere=False)  # of a batch it may have written some
        job = self._claims.current(left) if left else None
        if left is None or job is None:
            _release(work.held)
            if left is not None:
                self._claims.busy(left)
            return
        leases = {lease.run_id: lease for lease in work.held}
        held = [leases[run_id] for run_id in left.run_ids]
        task = {"do": "record", "status": verdict.status, "reason": verdict.reason, "error_type": verdict.error_type}
        child = self._start(job, held, {**task, "wall_s": work.wall_s})
        self._running[child] = recording = Work(left, job, held, child, verdict, work.wall_s)
        recording.may_take(RECORD_S)

    def _unrecorded(self, work: Work, verdict: Verdict) -> None:
        """Nothing could write its row either: told of, not tried again, and free for other runners."""
        self._note(f"warning: its row could not be written{self._last_error(work.planned)}: {work.planned.title}")
        outcome = {"status": verdict.status, "reason": verdict.reason}
        self._tell(work.planned.finished([outcome] * len(work.planned.seeds)))
        _release(work.held)

    def _stop(self) -> None:
        """Ask every worker to checkpoint and end; kill what does not within its time, and write its rows."""
        self._until(time.monotonic() + STOP_S)
        for work in list(self._running.values()):
            if not work.verdict:
                self._end(work)
        self._until(time.monotonic() + STOP_ROWS_S)

    def _until(self, deadline: float) -> None:
        while self._running and time.monotonic() < deadline:
            self._turn(TURN_S / 4)

    def _note(self, text: str) -> None:
        self._tell({"event": "note", "text": text})


def _release(held: Sequence[Held]) -> None:
    for lease in held:
        lease.release()


def _lost(held: Sequence[Held]) -> bool:
    try:
        for lease in held:
            lease.check()
    except Lost:
        return True
    return False
