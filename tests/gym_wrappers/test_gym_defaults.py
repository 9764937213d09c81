"""`RealTime`: spaces it passes through, and what the default policy does in them."""

from __future__ import annotations

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from helpers.gym_play import play
from helpers.tape import Tape

from rtbench.errors import SuiteError
from rtbench.gym import RealTime


class Pictures(gymnasium.Env):
    """Observations in a dictionary of an image and a number; actions 5, 6, 7."""

    observation_space = spaces.Dict({"image": spaces.Box(0, 255, (4, 4, 3), np.uint8), "n": spaces.Discrete(100)})
    action_space = spaces.Discrete(3, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.now, self.applied = 0, []
        return self._look(), {}

    def _look(self):
        return {"image": np.full((4, 4, 3), self.now, np.uint8), "n": np.int64(self.now)}

    def step(self, action):
        assert action in self.action_space
        self.applied.append(int(action))
        self.now += 1
        return self._look(), 1.0, self.now >= 9, False, {}


def test_pictures_and_offset_actions_pass_through():
    env = RealTime(Pictures(), decision="step", delta=2)
    assert env.observation_space == Pictures.observation_space
    answers = play(env, itertools.cycle([6, 7]))
    assert [int(answer[0]["n"]) for answer in answers] == list(range(10))
    assert all(answer[0] in env.observation_space for answer in answers)
    assert env.unwrapped.applied == [5, 5, 6, 7, 6, 7, 6, 7, 6]


def test_default_policies_by_name_and_function():
    for policy, expected in (("zero", 5), (lambda last, rng: 7 if last is None else 6, None), ("random", None)):
        env = RealTime(Pictures(), delta=2, default_policy=policy)
        env.reset(seed=0)
        play(env, itertools.cycle([5]))
        idle = [action for step, action in enumerate(env.unwrapped.applied) if step < 2 or step % 2]
        if expected:
            assert set(idle) == {expected}
        elif policy == "random":
            assert set(idle) <= {5, 6, 7}
        else:
            assert idle == [7, 7, 6, 6, 6]
    with pytest.raises(SuiteError, match="does nothing"):
        RealTime(Pictures(), delta=2, default_policy="noop")
    RealTime(Pictures(), delta=2, default_policy="noop", noop=1)


def test_other_action_spaces_need_a_function():
    class Many(Tape):
        def __init__(self):
            super().__init__([(4, "terminated")])
            self.action_space = spaces.MultiDiscrete([2, 3])

    with pytest.raises(SuiteError, match="MultiDiscrete"):
        RealTime(Many(), delta=1)
    env = RealTime(Many(), delta=1, default_policy=lambda last, rng: np.zeros(2, np.int64))
    play(env, itertools.repeat(np.array([1, 2])))
    assert env.unwrapped.applied == [[0, 1, 1, 1]]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ([-1, 0, 0], [1, 1, 1], [0, 0, 0]),
        ([0.5, -3, -np.inf], [2, -1, np.inf], [0.5, -1, 0]),
        ([-1, -1, -1], [1, 1, 1], [0, 0, 0]),
    ],
)
@pytest.mark.parametrize("policy", ["repeat-last", "zero", "noop"])
def test_doing_nothing_is_nought_or_the_nearest_to_it(low, high, expected, policy):
    """Not the middle of the box, half throttle of a car, say."""

    class Car(Tape):
        def __init__(self):
            super().__init__([(4, "terminated")])
            self.action_space = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))

    env = RealTime(Car(), delta=2, default_policy=policy)
    answers = play(env, itertools.repeat(np.ones(3, np.float32)))
    taken = [action for answer in answers[1:] for action in answer[4]["rtbench"]["actions"]]
    assert [action.tolist() for action in taken[:2]] == [expected] * 2
    assert taken[0] in env.action_space
    assert (taken[3].tolist() == expected) == (policy != "repeat-last")


def test_random_defaults_fill_a_lopsided_box():
    class Car(Tape):
        def __init__(self):
            super().__init__([(40, "terminated")])
            self.action_space = spaces.Box(np.float32([-1, 0]), np.float32([1, 1]))

    env = RealTime(Car(), delta=39, default_policy="random")
    env.reset(seed=0)
    taken = np.array(env.step(np.ones(2, np.float32))[4]["rtbench"]["actions"])
    assert taken.shape == (40, 2)
    assert taken[:39, 0].min() < -0.5
    assert taken[:39, 0].max() > 0.5
    assert 0 <= taken[:39, 1].min() < 0.25
    assert 0.75 < taken[:39, 1].max() <= 1
