"""Runs of other runners: watched by their leases until they can be taken over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rtbench.executors.leases import Lease, current
from rtbench.results.store import Store


class Watch:
    """Since when leases have not changed; a task that waited for them itself would take a core meanwhile."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._seen: dict[str, tuple[Lease, float]] = {}

    def free(self, run_ids: Iterable[str]) -> bool:
        """Whether nobody holds any of the runs, or none of those who do has told of itself for a lease's length."""
        free = [self._free(run_id) for run_id in run_ids]  # each is looked at, so that their times run at once
        return all(free)

    def _free(self, run_id: str) -> bool:
        lease = current(self._store, run_id)
        if lease is None or lease.released or lease.holder.dead:
            return True
        seen, since = self._seen.get(run_id, (None, 0.0))
        if seen != lease:
            self._seen[run_id] = (lease, self._clock())
            return False
        return self._clock() - since >= lease.lease_s
