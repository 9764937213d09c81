"""Learning on the wall clock: genuine inference and learner processes that share one experience."""

from __future__ import annotations

import numpy as np
from helpers.dqn_cells import dqn_cell, whole

from rtbench.cell import Budget, RunBatch
from rtbench.learners.dqn_wall import LearningWorld, Shared
from rtbench.plugins import build


def cell(**params):
    met = whole("staggered-slots", 0.03, processes=2, clock="wall")
    small = {"epsilon_steps": 40, "learning_starts": 20} | params
    return dqn_cell("dqn", small, met, budget=Budget(70, "env_steps", 70, 1, 1))


def test_two_inference_and_two_learner_processes(monkeypatch):
    monkeypatch.setattr("rtbench.realtime.recording.Recording.spoiled", None)
    program = build((given := cell(learners=2)).learner).make(RunBatch(given, (0,)))
    begun = program.runs[0]._shared.network.flat()
    while not program.done:
        program.advance()
    (outcome,) = program.outcomes()
    columns, extras = outcome.columns, outcome.extras
    assert columns["env_steps"] == 70
    assert 3 <= columns["updates"] <= (70 - 20) / 4 + 2
    assert 0 <= extras["rtbench/parameter_age_updates"] <= extras["rtbench/parameter_age_max_updates"] <= 2
    assert columns["observation_age_p50_steps"] >= 1
    (policy,) = program.policies(["x"])
    assert not np.array_equal(program.runs[0]._shared.network.flat(), begun)
    assert set(policy.parameters) == {layer.name for layer in program.runs[0]._policy.graph.layers}
    again = build(given.learner).make(RunBatch(given, (0,)))
    again.restore(program.state(), ())
    assert again.done
    assert again.outcomes()[0].columns == columns


def test_an_action_brings_the_row_it_rests_on():
    """The world remembers the observation that was read, not the one at hand."""
    spec = build(cell().environment).spec()
    shared = Shared.of(cell(), spec, build(cell().learner).params, 0)
    world = LearningWorld(shared)
    rows = [int(world.reset(0)[-8:].view(np.int64)[0])]
    nobody = world.default(None)
    assert nobody[-1] == -1
    for step in range(6):
        action = np.append(np.eye(spec.action_size)[1], float(rows[0])) if step == 2 else nobody
        action = np.append(np.eye(spec.action_size)[2], float(rows[3])) if step == 5 else action
        world.step(action)
        rows.append(int(world.observe()[-8:].view(np.int64)[0]))
    assert rows == list(range(7))
    experience = shared.experience
    assert experience.read[:2].tolist() == [0, 3]
    assert experience.applied[:2].tolist() == [2, 5]
    experience.refresh()
    assert (experience.decision_count, experience.closed_count, experience.steps) == (1, 1, 7)
