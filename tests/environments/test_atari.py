"""Ours against ale-py's own environment, the reduction of the screen by hand, and what it refuses."""

from __future__ import annotations

from fractions import Fraction

import ale_py
import gymnasium
import numpy as np
import pytest
from helpers.cells import environment_refusal

from rtbench.environments.atari_world import SIDE, Cartridge, World, _small, cartridge
from rtbench.errors import SuiteError
from rtbench.plugins import build, use

assert ale_py.__version__


def made(**params):
    return build(use("environments", "atari", params))


@pytest.mark.parametrize(
    ("id", "skip"),
    [("ALE/Breakout-v5", 4), ("ALE/Freeway-v5", 4), ("BoxingNoFrameskip-v4", 1), ("KrullNoFrameskip-v4", 1)],
)
def test_without_stickiness_it_is_ale_pys_environment_seeded(id, skip):
    """Rewards, ends and the newest grey frame, step by step, after an episode has been played and left before."""
    ours = made(id=id, sticky_action_prob=0.0, frames=1).make()
    theirs = gymnasium.make(id, repeat_action_probability=0.0, obs_type="grayscale", disable_env_checker=True).unwrapped
    rng = np.random.default_rng(0)
    ours.reset(seed=1)
    for _ in range(80):
        ours.step(int(rng.integers(ours.action_space.n)))
    observation, _ = ours.reset(seed=2)
    screen, _ = theirs.reset(seed=2)
    assert ours.action_space == theirs.action_space
    assert made(id=id).spec().step_s == skip / 60
    for _ in range(150):
        np.testing.assert_array_equal(observation, _small(screen))
        action = int(rng.integers(ours.action_space.n))
        observation, *mine, _ = ours.step(action)
        screen, *yours, _ = theirs.step(action)
        assert mine == yours


def test_the_screen_is_reduced_by_area():
    """Exact shares of exact fractions, pixel by pixel, for a random screen."""
    screen = np.random.default_rng(1).integers(256, size=(210, 160), dtype=np.uint8)

    def shares(length):
        scale = Fraction(length, SIDE)
        return [
            [(old, min((new + 1) * scale, old + 1) - max(new * scale, Fraction(old))) for old in range(length)]
            for new in range(SIDE)
        ]

    rows = [[(at, float(share)) for at, share in each if share > 0] for each in shares(210)]
    columns = [[(at, float(share)) for at, share in each if share > 0] for each in shares(160)]
    scale = 210 / SIDE * 160 / SIDE
    expected = [
        [sum(int(screen[i, j]) * a * b for i, a in row for j, b in column) / scale for column in columns]
        for row in rows
    ]
    assert np.abs(_small(screen)[..., 0] - np.array(expected)).max() <= 0.5 + 1e-4
    assert np.all(_small(np.full((210, 160), 77, np.uint8)) == 77)


def test_sticky_frames_repeat_the_action_before():
    """Always sticking, nothing but no action is ever applied; half the time, a game between the two."""
    games = [World(Cartridge("freeway", 4, sticky), frames=1) for sticky in (0.0, 0.5, 1.0)]
    idle = World(Cartridge("freeway", 4, 0.0), frames=1)
    seen = []
    for game in games:
        game.reset(seed=0)
        seen.append([game.step(step % 2)[0].tobytes() for step in range(20)])
    idle.reset(seed=0)
    assert seen[2] == [idle.step(0)[0].tobytes() for _ in range(20)]
    assert len({tuple(each) for each in seen}) == 3


def test_stickiness_is_drawn_for_every_frame():
    """Of 4000 frames a quarter repeats the action before; the actions given alternate, so every repeat shows."""
    world = World(Cartridge("pong", 4, 0.25), frames=1)
    world.reset(seed=0)
    applied = []

    class Spy:
        def act(self, action):
            applied.append(action)
            return 0

        def getScreenGrayscale(self):
            return np.zeros((210, 160), np.uint8)

    world._console = Spy()
    wanted = [world._actions[step % 2 + 2] for step in range(1000) for _ in range(4)]
    for step in range(1000):
        world._hold(world._actions[step % 2 + 2])
    first = applied[::4]
    late = np.mean([got != want for got, want in zip(first, wanted[::4], strict=True)])
    assert 0.2 < late < 0.3  # the first frame of a step shows the action before
    assert 0.003 < np.mean([got != want for got, want in zip(applied[2::4], wanted[2::4], strict=True)]) < 0.04


