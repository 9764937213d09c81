"""Learning on the wall clock: genuine inference and learner processes that share one experience."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.dqn_cells import constant, dqn_cell, whole

from rtbench.cell import Budget, RunBatch
from rtbench.learners.dqn_wall import ages_of
from rtbench.learners.dqn_wall_processes import Learner, LearningActor, LearningWorld, Shared, versioned
from rtbench.plugins import build
from rtbench.realtime.parameters import Updates


def cell(learner="dqn", met=None, **params):
    met = met or whole("staggered-slots", 0.03, processes=2, clock="wall")
    small = {"epsilon_steps": 40, "learning_starts": 20} | params
    return dqn_cell(learner, small, met, budget=Budget(70, "env_steps", 70, 1, 1))


def shared_of(given):
    return Shared.of(given, build(given.environment).spec(), build(given.learner).params, 0)


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
    shared = shared_of(cell())
    spec, world = shared.spec, LearningWorld(shared)
    rows = [int(world.reset(0)[-16:].view(np.int64)[0])]
    nobody = world.default(None)
    assert nobody[-1] == -1
    for step in range(6):
        action = np.append(np.eye(spec.action_size)[1], float(rows[0])) if step == 2 else nobody
        action = np.append(np.eye(spec.action_size)[2], float(rows[3])) if step == 5 else action
        world.step(action)
        rows.append(int(world.observe()[-16:].view(np.int64)[0]))
        assert int(world.observe()[-8:].view(np.int64)[0]) == step + 1
    assert rows == list(range(7))
    experience = shared.experience
    assert experience.read[:2].tolist() == [0, 3]
    assert experience.applied[:2].tolist() == [2, 5]
    experience.refresh()
    assert (experience.decision_count, experience.closed_count, experience.steps) == (1, 1, 6)


def test_noise_is_drawn_anew_for_every_version_and_in_every_process():
    given = cell("rainbow", prioritised=False, epsilon_start=0.0, epsilon_end=0.0)
    outputs = []
    for process in range(2):
        shared = shared_of(given)
        parameters = versioned(shared.network)
        actor = LearningActor(shared, process, parameters)
        nothing = np.zeros(shared.spec.action_size)
        actor._decide = lambda output, nothing=nothing: (outputs.append(np.array(output)), nothing)[1]
        observation = np.ones_like(LearningWorld(shared).sample)
        observation[-16:] = 0
        for version in (0, 0, 1):
            parameters[-1] = version  # else they are the same
            actor.act(observation, np.zeros(shared.spec.action_size + 1))
    first, again, newer, other, _, other_newer = outputs
    np.testing.assert_array_equal(first, again)
    apart = [first, newer, other, other_newer]
    assert not any(np.array_equal(a, b) for i, a in enumerate(apart) for b in apart[:i])


def played(given):
    """A shared experience of 60 steps with an action in each."""
    shared = shared_of(given)
    world, episode = LearningWorld(shared), 0
    world.reset(0)
    for _ in range(60):
        row = float(shared.experience.row_count - 1)
        if world.step(np.append(np.eye(shared.spec.action_size)[1], row))[1]:
            episode += 1
            world.reset(episode)
    return shared


def test_every_learner_copies_the_target_by_the_updates_of_all(monkeypatch):
    """Three learners in turn, a copy every fourth update: each when it first finds parameters of 4, 8, 12 updates."""
    monkeypatch.setattr("os.nice", lambda by: None)
    given = cell("rainbow", learners=3, target_every=4, learning_starts=0, update_every=1, prioritised=False)
    each = [played(given) for _ in range(3)]
    learners, newest, copies = [Learner(shared) for shared in each], versioned(each[0].network), []
    own = [newest.copy() for _ in each]
    for update in range(14):
        process = update % 3
        learner, parameters = learners[process], own[process]
        parameters[:] = newest
        learner._last_steps = -100
        before = [t.clone() for t in learner._updates._target] if learner._updates else None
        learner(parameters, process)
        newest = parameters.copy()
        after = learner._updates._target
        if before and not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
            copies.append(update)
    assert int(newest[-1]) == 14
    assert copies == [4, 5, 6, 8, 9, 10, 12, 13]
    assert [shared.made[process] for process, shared in enumerate(each)] == [5, 5, 4]


def test_ages_leave_out_what_came_back_with_nothing_done():
    """Learner 1 came back empty as the third of six: update 3 read version 1, one real update and a null later."""
    applied = Updates(*(np.array(v) for v in ([0, 1, 1, 0, 1, 0], [0, 0, 2, 1, 3, 4], [0] * 6, [0] * 6)))
    assert ages_of(applied, [2, 1]).tolist() == [0, 1, 1]
    assert ages_of(applied, [9, 9]).tolist() == [0, 1, 0, 2, 1, 1]


@pytest.mark.parametrize("told", [{"learning": constant(0.1)}, {"latency_convention": "published-code"}], ids=list)
def test_what_the_wall_clock_cannot_honour_is_refused(told):
    part = build(cell().learner)
    assert part.supports(cell()) is None
    refused = part.supports(cell(met=whole("staggered-slots", 0.03, processes=2, clock="wall", **told)))
    assert next(iter(told)) in refused
