"""An Atari game as a Gymnasium environment whose episodes are exactly their seed and their actions."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from rtbench.environments.frames import FrameStack
from rtbench.errors import SuiteError

SIDE = 84
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Cartridge:
    """What an id stands for: the game, its mode, frames a step, probability that a frame repeats the action before."""

    game: str
    frame_skip: int
    sticky: float
    mode: int | None = None
    difficulty: int | None = None


def cartridge(id: str, frame_skip: int | None = None, sticky: float | None = None) -> Cartridge:
    """The game of an id, frame skip and stickiness the id's own where not given; SuiteError where there is none."""
    import ale_py

    known = [name for name, found in gymnasium.registry.items() if found.entry_point == "ale_py.env:AtariEnv"]
    if id not in known:
        raise SuiteError(
            f"no game of ale-py {ale_py.__version__} is called {id!r}",
            place="environment atari, id",
            given=id,
            allowed=[name for name in known if name.startswith("ALE/") or name.endswith("NoFrameskip-v4")],
        )
    kwargs = gymnasium.spec(id).kwargs
    skip = kwargs["frameskip"] if frame_skip is None else frame_skip
    if not isinstance(skip, int):
        raise SuiteError(
            f"{id} draws how many frames a step takes, so a step has no fixed length",
            place="environment atari, frame_skip",
            hint="give frame_skip, or take the game's v5 or NoFrameskip id",
        )
    probability = kwargs["repeat_action_probability"] if sticky is None else sticky
    return Cartridge(kwargs["game"], skip, probability, kwargs.get("mode"), kwargs.get("difficulty"))


class World(gymnasium.Env[Bytes, int]):
    """One game; with stickiness 0 as `ale_py.AtariEnv` reset with a seed, frame by frame."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(
        self,
        game: Cartridge,
        *,
        frames: int = 4,
        pooled: int = 1,
        all_actions: bool = False,
        noop_starts: int = 0,
        max_frames: int = 108_000,
        render_mode: str | None = None,
    ) -> None:
        self._skip, self._sticky = game.frame_skip, game.sticky
        self._pooled, self._noop_starts, self.render_mode = min(pooled, game.frame_skip), noop_starts, render_mode
        self._console = _console(game, max_frames)
        # A state holds no picture: the screen shows what was drawn last until the next frame is.
        self._switched_on = self._console.cloneState(include_rng=True)
        self._first_screen, self._first_picture = self._screen(), self._picture()
        self._fresh = True
        actions = self._console.getLegalActionSet() if all_actions else self._console.getMinimalActionSet()
        self._actions = list(actions)
        self._last = self._idle = _idle()
        self.noop = self._actions.index(self._idle) if self._idle in self._actions else None
        self.action_space: Any = Discrete(len(self._actions))
        self.observation_space = Box(0, 255, (SIDE, SIDE, frames), np.uint8)
        self._stack = FrameStack(np.zeros((SIDE, SIDE, frames), np.uint8), 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Bytes, dict[str, Any]]:
        """A new game; without a seed, the next of the series that the last seed began."""
        super().reset(seed=seed)
        self._console.restoreState(self._switched_on)
        self._last, self._fresh = self._idle, True
        self._stack.begin(self._first_screen)
        waited = int(self.np_random.integers(self._noop_starts + 1)) if self._noop_starts else 0
        for _ in range(waited):
            self._hold(self._idle)
        return self._stack.stack.copy(), {}

    def step(self, action: int) -> tuple[Bytes, float, bool, bool, dict[str, Any]]:
        """The frames of one action; rewards are the game's points."""
        reward = self._hold(self._actions[action])
        terminated = self._console.game_over(with_truncation=False)
        return self._stack.stack.copy(), reward, terminated, self._console.game_truncated(), {}

    def _hold(self, action: Any) -> float:
        reward, seen, self._fresh = 0.0, None, False
        for frame in range(self._skip):
            if not self._sticky or self.np_random.random() >= self._sticky:
                self._last = action
            reward += self._console.act(self._last)
            if frame >= self._skip - self._pooled:
                screen = self._console.getScreenGrayscale()
                seen = screen if seen is None else np.maximum(seen, screen)
        self._stack.push(_small(seen))
        return reward

    def _screen(self) -> Bytes:
        return _small(self._console.getScreenGrayscale())

    def _picture(self) -> Bytes:
        picture: Bytes = self._console.getScreenRGB().repeat(2, axis=0).repeat(2, axis=1)
        return picture

    def get_action_meanings(self) -> list[str]:
        """What each action is, by ALE's names."""
        return [str(action.name) for action in self._actions]

    def render(self) -> Any:
        """The screen as RGB, every pixel two by two."""
        return self._first_picture.copy() if self._fresh else self._picture()


def _idle() -> Any:
    import ale_py

    return ale_py.Action.NOOP


def _console(game: Cartridge, max_frames: int) -> Any:
    """A console with the game in it, as `ale_py.AtariEnv` has it after its first seeded reset."""
    import ale_py
    from ale_py import roms

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    console = ale_py.ALEInterface()
    console.setFloat("repeat_action_probability", 0.0)
    console.setInt("max_num_frames_per_episode", max_frames)
    console.setInt("random_seed", 0)
    rom = roms.get_rom_path(game.game)
    assert rom is not None
    console.loadROM(rom)
    if game.mode is not None:
        console.setMode(game.mode)
    if game.difficulty is not None:
        console.setDifficulty(game.difficulty)
    console.reset_game()
    return console


def _small(screen: Any) -> Bytes:
    """A grey screen as [84, 84, 1], every pixel the mean of the area it covers, rounded to the nearest.

    84 and a side have a common divisor, so a side falls into equal blocks that are reduced alike: 5 rows to 2 of a
    screen 210 high, 40 columns to 21 of one 160 wide.
    """
    rows, columns = (_shares(length) for length in screen.shape)
    height = np.matmul(rows, screen.astype(np.float32).reshape(-1, rows.shape[1], screen.shape[1]))
    reduced: Bytes = np.rint(height.reshape(-1, columns.shape[1]) @ columns.T).astype(np.uint8)
    return reduced.reshape(SIDE, SIDE, 1)


@functools.cache
def _shares(length: int) -> NDArray[np.float32]:
    """[new, old]: the share of every old pixel of a block in every new one."""
    blocks = math.gcd(length, SIDE)
    edges, old = np.arange(SIDE // blocks + 1) * (length / SIDE), np.arange(length // blocks)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.asarray(np.clip(overlap, 0, None) * (SIDE / length), np.float32)
