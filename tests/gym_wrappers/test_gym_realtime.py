"""`RealTime` by hand: what acts when, what a decision earns, contradictions, copies."""

from __future__ import annotations

import copy
import itertools
import pickle

import gymnasium
import numpy as np
import pytest
from helpers.cells import interaction
from helpers.gym_play import STEP_NS, play, steps_seen, values
from helpers.tape import Tape

from rtbench.errors import RtbenchError
from rtbench.gym import RealTime
from rtbench.interaction.timeline import Timeline
from rtbench.interaction.timing import clock_of


def test_sequential_by_hand():
    """δ = 2 on 7 steps: inferences read 0, 2, 4 and act at 2–3, 4–5, 6; the one that reads 6 comes too late."""
    env = RealTime(Tape([(7, "terminated")]), delta=2, default_policy="zero")
    answers = play(env, values())
    assert steps_seen(answers) == [0, 2, 4, 7]
    assert env.unwrapped.applied == [pytest.approx([0, 0, 0.01, 0, 0.02, 0, 0.03])]
    rewards = [answer[1] for answer in answers[1:]]
    assert rewards == pytest.approx([0 + 1 + (2 + 10) + 3, (4 + 20) + 5, 6 + 30])
    first, second, third = (answer[4]["rtbench"] for answer in answers[1:])
    assert (first["env_steps"], first["default_policy_steps"], first["startup_steps"]) == (4, 3, 2)
    assert first["rewards"] == pytest.approx((0, 1, 12, 3))
    assert first["ages_steps"] == (-1, -1, 2, -1)
    assert (second["env_steps"], second["default_policy_steps"], second["startup_steps"]) == (2, 1, 0)
    assert third["ages_steps"] == (2,)
    assert answers[-1][2:4] == (True, False)


def test_repeated_actions_keep_ageing():
    env = RealTime(Tape([(7, "terminated")]), delta=2)
    answers = play(env, values())
    assert env.unwrapped.applied == [pytest.approx([0, 0, 0.01, 0.01, 0.02, 0.02, 0.03])]
    assert [age for answer in answers[1:] for age in answer[4]["rtbench"]["ages_steps"]] == [-1, -1, 2, 3, 2, 3, 2]


def test_elapsed_rewards_by_hand():
    """Every call ends where the next inference reads: after 2 steps each, whichever action acted."""
    env = RealTime(Tape([(7, "terminated")]), delta=2, default_policy="zero", reward="elapsed")
    answers = play(env, values())
    assert steps_seen(answers) == [0, 2, 4, 6, 7]
    assert [answer[1] for answer in answers[1:]] == pytest.approx([0 + 1, 12 + 3, 24 + 5, 6 + 30])


def test_ticks_of_one_and_a_half_steps():
    """One layer, δ = 1.5, pipelined: steps 2, 3, 4, 5 have ages 2, 2, 3, 2 (DESIGN, 2)."""
    env = RealTime(Tape([(6, "terminated")]), execution="pipelined", delta=1.5)
    answers = play(env, values())
    assert [age for answer in answers[1:] for age in answer[4]["rtbench"]["ages_steps"]] == [-1, -1, 2, 2, 3, 2]


@pytest.mark.parametrize("delta", [0, 1, 3])
def test_delayed_by_whole_steps(delta):
    """Every step takes an action, which acts so many steps later."""
    env = RealTime(Tape([(6, "terminated")]), decision="step", delta=delta, default_policy="zero")
    answers = play(env, values())
    assert steps_seen(answers) == list(range(7))
    assert env.unwrapped.applied == [pytest.approx([0] * delta + [0.01 * (k + 1) for k in range(6 - delta)])]
    ages = [age for answer in answers[1:] for age in answer[4]["rtbench"]["ages_steps"]]
    assert ages == [-1] * delta + [delta] * (6 - delta)


def test_delayed_with_rewards_of_the_action():
    """The same world, the rewards put to the action that earned them: the first call runs through the delay."""
    env = RealTime(Tape([(6, "terminated")]), decision="step", delta=2, reward="applied", default_policy="zero")
    answers = play(env, values())
    assert steps_seen(answers) == [0, 1, 2, 3, 6]
    assert [answer[1] for answer in answers[1:]] == pytest.approx([0 + 1 + 12, 23, 34, 45])


def test_late_actions_overwrite_by_arrival():
    """Of delays 1, 3, 1, 1, … steps, the action of step 1 arrives at 4 together with that of step 3, and is first."""
    took = np.array([1, 3, 1, 1, 1, 1], np.int64) * STEP_NS
    at = np.arange(6) * STEP_NS
    zeros = np.zeros(6, np.int64)
    line = Timeline(6, STEP_NS, zeros, at, np.arange(6), at + took, at + took, zeros.astype(bool))
    env = RealTime(Tape([(6, "terminated")]), timeline=line, default_policy="zero", reward="elapsed")
    play(env, values())
    assert env.unwrapped.applied == [pytest.approx([0, 0.01, 0, 0.03, 0.04, 0.05])]


