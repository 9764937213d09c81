"""What others did, in the replay as if delayed like the agent's own: by hand, and through a whole program."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.dqn_cells import dqn_cell, whole

from rtbench.cell import RunBatch
from rtbench.errors import RtbenchError
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.learners.experience import Experience
from rtbench.learners.schedule import Schedule
from rtbench.learners.warm_start import fill, read
from rtbench.parts import EnvironmentSpec
from rtbench.plugins import build

SPEC = EnvironmentSpec((1,), 3, False, 0.05, 90, noop=0)
GAMMA = 0.5


def file_of(folder, **changed):
    """Two episodes of seven and five steps; observation t is 10·t, reward 2^(number of the step in its episode)."""
    steps = np.array([*range(7), *range(5)])
    arrays = {
        "observations": 10.0 * np.arange(12, dtype=np.float32)[:, None],
        "actions": np.arange(12) % 3,
        "rewards": 2.0**steps,
        "dones": np.array([0] * 6 + [1] + [0] * 4 + [2]),
    }
    np.savez(folder / "file.npz", **{key: value for key, value in (arrays | changed).items() if value is not None})
    return folder / "file.npz"


def filled(met, folder, **changed):
    experience = Experience(SPEC, decisions=50, rows=50, gamma_step=GAMMA)
    fill(experience, read(file_of(folder, **changed), SPEC), Schedule(dqn_cell(met=met), 1, SPEC, 0, "x"))
    count = experience.decision_count
    seen = [float(experience.observations[row][0]) for row in experience.read[:count]]
    acted = experience.actions[experience.applied[:count]].argmax(1).tolist()
    closed = (experience.next[:count] >= 0).tolist()
    returns = experience.reward[:count][closed].tolist()
    discounts = experience.discount[:count][closed].tolist()
    return seen, acted, closed, returns, discounts


def test_two_steps_of_delay(tmp_path):
    """One process, two steps: read at 0, 2, 4, applied at 2, 4, 6; after the reset at step 7 read at 1, applied at 3.

    Rewards from step 2: 4 + 8/2, from 4: 16 + 32/2, the last 64 with nothing to come; the second episode was cut off.
    """
    seen, acted, closed, returns, discounts = filled(whole(latency=0.1), tmp_path)
    assert seen == [0, 20, 40, 80]
    assert acted == [2 % 3, 4 % 3, 6 % 3, 10 % 3]
    assert closed == [True, True, True, False]
    assert returns == [8, 32, 64]
    assert discounts == [0.25, 0.25, 0]


def test_steps_at_which_nothing_was_decided(tmp_path):
    """Without a decision at step 4 the one of step 2 goes on: 4 + 8/2 + 16/4 + 32/8, discount 1/16."""
    decided = np.ones(12, bool)
    decided[4] = False
    seen, acted, closed, returns, discounts = filled(whole(latency=0.1), tmp_path, decided=decided)
    assert (seen, acted) == ([0, 40, 80], [2, 0, 1])
    assert (returns, discounts) == ([16, 64], [0.0625, 0])
    assert closed == [True, True, False]


def test_without_delay_every_step_decides_itself(tmp_path):
    seen, acted, closed, returns, _ = filled(interaction("instant", 0.0), tmp_path)
    assert seen == [10.0 * t for t in range(12)]
    assert acted == [t % 3 for t in range(12)]
    assert returns == [1, 2, 4, 8, 16, 32, 64, 1, 2, 4, 8]
    assert closed == [True] * 11 + [False]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dones": None}, "no transitions"),
        ({"actions": np.zeros(11, int)}, "one entry per step"),
        ({"actions": np.full(12, 3)}, "whole numbers from 0 to 2"),
        ({"observations": np.zeros((12, 2), np.float32)}, "2 numbers of type float32, not 1"),
        ({"observations": np.zeros((12, 1))}, "of type float64, not 1 numbers of type float32"),
        ({"dones": np.full(12, 3)}, "dones must be"),
        ({"rewards": np.array([None] * 12)}, "no transitions"),
    ],
)
def test_a_file_that_is_no_such_thing(changed, words, tmp_path):
    with pytest.raises(RtbenchError, match=words):
        read(file_of(tmp_path, **changed), SPEC)


@pytest.fixture
def played(tmp_path):
    """Thirty steps of a game, played at random."""
    env, rng = build(dqn_cell().environment).make(), np.random.default_rng(0)
    steps, observation = [], env.reset(seed=1)[0]
    for _ in range(30):
        action = int(rng.integers(env.action_space.n))
        following, reward, over, cut, _ = env.step(action)
        steps.append((observation.copy(), action, reward, 1 if over else 2 if cut else 0))
        observation = env.reset()[0] if over or cut else following
    arrays = (np.array(column) for column in zip(*steps, strict=True))
    np.savez(tmp_path / "played.npz", **dict(zip(("observations", "actions", "rewards", "dones"), arrays, strict=True)))
    return str(tmp_path / "played.npz")


def finished(program, folder=None):
    calls = 0
    while not program.done:
        program.advance()
        calls += 1
        if folder is not None and calls in (1, 3):  # within the updates before time begins, and soon after
            folder.save(program, {})
            again = build(program._cell.learner).make(RunBatch(program._cell, (3,)))
            CheckpointFolder(folder.folder).load(again)
            program = again
    return program.outcomes()[0]


def test_updates_before_the_first_step_and_going_on(played, tmp_path):
    cell = dqn_cell("dqn", {"transitions": played, "warm_updates": 40, "prioritised": True})
    program = build(cell.learner).make(RunBatch(cell, (3,)))
    program.advance()
    (trainer,) = program.trainers
    assert (trainer.updates.count, trainer.loop.tally.env_steps) == (32, 0)
    program.advance()
    assert (trainer.updates.count, trainer.loop.tally.env_steps) == (40, 24)
    whole_run = finished(program)
    plain = finished(build(dqn_cell().learner).make(RunBatch(dqn_cell(), (3,))))
    assert whole_run.columns["updates"] == plain.columns["updates"] + 40
    assert whole_run.columns["env_steps"] == plain.columns["env_steps"]
    continued = finished(build(cell.learner).make(RunBatch(cell, (3,))), CheckpointFolder(tmp_path / "kept"))
    assert (continued.columns, continued.extras) == (whole_run.columns, whole_run.extras)


def test_what_goes_together(played):
    refused = dqn_cell("dqn", {"warm_updates": 4})
    assert "name a file" in build(refused.learner).supports(refused)
    wall = dqn_cell("dqn", {"transitions": played}, whole("staggered-slots", 0.03, processes=2, clock="wall"))
    assert "empty replay" in build(wall.learner).supports(wall)
    assert "transitions" not in dqn_cell().learner.data()["params"]
