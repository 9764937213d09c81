"""Exactness of learners of action values: stopped anywhere and continued from files, they end as if never stopped."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.dqn_cells import constant, dqn_cell, drawn, whole

from rtbench.cell import Budget, RunBatch
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.plugins import build

EPISODES = Budget(steps=6, unit="episodes", eval_every=3, eval_episodes=1, final_eval_episodes=1)
CASES = {
    "plain": ("dqn", {}, whole(), None),
    "episodes": ("dqn", {"double": True}, whole(latency=0.3), EPISODES),
    "instant": ("dqn", {"dueling": True, "n_steps": 2}, interaction("instant", 0.0), None),
    "rainbow, slots": ("rainbow", {}, whole("staggered-slots", 0.21, processes=3), None),
    "round robin": (
        "dqn",
        {"learners": 4, "update_every": 1, "prioritised": True, "replay_size": 100},
        interaction("sequential", 0.0, latency=drawn(0.2), learning=drawn(0.3), default="noop"),
        None,
    ),
    "within inference": (
        "dqn",
        {"distributional": True},
        whole("sequential", params={"order": "learn-then-infer"}, learning=constant(0.2)),
        None,
    ),
    "stream-q": ("stream-q", {}, whole(latency=0.15), None),
    "stream-ac": ("stream-ac", {}, whole(latency=0.3), None),
}


def new(case):
    learner, params, met, budget = CASES[case]
    cell = dqn_cell(learner, params, met, budget=budget)
    assert build(cell.learner).supports(cell) is None
    return build(cell.learner).make(RunBatch(cell, (5, 6)))


def finish(program):
    while not program.done:
        program.advance()
    return [(outcome.columns, outcome.extras) for outcome in program.outcomes()]


@pytest.mark.parametrize("case", CASES)
def test_continued_equals_uninterrupted(case, tmp_path):
    """Stopped after every second advance, also within an evaluation; what came after a checkpoint is done again."""
    expected = finish(whole_run := new(case))
    assert expected[0][0]["updates"] > 5
    program, folder, calls = new(case), CheckpointFolder(tmp_path), 0
    while not program.done:
        program.advance()
        calls += 1
        if calls % 2:
            folder.save(program, {})
            if not program.done:
                program.advance()
            program, folder = new(case), CheckpointFolder(tmp_path)
            folder.load(program)
    assert calls > 3
    assert [(outcome.columns, outcome.extras) for outcome in program.outcomes()] == expected
    for one, other in zip(program.policies(["x", "y"]), whole_run.policies(["x", "y"]), strict=True):
        for name, layer in one.parameters.items():
            for kind, value in layer.items():
                assert np.array_equal(value, other.parameters[name][kind])
