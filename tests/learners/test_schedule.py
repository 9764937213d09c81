"""Timelines that go on through resets: a window of them is what the whole would say, and no more is kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.dqn_cells import constant, dqn_cell, drawn, whole

from rtbench.interaction.exploration import Exploration
from rtbench.interaction.timing import clock_of
from rtbench.learners import schedule
from rtbench.learners.schedule import Schedule
from rtbench.plugins import build

CASES = [
    (whole("one-process", 0.17), None),
    (whole("staggered-max", 0.22, processes=5), 0.3),
    (dataclasses.replace(whole("staggered-expected", processes=6), latency=drawn(0.3)), 0.1),
    (whole("staggered-slots", 0.12, processes=3, lateness=drawn(0.001)), None),
    (whole("sequential", 0.1, learning=constant(0.4), sensor_latency_s=0.12), None),
]


@pytest.mark.parametrize(("met", "epsilon"), CASES, ids=[met.scheduler.name for met, _ in CASES])
@pytest.mark.parametrize("begin", [0, 900])
def test_every_episode_is_as_on_one_long_timeline(met, epsilon, begin, monkeypatch):
    """Against the clock simulated at once from its beginning; also when a continued run begins in the middle."""
    monkeypatch.setattr(schedule, "_STRETCH_STEPS", 60)
    monkeypatch.setattr(schedule, "_EXPLORED_STEPS", 50)
    monkeypatch.setattr("rtbench.interaction.virtual._STRETCH_STEPS", 37)
    cell = dqn_cell(met=met, env={"max_steps": 70})
    spec = build(cell.environment).spec()
    anneal = (lambda step: epsilon) if epsilon else None
    coins = Exploration(anneal, int(spec.step_s * 1e9), 4, "train") if epsilon else None
    line = clock_of(met, 3, spec.step_s, 4, "train", exploration=coins).timeline(4000)
    found = Schedule(cell, 3, spec, 4, "train", anneal)
    rng, base = np.random.default_rng(0), begin
    for episode in range(12):
        length = int(rng.integers(1, 180))
        found.begin(episode, base)
        first = int(np.searchsorted(line.started_ns, base * line.step_ns))
        for step in range(length):
            arrived = [m - first for m in line.arrived(base + step) if m >= first]
            assert found.arrived(step) == arrived
            started = line.started(base + step)
            reads = [max(0, int(line.read_step[m]) - base) for m in started]
            told = zip(line.process[list(started)].tolist(), reads, line.random[list(started)].tolist(), strict=True)
            assert found.started(step) == list(told)
            for m in (m - first for m in started):
                assert found.is_random(m) == line.random[m + first]
        flying = [
            m - first for m in range(first, len(line.process)) if line.registered_ns[m] > (base + length) * line.step_ns
        ]
        flying = [m for m in flying if line.started_ns[m + first] < (base + length) * line.step_ns]
        wanted = min(flying, key=lambda m: (line.registered_ns[m + first], m), default=None)
        assert found.soonest(flying) == wanted
        following = line.started(base + length - 1)[-1:]
        for m in following:
            assert found.process(m + 1 - first) == line.process[m + 1]
        base += length


def test_what_is_past_is_forgotten(monkeypatch):
    """After a million steps no more inferences are held than of the stretches ahead and under way."""
    cell = dqn_cell(met=whole("staggered-max", 0.22, processes=5))
    spec = build(cell.environment).spec()
    found = Schedule(cell, 3, spec, 0, "train", lambda step: 0.1)
    for episode, base in enumerate((0, 5_000, 300_000, 1_000_000)):
        found.begin(episode, base)
        found.arrived(0)
        held = len(found._clock._started), len(found._timeline.process)
        assert max(held) <= 1.1 * (2 * 8192 + 10), base
