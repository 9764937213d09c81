"""The table of tiles against MiniGrid's own pictures, over worlds, random grids and everything a cell can hold."""

from __future__ import annotations

import gymnasium
import minigrid
import numpy as np
import pytest
from helpers.cells import environment_refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrid.core.constants import COLOR_NAMES
from minigrid.core.grid import Grid
from minigrid.core.world_object import Ball, Box, Door, Floor, Goal, Key, Lava, Wall
from minigrid.minigrid_env import MiniGridEnv
from minigrid.wrappers import ImgObsWrapper, RGBImgPartialObsWrapper

from rtbench.environments.minigrid_view import Tiles, look
from rtbench.environments.minigrid_world import World
from rtbench.errors import SuiteError
from rtbench.plugins import build, use

assert minigrid.__version__
IDS = [name for name in gymnasium.registry if name.startswith("MiniGrid-") and "WFC" not in name]
CROWDED = [
    "MiniGrid-DoorKey-6x6-v0",
    "MiniGrid-Playground-v0",
    "MiniGrid-LavaCrossingS9N3-v0",
    "MiniGrid-KeyCorridorS3R2-v0",
    "MiniGrid-ObstructedMaze-1Dlhb-v0",
    "MiniGrid-Dynamic-Obstacles-Random-5x5-v0",
]
TILES = Tiles()

THINGS = [
    None,
    Lava(),
    *(kind(colour) for kind in (Ball, Box, Floor, Goal, Key, Wall) for colour in COLOR_NAMES),
    *(Door(colour, is_open=way == 0, is_locked=way == 2) for colour in COLOR_NAMES for way in range(3)),
]
CARRIED = [None, *(kind(colour) for kind in (Ball, Box, Key) for colour in COLOR_NAMES)]


def theirs(id, **kwargs):
    return RGBImgPartialObsWrapper(gymnasium.make(id, disable_env_checker=True, **kwargs))


def drawn_by_minigrid(env):
    """The agent's picture from MiniGrid's own grids and tiles."""
    return env.get_frame(tile_size=8, agent_pov=True)


def drawn(env):
    out = np.empty((1, env.agent_view_size * 8, env.agent_view_size * 8, 3), np.uint8)
    TILES.draw(np.array([look(env, TILES)]), out)
    return out[0]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(CROWDED),
    st.integers(0, 2**31 - 1),
    st.lists(st.sampled_from([0, 1, 2, 2, 2, 3, 4, 5]), max_size=60),
)
def test_a_world_played_at_random_looks_as_it_does_to_minigrids_wrapper(id, seed, actions):
    ours, wrapped = World(id, tiles=TILES), theirs(id)
    observation, _ = ours.reset(seed=seed)
    reference, _ = wrapped.reset(seed=seed)
    for action in actions:
        np.testing.assert_array_equal(observation, reference["image"])
        if action >= ours.action_space.n:
            continue
        observation, *mine, _ = ours.step(action)
        reference, *yours, _ = wrapped.step(action)
        assert mine == yours
        if mine[1] or mine[2]:
            break
    np.testing.assert_array_equal(observation, reference["image"])


class Blank(MiniGridEnv):
    """An empty grid to be filled."""

    def __init__(self, side: int, window: int, through: bool) -> None:
        from minigrid.core.mission import MissionSpace

        space = MissionSpace(mission_func=lambda: "")
        super().__init__(space, grid_size=side, agent_view_size=window, see_through_walls=through)

    def _gen_grid(self, width, height):
        self.grid = Grid(width, height)
        self.agent_pos, self.agent_dir = (1, 1), 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_grid_looks_as_minigrid_draws_it(data):
    """Every object and colour, doors in every state, any place and direction, anything carried, sight through walls."""
    side = data.draw(st.integers(3, 9))
    env = Blank(side, data.draw(st.sampled_from([3, 5, 7])), data.draw(st.booleans()))
    env.reset(seed=0)
    crowd = data.draw(st.integers(0, 10))
    kinds = st.one_of(*[st.none()] * crowd, st.sampled_from(THINGS))
    env.grid.grid = data.draw(st.lists(kinds, min_size=side * side, max_size=side * side))
    env.agent_pos = (data.draw(st.integers(0, side - 1)), data.draw(st.integers(0, side - 1)))
    env.agent_dir = data.draw(st.integers(0, 3))
    env.carrying = data.draw(st.sampled_from(CARRIED))
    np.testing.assert_array_equal(drawn(env), drawn_by_minigrid(env))
    np.testing.assert_array_equal(TILES.encode(np.array([look(env, TILES)]))[0], env.gen_obs()["image"])