def test_gamma_discounts_within_a_decision():
    env = RealTime(Tape([(7, "terminated")]), delta=2, default_policy="zero", gamma=0.5)
    answers = play(env, values())
    assert answers[2][1] == pytest.approx((4 + 20) + 0.5 * 5)


def test_truncation_shows_what_the_next_inference_read():
    """After 7 steps the inference that read 4 has acted at 6; the one that reads 6 is under way: its observation."""
    env = RealTime(Tape([(7, "truncated")]), delta=2)
    answers = play(env, values())
    assert answers[-1][2:4] == (False, True)
    assert steps_seen(answers) == [0, 2, 4, 6]
    assert answers[-1][4]["rtbench"]["last_observation"][1] == 7


def test_end_before_any_action():
    """An episode shorter than the delay is one decision, whose action never acts."""
    env = RealTime(Tape([(2, "terminated"), (2, "truncated")]), delta=5)
    for how in ((True, False), (False, True)):
        (_, reward, *ended, info) = play(env, values())[-1]
        assert reward == 0 + 1
        assert tuple(ended) == how
        assert info["rtbench"]["startup_steps"] == 2


def test_step_after_the_end_is_an_error():
    env = RealTime(Tape([(2, "terminated")]), delta=1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(1, np.float32))
    play(env, values())
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(1, np.float32))


def test_chunks_are_used_step_by_step():
    """Three actions an inference of two steps: each is used until the next chunk comes, two steps later."""
    env = RealTime(Tape([(8, "terminated")]), scheduler="chunked", scheduler_params={"actions": 3}, delta=2)
    assert env.action_space.shape == (3, 1)
    chunks = (np.array([[k], [k + 0.1], [k + 0.2]], np.float32) / 10 for k in itertools.count(1))
    play(env, chunks)
    (applied,) = env.unwrapped.applied
    line = clock_of(
        interaction("sequential", 2.0, scheduler="chunked", scheduler_params={"actions": 3}), 1, 0.1, 0
    ).timeline(8)
    asked = list(dict.fromkeys(line.source[line.source >= 0].tolist()))
    expected = [
        0.0 if m < 0 else (asked.index(m) + 1 + k / 10) / 10 for m, k in zip(line.source, line.offset, strict=True)
    ]
    held = [expected[0]]
    for value, m in zip(expected[1:], line.source[1:], strict=True):
        held.append(held[-1] if m < 0 else value)
    assert applied == pytest.approx(held)


def test_random_inferences_are_not_asked():
    """With ε the wrapper acts itself now and then, within −1…1; the agent, which it does not ask then, gives 2."""

    def played():
        env = RealTime(Tape([(400, "terminated")]), delta=1, epsilon=0.3, default_policy="zero")
        answers = play(env, itertools.repeat(np.full(1, 2, np.float32)), seed=3)
        return env.unwrapped.applied[0], sum(answer[4]["rtbench"]["random_steps"] for answer in answers[1:]), answers

    applied, drawn, answers = played()
    assert 60 < drawn < 200
    assert sum(0 < abs(value) <= 1 for value in applied) == drawn
    assert len(answers) - 1 == sum(value == 2 for value in applied)
    assert played()[0] == applied


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs delta > 0 or a latency"),
        ({"delta": 1, "latency": "40ms"}, "both are given"),
        ({"delta": 1, "scheduler": "stagered-max"}, "staggered-max"),
        ({"delta": 1, "decision": "step", "processes": 3}, "leave processes away"),
        ({"delta": 1, "decision": "tick"}, "unknown decision"),
        ({"delta": 1, "reward": "all"}, "unknown reward"),
        ({"delta": 1, "epsilon": 1.0}, "below 1"),
        ({"delta": 1, "on_reset": "stop"}, "unknown on_reset"),
        ({"delta": 1, "default_policy": "nop"}, "noop"),
    ],
)
def test_contradictions(arguments, message):
    with pytest.raises(RtbenchError, match=message):
        RealTime(Tape(), **arguments)


# ---- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("policy", ["repeat-last", "random"])
def test_copies_go_on_alike(again, policy):
    env = RealTime(Tape([(40, "truncated")]), latency="lognormal:150ms:0.5", processes=2, default_policy=policy)
    env.reset(seed=5)
    for _ in range(5):
        env.step(np.ones(1, np.float32) / 2)
    twin = again(env)
    for _ in range(5):
        (one, reward, *_), (other, again_reward, *_) = (each.step(np.ones(1, np.float32) / 3) for each in (env, twin))
        np.testing.assert_array_equal(one, other)
        assert reward == again_reward


def test_what_is_handed_out_is_the_users_own():
    """Writing into observations, infos or the action given changes nothing in the world."""
    plain, spoilt = (RealTime(Tape([(12, "terminated")]), delta=2) for _ in range(2))
    kept = play(plain, values())
    observation, _ = spoilt.reset()
    observation[:] = -7
    for expected, action in zip(kept[1:], values(), strict=False):
        found = spoilt.step(action)
        action[:] = -7
        np.testing.assert_array_equal(found[0], expected[0])
        assert found[1] == expected[1]
        found[0][:] = -7
        for used in found[4]["rtbench"]["actions"]:
            used[:] = -7
