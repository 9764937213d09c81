"""MiniGrid with the view as its observation: one world, and many whose pictures are drawn together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from rtbench.environments.frames import FrameStack
from rtbench.environments.minigrid_view import Tiles, look
from rtbench.errors import SuiteError
from rtbench.many import Many
from rtbench.parts import EnvironmentSpec

Bytes = NDArray[np.uint8]


class World(gymnasium.Env[Bytes, int]):
    """A MiniGrid environment whose observation is the agent's view alone: no compass, no mission.

    `view` is "rgb" (as `RGBImgPartialObsWrapper`, 8 pixels a cell) or "symbolic" (as `ImgObsWrapper`); `tiles` may be
    shared with others. SuiteError if `id` is none of MiniGrid's.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(
        self,
        id: str,
        view: str = "rgb",
        frames: int = 1,
        max_steps: int | None = None,
        render_mode: str | None = None,
        tiles: Tiles | None = None,
    ) -> None:
        self.inner = _inner(id, max_steps, render_mode)
        self.render_mode = render_mode
        self._tiles = tiles or Tiles()
        # Every step of MiniGrid ends in `gen_obs`: ours returns the same.
        self.inner.gen_obs = self._look
        self.numbers: list[int] = []
        self._draws = view == "rgb"
        side = self.inner.agent_view_size * (self._tiles.pixels if self._draws else 1)
        self._stack = FrameStack(np.zeros((side, side, 3 * frames), np.uint8), 3)
        self.action_space: Any = Discrete(int(self.inner.action_space.n))
        self.observation_space = Box(0, 255 if self._draws else HIGHEST_CODE, self._stack.stack.shape, np.uint8)

    def _look(self) -> dict[str, Any]:
        self.numbers = look(self.inner, self._tiles)
        image = self._tiles.encode(np.array([self.numbers]))[0]
        return {"image": image, "direction": self.inner.agent_dir, "mission": self.inner.mission}

    def begin(self, seed: int | None, options: dict[str, Any] | None = None) -> None:
        """A new episode, not drawn: `numbers` is what is seen."""
        super().reset(seed=seed)
        self.inner.reset(seed=seed, options=options)

    def move(self, action: int) -> tuple[float, bool, bool]:
        """A step, not drawn: reward, terminated, truncated."""
        _, reward, terminated, truncated, _ = self.inner.step(action)
        return float(reward), bool(terminated), bool(truncated)

    def frame(self) -> Bytes:
        """The newest view, drawn or encoded."""
        newest: Bytes = frames_of([self], self._tiles, self._draws)[0]
        return newest

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Bytes, dict[str, Any]]:
        """A new episode; without a seed, the next of the series that the last seed began."""
        self.begin(seed, options)
        self._stack.begin(self.frame())
        return self._stack.stack.copy(), {}

    def step(self, action: int) -> tuple[Bytes, float, bool, bool, dict[str, Any]]:
        """One step of the world."""
        reward, terminated, truncated = self.move(action)
        self._stack.push(self.frame())
        return self._stack.stack.copy(), reward, terminated, truncated, {}

    def get_action_meanings(self) -> list[str]:
        """What each action is, by MiniGrid's names."""
        return [action.name for action in self.inner.actions][: int(self.action_space.n)]

    def render(self) -> Any:
        """The whole grid from above as RGB, the agent's view lighter."""
        return self.inner.render()

    def close(self) -> None:
        """Close MiniGrid's own."""
        self.inner.close()


HIGHEST_CODE = 10
"""MiniGrid's highest object number."""


def _inner(id: str, max_steps: int | None, render_mode: str | None) -> Any:
    import minigrid
    from minigrid.minigrid_env import MiniGridEnv

    known = [name for name in gymnasium.registry if name.startswith("MiniGrid-")]
    given = {} if max_steps is None else {"max_steps": max_steps}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "v0 is out of date" is the suite's choice, not the user's mistake
            env: Any = gymnasium.make(id, render_mode=render_mode, disable_env_checker=True, **given).unwrapped
    except gymnasium.error.UnregisteredEnv:
        env = None
    if not isinstance(env, MiniGridEnv):
        raise SuiteError(
            f"no environment of MiniGrid {minigrid.__version__} is called {id!r}",
            place="environment minigrid, id",
            given=id,
            allowed=known,
        )
    return env


def frames_of(worlds: Sequence[World], tiles: Tiles, draws: bool, out: Bytes | None = None) -> Bytes:
    """The newest views of `worlds`, [n, side, side, 3], into `out` if that is given; drawn in one table lookup."""
    numbers = np.array([world.numbers for world in worlds])
    if not draws:
        return tiles.encode(numbers)
    if out is None:
        side = round(numbers.shape[1] ** 0.5) * tiles.pixels
        out = np.empty((len(worlds), side, side, 3), np.uint8)
    tiles.draw(numbers, out)
    return out


class Grids(Many):
    """Many MiniGrid worlds: their steps one by one, their pictures at once."""

    def __init__(self, worlds: Sequence[World], tiles: Tiles, spec: EnvironmentSpec, *, draws: bool) -> None:
        super().__init__(len(worlds), spec)
        self._worlds, self._tiles, self._draws = worlds, tiles, draws
        self._stack = FrameStack(self.observations, 3)
        self._stacks = [FrameStack(each, 3) for each in self.observations]
        self._direct = self.observations if draws and self.observations.shape[-1] == 3 else None

    def _reset(self, index: int, seed: int) -> None:
        self._worlds[index].begin(seed)
        self._stacks[index].begin(frames_of([self._worlds[index]], self._tiles, self._draws)[0])

    def _step(self, index: int, action: int) -> tuple[float, bool, bool]:
        return self._worlds[index].move(action)

    def _observe(self, stepped: Sequence[int]) -> None:
        if len(stepped) == self.count:
            newest = frames_of(self._worlds, self._tiles, self._draws, self._direct)
            if self._direct is None:
                self._stack.push(newest)
        elif stepped:
            newest = frames_of([self._worlds[index] for index in stepped], self._tiles, self._draws)
            for index, frame in zip(stepped, newest, strict=True):
                self._stacks[index].push(frame)

    def close(self) -> None:
        """Close every world."""
        for world in self._worlds:
            world.close()
