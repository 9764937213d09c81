"""Ours against the MinAtar package, game by game; and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers.cells import environment_refusal

from rtbench.plugins import build, use

GAMES = ["asterix", "breakout", "freeway", "seaquest", "space_invaders"]


def made(**params):
    return build(use("environments", "minatar", params))


@pytest.mark.filterwarnings("ignore")  # what plotting libraries warn of when MinAtar's package imports them
@pytest.mark.parametrize("ramping", [True, False])
@pytest.mark.parametrize("sticky", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("game", GAMES)
def test_it_is_minatars_game(game, sticky, ramping):
    """The package's own environment, seeded, its sticky action forgotten: equal frame by frame, ramps included."""
    from minatar import Environment

    ours = made(game=game, sticky_action_prob=sticky, difficulty_ramping=ramping).make()
    for seed in (0, 11):
        theirs = Environment(game, sticky_action_prob=sticky, difficulty_ramping=ramping)
        theirs.seed(seed)
        theirs.reset()
        observation, _ = ours.reset(seed=seed)
        rng = np.random.default_rng(seed)
        for _ in range(600):
            np.testing.assert_array_equal(observation, theirs.state())
            action = int(rng.integers(6))
            observation, reward, terminated, truncated, _ = ours.step(action)
            assert (reward, terminated) == theirs.act(action)
            assert not truncated
            if terminated:
                break


@pytest.mark.parametrize("game", GAMES)
def test_the_minimal_actions_are_the_full_ones_renumbered(game):
    """MinAtar's own lists, written out."""
    letters = {"asterix": "nlurd", "breakout": "nlr", "freeway": "nud", "seaquest": "nlurdf", "space_invaders": "nlrf"}
    few, full = made(game=game, actions="minimal").make(), made(game=game).make()
    assert few.action_space.n == len(letters[game])
    few.reset(seed=4), full.reset(seed=4)
    for action in np.random.default_rng(0).integers(few.action_space.n, size=60):
        one, other = few.step(int(action)), full.step("nlurdf".index(letters[game][action]))
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:4] == other[1:4]
        if one[2]:
            break


def test_no_action_sticks_into_the_next_episode():
    """Always sticking, the first action of every episode is n: the paddle stays at column 4 whatever is pressed."""
    env = made(game="breakout", sticky_action_prob=1.0).make()
    for seed in range(3):
        env.reset(seed=seed)
        for _ in range(4):
            observation, *_ = env.step(3)
            assert observation[9, :, 0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_a_time_limit_truncates():
    env = made(game="asterix", max_steps=3, sticky_action_prob=0.0).make()
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]


def test_making_a_game_does_not_import_its_package():
    code = (
        "import sys; from rtbench.plugins import build, use; "
        "build(use('environments', 'minatar', {'game': 'seaquest'})).make().reset(seed=0); "
        "print('minatar' in sys.modules or 'seaborn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.parametrize(("name", "value"), [("sticky_action_prob", 1.5), ("max_steps", 0), ("step_s", 0.0)])
def test_senseless_parameters_are_refused(name, value):
    game = {"game": "breakout"}
    assert environment_refusal("minatar", game) is None
    assert name in environment_refusal("minatar", game, **{name: value})
