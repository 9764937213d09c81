"""Whether every action applied is the one its timeline names."""

from __future__ import annotations

from collections import Counter

import numpy as np
from helpers.wall_worlds import NOTHING, RANDOM, STEP_NS, Counting

from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timeline import NEVER
from rtbench.realtime.recording import Stretch

LATENCY = LatencyModel(int(2.6 * STEP_NS))


def check_provenance(world: Counting, stretch: Stretch, first_step: int = 0) -> None:
    """Each step of the stretch used what its timeline says; every inference is accounted for."""
    line = stretch.timeline
    applied = world.applied[first_step : first_step + line.steps]
    counts: Counter[int] = Counter()
    number = np.zeros(len(line.process), np.int64)
    for index, process in enumerate(line.process.tolist()):
        number[index] = counts[process]
        counts[process] += 1
    ahead: dict[int, int] = {}
    for step, action in enumerate(applied):
        source = int(line.source[step])
        if source < 0:
            assert action == (NOTHING,) * 5
            continue
        process, count, _, read_step, place = action
        if line.random[source]:
            assert action[0] == RANDOM
            continue
        assert (process, read_step, place) == (line.process[source], line.read_step[source], line.offset[step])
        if not line.random.any():  # else some were not computed
            ahead.setdefault(process, count - number[source])
            assert count - number[source] == ahead[process]
    assert (line.started_ns >= line.read_step * line.step_ns).all()
    finished = line.finished_ns < NEVER
    assert (line.finished_ns[finished] > line.started_ns[finished]).all()
    registered = line.registered_ns < NEVER
    assert (finished | ~registered).all()
    assert (line.registered_ns[registered] <= line.steps * line.step_ns).all()
