"""Jobs that wait for their turn: which is next, taken together with its leases, unless other runners were faster."""

from __future__ import annotations

import heapq
import itertools
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtbench.executors.jobs import Job
from rtbench.executors.leases import Held, Holder, Leases
from rtbench.executors.recording import standing, told
from rtbench.results.rows import RowStore
from rtbench.results.store import Store

if TYPE_CHECKING:
    from rtbench.results.schema import Row

ASK_AGAIN_S = 2.0
ASKED_AT_ONCE = 8
"""So many jobs of other runners are asked for within `ASK_AGAIN_S`, however many there are."""
_NAMED = 8


@dataclass(frozen=True)
class Claim:
    """A job as it was planned, the same with the attempts to be made now, and its leases."""

    planned: Job
    job: Job
    held: list[Held]


class Claims:
    """The queue of a runner; jobs that other runners work on go to its end and are asked for again and again."""

    def __init__(
        self,
        store: Store,
        jobs: Iterable[Job],
        retries: int,
        tell: Callable[[dict[str, Any]], None],
        *,
        ask_again_s: float = ASK_AGAIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask_again_s` is how long a job of another runner is left alone before it is asked for again."""
        self._ask_again_s, self._clock = ask_again_s, clock
        self.holder = uuid.uuid4().hex
        self._rows, self._retries, self._tell = RowStore(store), retries, tell
        self._leases = Leases(store, Holder.of_this_process(self.holder), clock=clock)
        self._waiting = deque(jobs)
        self._busy: list[tuple[float, int, Job]] = []
        self._turns = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._waiting or self._busy)

    @property
    def blocked(self) -> bool:
        """Whether all jobs left are those of other runners."""
        return bool(self._busy) and not self._waiting

    def next(self, *, idle: bool = True) -> Claim | None:
        """A job whose turn it is, under its leases; None if there is none now.

        Jobs that want to be alone wait until this runner is `idle`.
        """
        while planned := self._pop(idle):
            left = self.unsettled(planned)
            claim = self._claim(left) if left else None
            if claim:
                return claim
        return None

    def _pop(self, idle: bool) -> Job | None:
        """The first job that may start now, taken off the queue."""
        if self._busy and self._busy[0][0] <= self._clock():
            self._waiting.append(heapq.heappop(self._busy)[2])
        found = next((job for job in self._waiting if idle or not job.alone), None)
        if found is not None:
            self._waiting.remove(found)
        return found

    def again(self, job: Job) -> None:
        """A further attempt, at the end of the queue."""
        self._waiting.append(replace(job, fresh=False))

    def busy(self, job: Job) -> None:
        """To be asked for later: another runner has it now."""
        # The more there are, the later each: so many runners that wait for so many runs would ask of nothing else.
        pause_s = self._ask_again_s * max(1.0, len(self._busy) / ASKED_AT_ONCE)
        due = self._clock() + pause_s * random.uniform(0.75, 1.25)
        heapq.heappush(self._busy, (due, next(self._turns), job))

    def _claim(self, job: Job) -> Claim | None:
        held = self._leases.acquire_all(job.run_ids)
        if held is None:
            self.busy(job)
            return None
        now = self.current(job)
        if now is None:  # settled between the two looks
            for lease in held:
                lease.release()
            self._waiting.appendleft(job)
            return None
        return Claim(job, now, held)

    def unsettled(self, job: Job, *, elsewhere: bool = True) -> Job | None:
        """Those of its runs that are not settled, None if all are; the others are told of."""
        found = self._standing(job)
        rows = {index: row for index, row in enumerate(found) if not isinstance(row, int)}
        if rows:
            self._tell(job.only(list(rows)).finished([told(row) for row in rows.values()], elsewhere=elsewhere))
        left = [index for index in range(len(found)) if index not in rows]
        return job.only(left) if left else None

    def current(self, job: Job) -> Job | None:
        """The job with the attempts to be made now; None if a run of it is settled."""
        attempts = tuple(found for found in self._standing(job) if isinstance(found, int))
        if len(attempts) < len(job.attempts):
            return None
        return replace(job, attempts=attempts, fresh=job.fresh and attempts == job.attempts)

    def _standing(self, job: Job) -> list[Row | int]:
        pairs = zip(job.run_ids, job.attempts, strict=True)
        return [standing(self._rows, run_id, attempt, self._retries) for run_id, attempt in pairs]

    def written(self, job: Job) -> dict[int, Row]:
        """The rows of attempts that this very job was to make, by its runs' indices."""
        pairs = enumerate(zip(job.run_ids, job.attempts, strict=True))
        rows = {index: self._rows.attempt(run_id, attempt) for index, (run_id, attempt) in pairs}
        return {index: row for index, row in rows.items() if row is not None}

    def others(self) -> str:
        """How many runs other runners have, and who they are."""
        runs = [run_id for *_, job in self._busy for run_id in job.run_ids]
        holders = sorted({self._leases.busy_with(run_id) for run_id in runs[:_NAMED]})
        return f"{len(runs)} run(s) of other runners ({'; '.join(holders)})"
