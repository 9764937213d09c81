"""The wall clock where the world is late: steps given up or made up for, runs that are spoiled."""

from __future__ import annotations

import time
from typing import Any

import pytest
from helpers.provenance import LATENCY
from helpers.wall_worlds import NOTHING, STEP_NS, Counting, run_counting, state_of

from rtbench.realtime import Recording


class Stalling(Counting):
    """Blocks for 10.5 steps in its sixth."""

    def step(self, action: Any) -> tuple[float, bool]:
        if len(self.applied) == 5:
            time.sleep(10.5 * STEP_NS / 1e9)
        return super().step(action)


def test_hardware_gives_up_the_steps_that_it_missed() -> None:
    scheduler = state_of("staggered-max", 2)
    world, found = run_counting(scheduler, 2, world=Stalling(), latency=LATENCY, steps=40, skips=True)
    (stretch,) = found.stretches
    line, skipped = stretch.timeline, list(stretch.skipped)
    assert line.steps == 40 == len(world.applied) + len(skipped)
    assert len(skipped) >= 10
    assert (line.source[skipped] < 0).all()
    taken = [step for step in range(40) if step not in skipped]
    for step, action in zip(taken, world.applied, strict=True):
        source = int(line.source[step])
        assert action[0] == (NOTHING if source < 0 else line.process[source])
    assert (stretch.lateness_ns[taken] < STEP_NS).all(), "none begins when the next one should"
    assert not set(line.apply_step.tolist()) & set(skipped), "what came meanwhile is looked at by the next one taken"
    summary = found.summary()
    assert summary.skipped_steps == len(skipped)
    assert summary.lateness.missed_share >= len(skipped) / 40
    after = ~line.startup
    assert summary.inaction_share == pytest.approx((line.source < 0)[after].mean())


def test_a_simulated_world_takes_every_step() -> None:
    world, found = run_counting(state_of("staggered-max", 2), 2, world=Stalling(), latency=LATENCY, steps=40)
    assert len(world.applied) == 40
    assert found.stretches[0].skipped == ()
    assert (found.stretches[0].lateness_ns[6:14] > STEP_NS).all()


def test_a_run_that_lateness_spoils_says_so() -> None:
    class Heavy(Counting):
        def step(self, action: Any) -> tuple[float, bool]:
            time.sleep(1.5 * STEP_NS / 1e9)
            return super().step(action)

    _, found = run_counting(state_of("async", 1), world=Heavy(), steps=20)
    strict = Recording(found.stretches, 1, True, found.tolerance_ns, 0.02)
    assert found.tolerance_ns == STEP_NS // 10
    assert found.spoiled is None, "all steps may be late where that was asked for"
    assert strict.lateness.missed_share >= 18 / 20
    assert strict.spoiled is not None
    assert "began more than 0.4 ms late (at most 2.0% may)" in strict.spoiled
    assert strict.summary().spoiled == strict.spoiled