@pytest.mark.parametrize("thing", THINGS[1:], ids=lambda thing: "-".join(map(str, thing.encode())))
def test_every_object_in_every_colour_ahead_and_under_foot(thing):
    for carried in CARRIED[:: len(CARRIED) // 3]:
        env = Blank(5, 7, through=False)
        env.reset(seed=0)
        env.grid.set(3, 1, thing)
        env.grid.set(1, 1, thing)
        env.carrying = carried
        np.testing.assert_array_equal(drawn(env), drawn_by_minigrid(env))


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize("id", IDS)
def test_every_world_of_minigrid(id):
    """Pixels, symbols, rewards and ends as MiniGrid's; and the action said to do nothing does nothing."""
    part = build(use("environments", "minigrid", {"id": id, "view": "symbolic"}))
    spec, ours, wrapped = part.spec(), part.make(), theirs(id)
    observation, _ = ours.reset(seed=7)
    reference, _ = wrapped.reset(seed=7)
    symbols = ImgObsWrapper(wrapped.env)
    assert spec.max_episode_steps == wrapped.unwrapped.max_steps
    rng = np.random.default_rng(3)
    for _ in range(25):
        np.testing.assert_array_equal(ours.inner.get_frame(tile_size=8, agent_pov=True), reference["image"])
        np.testing.assert_array_equal(observation, symbols.observation(wrapped.unwrapped.gen_obs()))
        np.testing.assert_array_equal(drawn(ours.inner), reference["image"])
        if spec.noop is not None:
            still = ours.step(spec.noop)
            np.testing.assert_array_equal(still[0], observation)
            assert still[1:3] == (0.0, False)
            wrapped.step(spec.noop)
        action = int(rng.integers(spec.action_size))
        observation, *mine, _ = ours.step(action)
        reference, *yours, _ = wrapped.step(action)
        assert mine == yours
        if mine[1] or mine[2]:
            break


@pytest.mark.parametrize(
    ("id", "noop"),
    [
        ("MiniGrid-Empty-Random-5x5-v0", 6),
        ("MiniGrid-GoToDoor-5x5-v0", None),
        ("MiniGrid-GoToObject-6x6-N2-v0", None),
        ("MiniGrid-Dynamic-Obstacles-5x5-v0", None),
    ],
)
def test_which_worlds_have_an_action_that_does_nothing(id, noop):
    assert build(use("environments", "minigrid", {"id": id})).spec().noop == noop


def test_a_goal_is_worth_what_the_steps_leave_and_the_limit_is_the_papers():
    """Empty 5×5 from (1, 1) facing right: two ahead, a turn, two ahead, of 100 steps: 1 − 0.9·5/100."""
    env = build(use("environments", "minigrid", {"id": "MiniGrid-Empty-5x5-v0"})).make()
    env.reset(seed=0)
    rewards = [env.step(action)[1:4] for action in (2, 2, 1, 2, 2)]
    assert rewards[:4] == [(0.0, False, False)] * 4
    assert rewards[4] == (pytest.approx(0.955), True, False)


def test_a_limit_of_ones_own():
    part = build(use("environments", "minigrid", {"id": "MiniGrid-Empty-5x5-v0", "max_steps": 2}))
    env = part.make()
    env.reset(seed=0)
    assert part.spec().max_episode_steps == 2
    assert [env.step(6)[2:4] for _ in range(2)] == [(False, False), (False, True)]


@pytest.mark.parametrize("id", ["MiniGrid-Nowhere-v0", "CartPole-v1", "nonsense"])
def test_an_id_that_is_none_of_minigrids_is_an_error_with_the_known_ones(id):
    with pytest.raises(SuiteError, match=id) as caught:
        build(use("environments", "minigrid", {"id": id})).make()
    assert "MiniGrid-DoorKey-5x5-v0" in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("frames", 0), ("max_steps", 0), ("step_s", 0.0)])
def test_senseless_parameters_are_refused(name, value):
    world = {"id": IDS[0]}
    assert environment_refusal("minigrid", world) is None
    assert name in environment_refusal("minigrid", world, **{name: value})
