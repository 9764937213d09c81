"""How listing, leasing and building grow with runs and runners: virtual time, the real lease, claim and store code.

    python benchmarks/scale.py [--runs 100 1000 10000] [--runners 1 20 200] [--hours 0.5]

Runners take jobs through `Claims` (as `rtbench run` does), tell of life, commit rows and release, against a bucket in
memory whose every request takes `REQUEST_S` of virtual time and is counted. A run lasts half an hour of virtual time,
give or take a third. Then what `plan` and `leaderboard build` do with that many rows, in seconds of this machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import random
import sys
import time
from bisect import bisect_left, insort
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers.samples import hand_cell, hand_row

from rtbench.executors import claims, leases
from rtbench.executors.claims import Claim, Claims
from rtbench.executors.jobs import Job
from rtbench.executors.recording import commit
from rtbench.results.places import BUCKET_PACE
from rtbench.results.rows import RowStore
from rtbench.results.store import Keys, KeyTaken

REQUEST_S = 0.03
"""A request to a bucket in the same region; S3 answers small ones in 10 to 50 ms."""
PAGE = 1000
"""Keys that one request of a listing answers."""
PUT_PRICE, GET_PRICE = 5e-6, 4e-7
"""Of one request, in US dollars: S3 Standard's list price (PUT and LIST; GET) in 2024."""
TURN_S = 1.0


class Clock:
    """Virtual time; what a runner does moves its own ahead, `run` puts it back to the next one's."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class CountingStore:
    """A bucket in memory: sorted keys, requests counted by verb, each as long as `REQUEST_S`."""

    def __init__(self, clock: Clock) -> None:
        self._values: dict[str, bytes] = {}
        self._sorted: list[str] = []
        self._clock = clock
        self.requests: Counter[str] = Counter()

    def _count(self, verb: str, requests: int = 1) -> None:
        self.requests[verb] += requests
        self._clock.now += requests * REQUEST_S

    def read(self, key: str) -> bytes:
        self._count("read")
        return self._values[key]

    def list(self, prefix: str = "") -> Keys:
        begin = bisect_left(self._sorted, prefix)
        end = bisect_left(self._sorted, prefix + "\U0010ffff")
        self._count("list", max(1, -(-(end - begin) // PAGE)))
        return self._sorted[begin:end]

    def replace(self, key: str, value: bytes) -> None:
        self._count("replace")
        if key not in self._values:
            insort(self._sorted, key)
        self._values[key] = value

    def write_new(self, key: str, value: bytes) -> None:
        if key in self._values:
            self._count("refused")
            raise KeyTaken(key)
        self._count("write_new")
        insort(self._sorted, key)
        self._values[key] = value

    def remove(self, key: str) -> None:
        self._count("remove")
        if self._values.pop(key, None) is not None:
            self._sorted.remove(key)


class Runner:
    """One runner with one core: claims, works, tells of life, commits, releases."""

    def __init__(self, store: CountingStore, jobs: list[Job], clock: Clock) -> None:
        self.claims = Claims(
            store, jobs, 1, lambda event: None, ask_again_s=claims.ASK_AGAIN_S * BUCKET_PACE
        )
        self._rows, self._clock = RowStore(store), clock
        self.claim: Claim | None = None
        self._done_at = 0.0

    def turn(self, run_s: float) -> float | None:
        """What is due now; when it is to be called again, None when nothing is left."""
        if self.claim is None:
            if not self.claims:
                return None
            self.claim = self.claims.next()
            if self.claim is None:
                return self._clock.now + TURN_S if self.claims else None
            self._done_at = self._clock.now + run_s
        elif self._clock.now >= self._done_at:
            job = self.claim.job
            row = hand_row(job.cell, job.seeds[0], wall_s=run_s, attempt=job.attempts[0])
            for held in self.claim.held:
                held.check()
                commit(self._rows, {**row, "run_id": job.run_ids[0]})
                held.release()
            self.claim = None
            return self._clock.now
        else:
            for held in self.claim.held:
                if held.due:
                    held.beat()
        beat_s = self.claim.held[0].lease.lease_s / 3
        return min(self._clock.now + beat_s, self._done_at)


def simulate(runs: int, runners: int, seed: int = 0) -> dict[str, Any]:
    """All runs done by so many runners; requests by verb, and how busy the runners were."""
    rng, clock = random.Random(seed), Clock()
    store, jobs = CountingStore(clock), jobs_of(runs)
    with (
        mock.patch.object(claims, "time", clock),
        mock.patch.object(leases.time, "monotonic", clock.monotonic),
        mock.patch("rtbench.executors.recording.time", clock),
        mock.patch.object(claims.Leases, "__init__", _with_clock(clock)),
        mock.patch.object(leases.Holder, "dead", False),
        mock.patch("rtbench.results.rows.normal_row", lambda row, place="": dict(row)),
    ):
        working = [Runner(store, jobs, clock) for _ in range(runners)]
        queue = [(number * 0.5, number) for number in range(runners)]
        wall_s = worked_s = 0.0
        while queue:
            clock.now, number = heapq.heappop(queue)
            run_s = rng.uniform(1200, 2400)
            before = working[number].claim
            again = working[number].turn(run_s)
            if before is None and working[number].claim is not None:
                worked_s += run_s
            wall_s = max(wall_s, clock.now)
            if again is not None:
                heapq.heappush(queue, (max(again, clock.now), number))
    rows = len([key for key in store.list("rows/")])
    assert rows == runs, (rows, runs)
    dear = sum(store.requests[verb] for verb in ("list", "replace", "write_new", "refused"))
    return {
        "runs": runs,
        "runners": runners,
        "requests": sum(store.requests.values()),
        **{verb: store.requests[verb] for verb in ("list", "read", "write_new", "replace", "refused")},
        "hours": wall_s / 3600,
        "busy": worked_s / (wall_s * runners),
        "dollars": dear * PUT_PRICE + store.requests["read"] * GET_PRICE,
    }
