"""How listing, leasing and building grow with runs and runners: virtual time, the real lease, claim and store code.

    python benchmarks/scale.py [--runs 100 1000 10000] [--runners 1 20 200] [--hours 0.5]

Runners take jobs through `Claims` (as `rtbench run` does), tell of life, commit rows and release, against a bucket in
memory whose every request takes `REQUEST_S` of virtual time and is counted. A run lasts half an hour of virtual time,
give or take a third. Then what `plan` and `leaderboard build` do with that many rows, in seconds of this machine.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
import tempfile
import threading
import time
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers.samples import hand_cell, hand_row

from rtbench.executors.claims import ASK_AGAIN_S, Claim, Claims
from rtbench.executors.jobs import Job
from rtbench.executors.leases import Holder
from rtbench.executors.planning import COLUMNS, plan_runs
from rtbench.executors.recording import commit
from rtbench.parts import canonical_json
from rtbench.results.leaderboard import build
from rtbench.results.places import BUCKET_PACE
from rtbench.results.rows import RowStore
from rtbench.results.schema import normal_row
from rtbench.results.store import FolderStore, Keys, KeyTaken
from rtbench.suites.expand import expand
from rtbench.suites.identity import run_ids
from rtbench.suites.model import load_suite

REQUEST_S = 0.03
"""A request to a bucket in the same region; S3 answers small ones in 10 to 50 ms."""
PAGE = 1000
"""Keys that one request of a listing answers."""
PUT_PRICE, GET_PRICE = 5e-6, 4e-7
"""Of one request, in US dollars: S3 Standard's list price (PUT and LIST; GET) in 2024."""
TURN_S = 1.0