def test_frames_are_stacked_pooled_and_skipped_once():
    four = made(id="ALE/Pong-v5", sticky_action_prob=0.0).make()
    single = made(id="ALE/Pong-v5", sticky_action_prob=0.0, frames=1, frame_skip=1).make()
    pooled = made(id="PongNoFrameskip-v4", frames=1, frame_skip=4, pooled_frames=2).make()
    newest = [four.reset(seed=0)[0][..., -1]]
    single.reset(seed=0), pooled.reset(seed=0)
    raw = [single._console.getScreenGrayscale().copy()]
    for step in range(30):
        action = step % 6
        observation = four.step(action)[0]
        newest.append(observation[..., -1])
        for _ in range(4):
            frame = single.step(action)[0]
            raw.append(single._console.getScreenGrayscale().copy())
        np.testing.assert_array_equal(observation[..., -1:], frame)
        np.testing.assert_array_equal(pooled.step(action)[0], _small(np.maximum(raw[-1], raw[-2])))
        for back in range(4):
            np.testing.assert_array_equal(observation[..., 3 - back], newest[max(0, len(newest) - 1 - back)])


def test_no_op_starts_wait_a_number_of_steps_drawn_from_the_seed():
    plain, waiting = (
        made(id="PongNoFrameskip-v4", frames=1).make(),
        made(id="PongNoFrameskip-v4", frames=1, noop_starts=3).make(),
    )
    begun = [plain.reset(seed=0)[0].tobytes()] + [plain.step(0)[0].tobytes() for _ in range(3)]
    frames = [waiting._console.getEpisodeFrameNumber() for seed in range(40) if waiting.reset(seed=seed)]
    assert {frame - min(frames) for frame in frames} == {0, 1, 2, 3}
    assert all(waiting.reset(seed=seed)[0].tobytes() in begun for seed in range(10))


@pytest.mark.parametrize(("frames", "skip", "steps"), [(50, 4, 13), (52, 4, 13), (30, 1, 30)])
def test_the_frame_limit_truncates(frames, skip, steps):
    part = made(id="PongNoFrameskip-v4", frame_skip=skip, max_frames=frames)
    env = part.make()
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(steps)]
    assert part.spec().max_episode_steps == steps
    assert ends == [(False, False)] * (steps - 1) + [(False, True)]


def test_what_an_id_stands_for():
    assert cartridge("ALE/Boxing-v5") == Cartridge("boxing", 4, 0.25)
    assert cartridge("BoxingNoFrameskip-v4") == Cartridge("boxing", 1, 0.0)
    assert cartridge("Boxing-v4", frame_skip=4, sticky=0.1) == Cartridge("boxing", 4, 0.1)


def test_actions_and_training_reward():
    spec = made(id="ALE/Breakout-v5", actions="full", training_reward="sign").spec()
    assert (spec.action_size, spec.noop, spec.training_reward) == (18, 0, "sign")
    assert made(id="ALE/Breakout-v5").spec().action_size == 4


@pytest.mark.parametrize(("id", "words"), [("ALE/Chess-v5", "ALE/Breakout-v5"), ("Breakout-v4", "NoFrameskip")])
def test_an_id_that_cannot_be_is_an_error_that_says_what_can(id, words):
    with pytest.raises(SuiteError, match=id) as caught:
        made(id=id).spec()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames", 0),
        ("frame_skip", 0),
        ("pooled_frames", 0),
        ("max_frames", 0),
        ("noop_starts", -1),
        ("sticky_action_prob", 2),
    ],
)
def test_senseless_parameters_are_refused(name, value):
    game = {"id": "ALE/Pong-v5"}
    assert environment_refusal("atari", game) is None
    assert name in environment_refusal("atari", game, **{name: value})
