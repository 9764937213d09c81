"""The wall clock with learner processes: which version of the parameters decided what."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from helpers.provenance import LATENCY
from helpers.wall_worlds import Counting, Telling, run_counting, state_of

from rtbench.interaction.timeline import NEVER
from rtbench.realtime import Learning, Recording


def add_one(parameters: Any, process: int) -> None:
    parameters += 1
    time.sleep(0.002)


class Versioned(Telling):
    """Answers the parameters it sees; refuses them if they are of two versions."""

    def act(self, observation: Any, applied: Any) -> Any:
        answer = super().act(observation, applied)
        assert (self.parameters == self.parameters[0]).all(), "torn"
        answer[4] = int(self.parameters[0])
        return answer


def versions(found: Recording, world: Counting) -> None:
    """The parameters that decided an action are those of the version its inference notes."""
    (stretch,) = found.stretches
    for action, source in zip(world.applied, stretch.timeline.source.tolist(), strict=True):
        if source >= 0:
            assert action[4] == stretch.version[source]


@pytest.mark.parametrize("learners", [1, 3])
def test_learners_update_in_turn(learners: int) -> None:
    world, found = run_counting(
        state_of("async", 1),
        make_actor=lambda process, parameters: Versioned(process, 1, parameters),
        latency=LATENCY,
        learning=Learning(np.zeros(30_000), add_one, learners),
        steps=80,
    )
    updates = found.updates
    count = len(updates.process)
    assert count > learners
    assert updates.process.tolist() == [u % learners for u in range(count)]
    assert (updates.read <= np.arange(count)).all()
    if learners == 1:
        assert updates.read.tolist() == list(range(count))
    assert (updates.finished_ns > updates.started_ns).all()
    assert (np.diff(updates.finished_ns) > 0).all()
    versions(found, world)  # each update adds one, whatever version it was computed from
    assert (np.diff(found.stretches[0].version) >= 0).all()


@pytest.mark.parametrize("order", ["infer-then-learn", "learn-then-infer"])
def test_a_sequential_process_learns_itself(order: str) -> None:
    world, found = run_counting(
        state_of("sequential", 1, order=order),
        make_actor=lambda process, parameters: Versioned(process, 1, parameters),
        latency=LATENCY,
        learning=Learning(np.zeros(8), add_one, 3),
    )
    (stretch,) = found.stretches
    done = stretch.timeline.finished_ns < NEVER
    assert set(found.updates.process.tolist()) == {0}
    assert abs(len(found.updates.process) - len(done)) <= 1
    assert found.updates.read.tolist() == list(range(len(found.updates.read)))
    first = 0 if order == "infer-then-learn" else 1
    for action, source in zip(world.applied, stretch.timeline.source.tolist(), strict=True):
        assert source < 0 or action[4] == stretch.version[source] + first
    assert stretch.version.tolist() == list(range(len(done)))
    learnt = stretch.learning_ns > 0
    assert learnt[:-1].all()
