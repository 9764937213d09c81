"""MuJoCo at another pace is the same world, stepped by hand."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rtbench.plugins import build, use


def made(**params):
    return build(use("environments", "mujoco", {"id": "HalfCheetah-v4"} | params))


def test_action_repeat_sums_the_rewards_of_steps_made_by_hand():
    part = made(action_repeat=3)
    ours, plain = part.make(), made().make()
    ours.reset(seed=4), plain.reset(seed=4)
    rng = np.random.default_rng(0)
    for _ in range(5):
        action = rng.uniform(-1, 1, 6)
        observation, reward, *_ = ours.step(action)
        rewards = [plain.step(action) for _ in range(3)]
        np.testing.assert_array_equal(observation, rewards[-1][0])
        assert reward == pytest.approx(sum(step[1] for step in rewards))


@pytest.mark.parametrize(
    ("params", "steps", "step_s"),
    [({}, 1000, 0.05), ({"action_repeat": 3}, 334, 0.15), ({"observation_rate": 2}, 2000, 0.025)],
)
def test_spec_says_how_long_an_episode_and_a_step_are(params, steps, step_s):
    part = made(**params)
    spec, env = part.spec(), part.make()
    assert (spec.max_episode_steps, spec.step_s) == (steps, step_s)
    env.reset(seed=0)
    count = 0
    while True:
        _, _, terminated, truncated, _ = env.step(np.zeros(6))
        count += 1
        if terminated or truncated:
            break
    assert count == steps
    assert truncated


def test_an_episode_that_ends_cuts_a_repeated_action_short():
    """Hopper, pushed over: with rewards of at most about 5 a step, the last sum is of fewer steps."""
    part = build(use("environments", "mujoco", {"id": "Hopper-v4", "action_repeat": 4}))
    plain = build(use("environments", "mujoco", {"id": "Hopper-v4"})).make()
    ours = part.make()
    ours.reset(seed=1), plain.reset(seed=1)
    action, total, count, over = np.array([1.0, -1.0, 1.0]), 0.0, 0, False
    while not over:
        _, reward, over, _, _ = ours.step(action)
        total += reward
    theirs, over = 0.0, False
    while not over:
        _, reward, over, _, _ = plain.step(action)
        theirs += reward
        count += 1
    assert total == pytest.approx(theirs)
    assert count % 4


@pytest.mark.filterwarnings("ignore:.*out of date")
def test_finer_steps_halve_the_models_time_step_and_the_reward():
    """The same model stepped by hand: time step halved, frame skip kept."""
    fine = made(observation_rate=2).make()
    plain = gymnasium.make("HalfCheetah-v4").unwrapped
    plain.model.opt.timestep /= 2
    assert fine.unwrapped.frame_skip == 5
    fine.reset(seed=2), plain.reset(seed=2)
    rng = np.random.default_rng(1)
    for _ in range(5):
        action = rng.uniform(-1, 1, 6)
        ours, theirs = fine.step(action), plain.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1] == pytest.approx(theirs[1] / 2)


def test_one_environment_does_not_change_the_next_ones_pace():
    made(observation_rate=2).make()
    assert made().make().unwrapped.model.opt.timestep == 0.01


@pytest.mark.parametrize("name", ["action_repeat", "observation_rate"])
def test_a_pace_below_one_is_refused(name):
    from helpers.cells import small_cell

    cell = small_cell()
    cell.environment.params[name] = 0
    part = type(made())
    assert f"{name} must be at least 1" in (part.supports(cell) or "")
