"""A MinAtar game as a Gymnasium environment whose episodes are exactly their seed and their actions."""

from __future__ import annotations

import colorsys
import functools
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

_CELL_PIXELS = 32


@functools.cache
def rules(game: str) -> ModuleType:
    """The module of a game, without its package, whose import draws in a plotting library (1.2 s against 17 ms)."""
    package = importlib.util.find_spec("minatar")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = Path(package.submodule_search_locations[0]) / "environments" / f"{game}.py"
    found = importlib.util.spec_from_file_location(f"rtbench_minatar_{game}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def own_limit(game: str) -> int | None:
    """Steps after which a game ends by itself: its timer counts down to below zero."""
    limit: int | None = getattr(rules(game), "time_limit", None)
    return None if limit is None else limit + 1


class World(gymnasium.Env[NDArray[np.uint8], int]):
    """One game; as `minatar.Environment`, but seeded at every reset, and nothing of an episode outlasts it."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(
        self, game: str, sticky: float, ramping: bool, actions: str, max_steps: int | None, render_mode: str | None
    ) -> None:
        self._game = rules(game).Env(ramping=ramping)
        self._sticky, self._max_steps, self.render_mode = sticky, max_steps, render_mode
        self._actions = self._game.minimal_action_set() if actions == "minimal" else list(range(6))
        self._random = np.random.RandomState()
        self._last, self._steps = 0, 0
        self.action_space: Any = Discrete(len(self._actions))
        self.observation_space = Box(0, 1, tuple(self._game.state_shape()), np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """A new episode; without a seed, the next of the series that the last seed began."""
        super().reset(seed=seed)
        self._random = np.random.RandomState(int(self.np_random.integers(2**31)) if seed is None else seed)
        self._game.random = self._random
        self._game.reset()
        self._last, self._steps = 0, 0
        return self._observation(), {}

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """One frame of the game."""
        if self._random.rand() >= self._sticky:
            self._last = self._actions[action]
        reward, terminated = self._game.act(self._last)
        self._steps += 1
        truncated = self._max_steps is not None and self._steps >= self._max_steps
        return self._observation(), float(reward), bool(terminated), truncated, {}

    def _observation(self) -> NDArray[np.uint8]:
        state: NDArray[np.bool_] = self._game.state()
        return state.view(np.uint8)

    def get_action_meanings(self) -> list[str]:
        """What each action is, by MinAtar's letters."""
        return [self._game.action_map[action] for action in self._actions]

    def render(self) -> Any:
        """The board as RGB [320, 320, 3], a colour per channel, the highest channel of a cell on top."""
        channels = self.observation_space.shape[-1]  # type: ignore[index]
        hues = [colorsys.hsv_to_rgb(channel / channels, 0.75, 1.0) for channel in range(channels)]
        colours = (np.array([(0.0, 0.0, 0.0), *hues]) * 255).astype(np.uint8)
        top = (self._observation() * np.arange(1, channels + 1)).max(axis=2)
        return colours[top].repeat(_CELL_PIXELS, axis=0).repeat(_CELL_PIXELS, axis=1)
