"""`rtbench watch`: every moment's ages by hand, and films that can be read again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.cells import interaction, small_cell
from PIL import Image

from rtbench.cell import Cell
from rtbench.cli.film import ContactSheet, captioned, film_for, slowed
from rtbench.cli.main import run_command_line
from rtbench.cli.watching import Moment, Score, choose_gl, drawing_environment, moments
from rtbench.errors import RtbenchError, SuiteError
from rtbench.learners.policy import Policy
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use

WORLD = '''
from dataclasses import dataclass

import gymnasium
import numpy as np

from rtbench.parts import Environment, EnvironmentSpec, param


@dataclass(frozen=True)
class Params:
    draws: bool = param(True, doc="whether it can be drawn")


class Shades(gymnasium.Env):
    """Eight steps, each worth one; at step k every pixel is 10 k."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, draws):
        self.count, self.draws = 0, draws

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.count += 1
        return np.full(2, self.count / 8, np.float32), 1.0, self.count == 8, False, {}

    def render(self):
        if not self.draws:
            raise OSError("no screen")
        return np.full((60, 81, 3), 10 * self.count, np.uint8)


class World(Environment):
    """Shades of grey, 40 ms a step."""

    Params = Params

    def make(self, render_mode=None):
        return Shades(self.params.draws)

    def spec(self):
        return EnvironmentSpec((2,), 1, True, 0.04, 8, (-1.0,), (1.0,))
