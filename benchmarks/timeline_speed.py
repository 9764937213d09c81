"""Environment steps of timeline per second: the virtual clock against one event at a time, in one run.

The plain loop below pushes every start, finish and registration through a heap, with the same scheduler and the same
draws; both timelines are compared before anything is printed. One hundred staggered processes, inferences of 100 steps.
"""

from __future__ import annotations

import heapq
import time

import numpy as np

from rtbench.cell import Latency
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.virtual import VirtualClock
from rtbench.schedulers.staggered_max import StaggeredMaxState

PROCESSES = 100
STEP_NS = 10_000_000
STEPS = 200_000
WANTED_STEPS_PER_S = 500_000


def plain_loop(latency: Latency) -> list[tuple[int, int]]:
    """(start, registration) of every inference that starts within the steps."""
    state, model = StaggeredMaxState(PROCESSES, STEP_NS), LatencyModel(latency)
    draws = [iter(model.draw_block(process, 4 * STEPS // PROCESSES).tolist()) for process in range(PROCESSES)]
    heap = [(state.start(process, 0), 2, process, 0) for process in range(PROCESSES)]
    started: list[int] = []
    registered: list[int] = []
    while heap[0][0] < STEPS * STEP_NS:
        now, phase, process, index = heap[0]
        if phase == 2:
            heapq.heapreplace(heap, (now + next(draws[process]), 0, process, len(started)))
            started.append(now)
            registered.append(2**63 - 1)
        elif phase == 0:
            heapq.heapreplace(heap, (state.register(process, now, now - started[index]), 1, process, index))
        else:
            registered[index] = now
            heapq.heapreplace(heap, (state.start(process, now), 2, process, 0))
    return list(zip(started, registered, strict=True))


def main() -> None:
    """Print steps per second of both, and the ratio, per kind of latency."""
    mean_s = 100 * STEP_NS / 1e9
    for name, latency in (
        ("constant", Latency("constant", mean_s=mean_s)),
        ("lognormal, 5 %", Latency("lognormal", mean_s=mean_s, cv=0.05)),
    ):
        begin = time.perf_counter()
        expected = plain_loop(latency)
        plain_s = time.perf_counter() - begin
        begin = time.perf_counter()
        clock = VirtualClock(StaggeredMaxState(PROCESSES, STEP_NS), LatencyModel(latency), step_ns=STEP_NS)
        timeline = clock.timeline(STEPS)
        fast_s = time.perf_counter() - begin
        found = np.stack([timeline.started_ns, timeline.registered_ns], axis=1)
        assert np.array_equal(found, np.array(expected, dtype=np.int64)), "the two timelines differ"
        begin = time.perf_counter()
        timeline.summary(holds=True)
        summary_s = time.perf_counter() - begin
        enough = "reached" if STEPS / (fast_s + summary_s) >= WANTED_STEPS_PER_S else "MISSED"
        print(
            f"{name}: {STEPS / fast_s:,.0f} steps/s, plain loop {STEPS / plain_s:,.0f}, ratio {plain_s / fast_s:.1f}; "
            f"with ages and summary {STEPS / (fast_s + summary_s):,.0f} ({WANTED_STEPS_PER_S:,} wanted: {enough})"
        )


if __name__ == "__main__":
    main()