class Clock:
    """Virtual time of many threads, of which one runs: the one whose time is the earliest."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._beside = False

    def __call__(self) -> float:
        return self.now

    def at(self, due_s: float, act: Callable[[], None]) -> None:
        """Do something at a time, beside whatever is being done then."""
        heapq.heappush(self._due, (due_s, next(self._count), act))

    def wait(self, seconds: float) -> None:
        """Let time pass for this thread; all others that are due meanwhile run before it goes on."""
        due_s = self.now + seconds
        if self._beside:  # a beat of another's heart, which takes none of this thread's time
            return
        if self._due and self._due[0][0] < due_s:
            mine = threading.Semaphore(0)
            self.at(due_s, mine.release)
            self.run_next()
            mine.acquire()
        self.now = due_s

    def run_next(self) -> None:
        """Hand over to the thread that is due next, after all that is due beside it; nothing if none is."""
        while self._due:
            self.now, _, act = heapq.heappop(self._due)
            if getattr(act, "__name__", "") == "release":
                act()
                return
            self._beside = True
            act()
            self._beside = False


class CountingStore:
    """A bucket in memory: sorted keys, requests counted by verb, each as long as `REQUEST_S`."""

    def __init__(self, clock: Clock) -> None:
        self.values: dict[str, bytes] = {}
        self._sorted: list[str] = []
        self._clock = clock
        self.requests: Counter[str] = Counter()

    def _count(self, verb: str, requests: int = 1) -> None:
        self.requests[verb] += requests
        self._clock.wait(requests * REQUEST_S)

    def read(self, key: str) -> bytes:
        self._count("read")
        return self.values[key]

    def list(self, prefix: str = "") -> Keys:
        begin = bisect_left(self._sorted, prefix)
        end = bisect_left(self._sorted, prefix + "\U0010ffff")
        self._count("list", max(1, -(-(end - begin) // PAGE)))
        return self._sorted[begin:end]

    def replace(self, key: str, value: bytes) -> None:
        self._count("replace")
        if key not in self.values:
            insort(self._sorted, key)
        self.values[key] = value

    def write_new(self, key: str, value: bytes) -> None:
        if key in self.values:
            self._count("refused")
            raise KeyTaken(key)
        self._count("write_new")
        insort(self._sorted, key)
        self.values[key] = value

    def remove(self, key: str) -> None:
        self._count("remove")
        if self.values.pop(key, None) is not None:
            self._sorted.remove(key)


class Runner(threading.Thread):
    """One runner with one core: claims, works, tells of life, commits, releases."""

    def __init__(self, store: CountingStore, jobs: list[Job], clock: Clock, rng: random.Random) -> None:
        super().__init__()
        again_s = ASK_AGAIN_S * BUCKET_PACE
        self.claims = Claims(store, jobs, 1, lambda event: None, ask_again_s=again_s, clock=clock)
        self._rows, self._clock, self._rng = RowStore(store), clock, rng
        self.begin = threading.Semaphore(0)
        self.worked_s = self.ended_s = 0.0

    def run(self) -> None:
        """All jobs, as far as other runners leave them."""
        self.begin.acquire()
        while self.claims:
            claim = self.claims.next()
            if claim is None:
                self._clock.wait(TURN_S)
                continue
            self._work(claim)
            self.ended_s = self._clock.now
        self._clock.run_next()

    def _work(self, claim: Claim) -> None:
        run_s = self._rng.uniform(1200, 2400)
        working = True

        def beat() -> None:
            if working:
                for held in claim.held:
                    held.beat()
                self._clock.at(self._clock.now + claim.held[0].lease.lease_s / 3, beat)

        self._clock.at(self._clock.now + claim.held[0].lease.lease_s / 3, beat)
        self._clock.wait(run_s)
        job = claim.job
        row = hand_row(job.cell, job.seeds[0], wall_s=run_s, attempt=job.attempts[0])
        for held in claim.held:
            held.check()
            commit(self._rows, {**row, "run_id": job.run_ids[0]})
            held.release()
        working = False
        self.worked_s += run_s


def simulate(runs: int, runners: int, seed: int = 0) -> dict[str, Any]:
    """All runs done by so many runners; requests by verb, and how busy the runners were."""
    random.seed(seed)  # `Claims` draws its pauses
    rng, clock = random.Random(seed), Clock()
    store, jobs = CountingStore(clock), jobs_of(runs)
    empty = dict.fromkeys(normal_row(hand_row()))
    with (
        mock.patch.object(Holder, "dead", False),  # as of another machine
        mock.patch("rtbench.results.rows.normal_row", lambda row, place="": {**empty, **row}),  # its checks take long
    ):
        working = [Runner(store, jobs, clock, rng) for _ in range(runners)]
        for number, runner in enumerate(working):
            runner.start()
            clock.at(number * 0.5, runner.begin.release)
        clock.run_next()
        for runner in working:
            runner.join()
    assert len([key for key in store.values if key.startswith("rows/")]) == runs
    wall_s = max(runner.ended_s for runner in working)
    dear = sum(store.requests[verb] for verb in ("list", "replace", "write_new", "refused"))
    return {
        "runs": runs,
        "runners": runners,
        "requests": sum(store.requests.values()),
        **{verb: store.requests[verb] for verb in ("list", "read", "write_new", "replace", "refused")},
        "hours": wall_s / 3600,
        "busy": sum(runner.worked_s for runner in working) / (wall_s * runners),
        "dollars": dear * PUT_PRICE + store.requests["read"] * GET_PRICE,
    }


def jobs_of(runs: int) -> list[Job]:
    """One job per run."""
    cell = hand_cell()
    ids = run_ids(cell, tuple(range(runs)))
    return [Job(cell, (seed,), (ids[seed],), (1,), "scale", 1, 86_400.0) for seed in range(runs)]


def grow(runs: int) -> dict[str, Any]:
    """Processor seconds of listing, planning and building with the rows of so many runs of mujoco-delta."""
    suite = load_suite("mujoco-delta")
    cells = expand(suite, support=False)
    seeds = range(-(-runs // len(cells)))
    made = [(cell, seed) for seed in seeds for cell in cells][:runs]
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(folder)
        rows = RowStore(store)
        for cell, seed in made:
            present = {k: v for k, v in hand_row(cell.cell, seed, suite=suite.name).items() if v is not None}
            path = Path(folder) / "rows" / f"{present['run_id']}.1.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(canonical_json(present))
        times = {"runs": len(made)}
        begin = time.process_time()
        store.list("rows/")
        times["list"] = time.process_time() - begin
        begin = time.process_time()
        scan = rows.scan(columns=COLUMNS, newest=True)
        plan_runs(cells, {row["run_id"]: row for row in scan.rows})
        times["plan"] = time.process_time() - begin
        begin = time.process_time()
        build(suite, rows.scan(newest=True).rows)
        times["build"] = time.process_time() - begin
    return times


def show(columns: list[dict[str, Any]]) -> None:
    """One line per simulation."""
    print(
        f"{'runs':>7}{'runners':>9}{'requests':>12}{'per run':>9}{'list':>10}{'read':>10}{'new':>8}{'beat':>9}"
        f"{'refused':>9}{'hours':>8}{'busy':>7}{'$':>8}{'s here':>8}"
    )
    for each in columns:
        print(
            f"{each['runs']:>7,}{each['runners']:>9,}{each['requests']:>12,}{each['requests'] / each['runs']:>9.0f}"
            f"{each['list']:>10,}{each['read']:>10,}{each['write_new']:>8,}{each['replace']:>9,}{each['refused']:>9,}"
            f"{each['hours']:>8.2f}{each['busy']:>7.1%}{each['dollars']:>8.2f}{each['s here']:>8.1f}",
            flush=True,
        )


def main() -> None:
    """Simulate every pair, then measure listing and building over real folders."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--runners", type=int, nargs="+", default=[1, 20, 200])
    given = parser.parse_args()
    print(f"{'rows':>7}{'list':>9}{'plan':>9}{'build':>9}   processor seconds of this machine, rows in a folder")
    for runs in given.runs:
        took = grow(runs)
        print(f"{took['runs']:>7,}{took['list']:>9.3f}{took['plan']:>9.2f}{took['build']:>9.2f}", flush=True)
    print()
    found = []
    for runs in given.runs:
        for runners in given.runners:
            begin = time.perf_counter()
            found.append({**simulate(runs, runners), "s here": 0.0})
            found[-1]["s here"] = time.perf_counter() - begin
            show(found[-1:])
    print()
    show(found)


if __name__ == "__main__":
    main()