'''


@pytest.fixture
def world(distributions):
    distributions.add("acme", {"rtbench.environments": {"acme/shades": "acme_shades:World"}}, {"acme_shades": WORLD})


def policy_in(world_params, arch, inter) -> Policy:
    base = small_cell(arch={"width": 4, **arch}, inter=inter)
    world = use("environments", "acme/shades", world_params)
    cell = Cell(world, base.architecture, base.interaction, base.learner, base.backend, base.budget)
    graph = build(cell.architecture).make(PolicyShape(2, 1, 2))
    parameters = {
        layer.name: {
            "weight": np.ones((graph.input_width(layer), layer.width), np.float32),
            "bias": np.ones(layer.width, np.float32),
        }
        for layer in graph.layers
    }
    return Policy(cell, 0, "ab" * 32, parameters)


# ---- ages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "execution", "delta", "wanted"),
    [
        ({}, "instant", 0, [(0, 0)] * 8),
        # Two layers of one step each on one observation: an action every two steps, held for one.
        ({"layers": 2}, "sequential", 1, [(None, None)] * 2 + [(2, 2), (3, 3)] * 3),
        # The head reads what is one step old, two layers up what is three; at first the layers hold nothing.
        ({"skips": "to-action"}, "pipelined", 1, [(None, None)] + [(1, 1), (1, 2)] + [(1, 3)] * 5),
    ],
)
def test_the_ages_of_every_moment(world, arch, execution, delta, wanted) -> None:
    score = Score()
    loop = policy_in({}, arch, interaction(execution, delta)).loop(phase="watch", recorder=score)
    found = list(moments(loop, score, 2))
    assert [(each.episode, each.step, each.reward) for each in found] == [
        (episode, step, float(step)) for episode in (0, 1) for step in range(1, 9)
    ]
    assert [each.over for each in found] == ([False] * 7 + [True]) * 2
    first = [(each.newest_steps, each.oldest_steps) for each in found[:8]]
    assert first == [(each.newest_steps, each.oldest_steps) for each in found[8:]]
    assert first == wanted


def test_a_moment_in_words() -> None:
    assert Moment(0, 3, 2.5, 1, 4, False).words(0.05) == [
        "episode 1, step 3 (0.15 s), reward 2.5",
        "observations 1 to 4 steps old (50 to 200 ms)",
    ]
    assert Moment(1, 3, 2.5, 2, 2, False).words(0.05)[1] == "observation 2 steps old (100 ms)"
    assert Moment(0, 1, -0.01, None, None, False).words(0.05) == [
        "episode 1, step 1 (0.05 s), reward 0.0",
        "acts on no observation yet",
    ]


def test_worlds_too_fast_to_be_seen_are_shown_in_slow_motion() -> None:
    """200 kHz: a step of 5 µs is a frame of 20 ms."""
    assert slowed(5e-6) == 4000
    assert slowed(0.02) == slowed(1e-3) == 1
    assert Moment(0, 3, 2.5, 8, 8, False).words(5e-6, 4000) == [
        "episode 1, step 3 (15 µs, 4000x slower), reward 2.5",
        "observation 8 steps old (40 µs)",
    ]


# ---- films -----------------------------------------------------------------------------------------------------------


def watched(tmp_path, policy, name, *arguments):
    (tmp_path / "p.npz").write_bytes(policy.to_bytes())
    return run_command_line(["watch", str(tmp_path / "p.npz"), "-o", str(tmp_path / name), *map(str, arguments)])


def test_a_gif_is_as_fast_as_the_world(world, tmp_path, capsys) -> None:
    policy = policy_in({}, {}, interaction("pipelined", 1))
    assert watched(tmp_path, policy, "film.gif", "--episodes", 2, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["episodes"] == [{"steps": 8, "return": 8.0}] * 2
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 16
        assert film.info["duration"] == 40
        film.seek(4)
        assert film.convert("RGB").getpixel((40, 30)) == (50, 50, 50)  # after the fifth step


def test_a_video_of_fewer_steps_under_another_delay(world, tmp_path, capsys) -> None:
    import imageio_ffmpeg

    policy = policy_in({}, {}, interaction("pipelined", 1))
    assert watched(tmp_path, policy, "film.mp4", "--steps", 5, "--delta", 2) == 0
    assert "pipelined δ 2" in capsys.readouterr().out
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
    assert (frames, seconds) == (5, pytest.approx(0.2, abs=0.02))


def test_a_contact_sheet(world, tmp_path) -> None:
    assert watched(tmp_path, policy_in({}, {}, interaction("instant", 0)), "film.png") == 0
    with Image.open(tmp_path / "film.png") as sheet:
        cell = captioned(np.zeros((60, 81, 3), np.uint8), [""] * 3)
        assert cell.width % 2 == cell.height % 2 == 0
        assert sheet.size == (4 * (cell.width + 4), 2 * (cell.height + 4))
        shades = [
            sheet.getpixel((x * (cell.width + 4) + 40, y * (cell.height + 4) + 30)) for y in (0, 1) for x in range(4)
        ]
        assert shades == [(10 * step,) * 3 for step in range(1, 9)]


def test_a_sheet_of_a_long_episode_has_its_beginning_and_near_its_end() -> None:
    sheet = ContactSheet()
    drawn = 0
    for frame in range(1000):
        if sheet.wants(frame):
            drawn += 1
            sheet.add(np.full((20, 20, 3), frame * 255 // 1000, np.uint8), [])
    assert drawn < 200
    with Image.open(io.BytesIO(sheet.finish())) as image:
        first, last = image.getpixel((10, 10))[0], image.getpixel((image.width - 14, image.height - 26))[0]
    assert first == 0
    assert last > 240


def test_words_too_long_are_set_smaller_not_cut() -> None:
    wide = captioned(np.zeros((60, 400, 3), np.uint8), ["an observation of some age " * 2])
    white = np.asarray(wide)[60:, -4:]
    assert white.min() == 255, "nothing is written over the edge"


@pytest.mark.parametrize(("step_s", "every", "duration_ms"), [(0.008, 5, 40), (0.05, 1, 50), (0.002, 20, 40)])
def test_a_gif_leaves_out_what_cannot_be_seen(tmp_path, step_s, every, duration_ms) -> None:
    film = film_for(tmp_path / "film.gif", step_s)
    wanted = [frame for frame in range(100) if film.wants(frame)]
    assert wanted == list(range(0, 100, every))
    for shade in (0, 200):
        film.add(np.full((20, 20, 3), shade, np.uint8), [])
    with Image.open(io.BytesIO(film.finish())) as image:
        assert image.info["duration"] == duration_ms


# ---- what cannot be --------------------------------------------------------------------------------------------------


def test_another_ending_is_an_error_before_any_work(world, tmp_path, capsys) -> None:
    assert watched(tmp_path, policy_in({"draws": False}, {}, interaction()), "film.avi") == 2
    assert "allowed: .gif, .mp4, .png" in capsys.readouterr().err


def test_a_missing_encoder_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SuiteError, match="not installed") as caught:
        film_for(tmp_path / "film.mp4", 0.1)
    assert "rtbench[video]" in caught.value.hint


def test_a_machine_that_cannot_draw_says_what_to_install(world, tmp_path, capsys) -> None:
    assert watched(tmp_path, policy_in({"draws": False}, {}, interaction()), "film.gif") == 2
    told = capsys.readouterr().err
    assert "cannot draw" in told
    assert "no screen" in told
    assert "libegl1" in told
    assert not (tmp_path / "film.gif").exists()


def test_without_a_screen_mujoco_draws_through_egl(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for given, screen, wanted in ((None, None, "egl"), ("osmesa", None, "osmesa"), (None, ":0", None)):
        for name, value in (("MUJOCO_GL", given), ("DISPLAY", screen), ("WAYLAND_DISPLAY", None)):
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
        choose_gl()
        assert os.environ.get("MUJOCO_GL") == wanted
    monkeypatch.delenv("MUJOCO_GL", raising=False)


DRAW = """
from rtbench.cli.watching import choose_gl, drawing_environment
choose_gl()
from rtbench.plugins import use
env = drawing_environment(use("environments", "mujoco", {"id": "HalfCheetah-v4"}))
picture = env.render()
print(picture.shape, picture.std() > 5)
"""


def test_mujoco_is_drawn_where_it_can_be() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", DRAW], capture_output=True, text=True)
    if "cannot draw" in done.stderr:
        pytest.skip("no offscreen OpenGL here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(480, 480, 3) True"


def test_an_environment_that_draws_nothing(world, monkeypatch) -> None:
    part = use("environments", "acme/shades")
    made = type(build(part).make())
    monkeypatch.setattr(made, "render", lambda self: None)
    with pytest.raises(RtbenchError, match="draws nothing"):
        drawing_environment(part)
