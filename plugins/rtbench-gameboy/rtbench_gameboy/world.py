"""A game as a Gymnasium environment whose episodes are exactly their seed and their actions."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from rtbench.learners.tally import PROGRESS

from rtbench_gameboy import journal
from rtbench_gameboy.console import ACTIONS, Bytes, Console, mask
from rtbench_gameboy.rules import Rules
from rtbench_gameboy.screen import SIDE, grey

ABOUT = ("won", "caught", "lines")
"""The counters of which each game has one that it is about."""
_MASKS = tuple(mask(button) for button in ACTIONS)


class World(gymnasium.Env[Bytes, int]):
    """One game, one frame a step; `frames` newest screens in the channels, the newest last.

    `info["rtbench_progress"]` counts since the episode began: what the game counts, what of it the game is about as
    `progress`, and `non_idle_actions`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(self, rules: Rules, *, frames: int, max_frames: int, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._rules, self._console, self._limit = rules, Console(rules.rom), max_frames
        self._trail = journal.Trail()
        self.action_space: Any = Discrete(len(ACTIONS))
        self.observation_space = Box(0, 255, (SIDE, SIDE, frames), np.uint8)
        self._stack = np.zeros((SIDE, SIDE, frames), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Bytes, dict[str, Any]]:
        """A new episode; without a seed, the next of the series that the last seed began."""
        super().reset(seed=seed)
        self._rules.begin(self._console, self.np_random)
        self._frames = self._non_idle = 0
        self._stack[:] = grey(self._console.picture)
        self._trail.begin(seed)
        return self._stack.copy(), self._info()

    def step(self, action: int) -> tuple[Bytes, float, bool, bool, dict[str, Any]]:
        """One frame with a button held, or none."""
        self._console.frame(_MASKS[action])
        reward, over = self._rules.advance(self._console)
        self._frames += 1
        self._non_idle += action != 0
        self._stack[:, :, :-1] = self._stack[:, :, 1:]
        self._stack[:, :, -1:] = grey(self._console.picture)
        return self._stack.copy(), reward, over, self._frames >= self._limit, self._info()

    def _info(self) -> dict[str, Any]:
        counts = self._rules.progress() | {"non_idle_actions": float(self._non_idle)}
        about = next((counts[name] for name in ABOUT if name in counts), None)
        if about is not None:
            counts["progress"] = about
            self._trail.note(self._frames, about)
        return {PROGRESS: counts}

    def render(self) -> Any:
        """The screen as RGB, every pixel three by three."""
        return self._console.picture.repeat(3, axis=0).repeat(3, axis=1)
