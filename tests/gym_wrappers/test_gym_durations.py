"""How long a step takes, as far as an environment and its wrappers say."""

from __future__ import annotations

import gymnasium
import pytest
from helpers.gym_play import play, steps_seen, values
from helpers.tape import Tape

from rtbench.cell import Latency
from rtbench.errors import SuiteError
from rtbench.gym import RealTime
from rtbench.gym.durations import step_s_of


def test_what_environments_say_of_their_steps():
    """MuJoCo and Pendulum call it dt, CartPole tau."""
    for name, step_s in (("Hopper-v5", 0.008), ("Pendulum-v1", 0.05), ("CartPole-v1", 0.02)):
        assert step_s_of(gymnasium.make(name)) == step_s
    assert step_s_of(Tape()) == 0.1


@pytest.mark.parametrize(
    ("name", "kwargs", "frames"),
    [
        ("ALE/Pong-v5", {}, 4),
        ("ALE/Pong-v5", {"frameskip": 3}, 3),
        ("PongNoFrameskip-v4", {}, 1),
        ("Pong-v4", {}, None),  # 2 to 4 frames, drawn
    ],
)
def test_a_step_of_atari_is_the_frames_it_holds(name, kwargs, frames):
    ale = pytest.importorskip("ale_py")
    gymnasium.register_envs(ale)
    env = gymnasium.make(name, **kwargs)
    assert step_s_of(env) == (None if frames is None else pytest.approx(frames / 60, abs=1e-9))
    if frames == 1:
        skipping = gymnasium.wrappers.MaxAndSkipObservation(env, skip=4)
        assert step_s_of(skipping) == pytest.approx(4 / 60, abs=1e-9)


def test_skipped_steps_count_and_those_of_varying_length_say_nothing():
    skipping = gymnasium.wrappers.MaxAndSkipObservation(gymnasium.make("CartPole-v1"), skip=4)
    assert step_s_of(skipping) == 0.08
    assert step_s_of(gymnasium.wrappers.TransformReward(skipping, lambda reward: reward)) == 0.08
    repeating = gymnasium.wrappers.RepeatAction(gymnasium.make("CartPole-v1"), num_repeats=3)
    assert step_s_of(repeating) == 0.06
    sticky = gymnasium.wrappers.StickyAction(gymnasium.make("CartPole-v1"), repeat_action_probability=0.5)
    assert step_s_of(sticky) == 0.02
    stable = pytest.importorskip("stable_baselines3.common.atari_wrappers")
    assert step_s_of(stable.MaxAndSkipEnv(gymnasium.make("CartPole-v1"), skip=2)) == 0.04
    twice = RealTime(gymnasium.make("CartPole-v1"), delta=2)
    assert step_s_of(twice) is None
    with pytest.raises(SuiteError, match="how long"):
        RealTime(twice, latency="40ms")
    assert RealTime(twice, delta=2)


def test_seconds_need_a_duration_of_steps():
    class Timeless(Tape):
        dt = None

    with pytest.raises(SuiteError, match="render_fps is no clock"):
        RealTime(Timeless(), latency="40ms")
    assert RealTime(Timeless(), delta=2)
    answers = play(RealTime(Timeless(), latency="40ms", step_s=0.02), values())
    assert steps_seen(answers)[:3] == [0, 2, 4]
    answers = play(RealTime(Tape(), latency=Latency("constant", mean_s=0.2)), values())
    assert steps_seen(answers)[:3] == [0, 2, 4], "dt = 0.1"
