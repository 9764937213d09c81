"""The analytic worlds themselves; their rules stand in `rtbench.environments.analytic`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rtbench.environments.analytic import OWN

if TYPE_CHECKING:
    from rtbench.environments.analytic import Id, Params

Observation = NDArray[np.float32]


class World(gymnasium.Env[Observation, np.int64], ABC):
    """A finite world; all that an episode draws is drawn at its reset, so that a step's draw depends on its number."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own name and type

    def __init__(self, params: Params) -> None:
        self._p = params
        extra = params.distractors if params.distractors > 1 else 0
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (params.states + extra,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(1 + params.states)
        self.state = 0
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A state drawn uniformly."""
        super().reset(seed=seed)
        p = self._p
        self.state, self._step = int(self.np_random.integers(p.states)), 0
        self._moves = self.np_random.random(p.steps) >= p.stay
        self._shown = self.np_random.integers(p.distractors, size=p.steps + 1)
        return self._observation(), {}

    def _observation(self) -> Observation:
        p = self._p
        out = np.zeros(self.observation_space.shape or (), np.float32)
        out[self.state] = 1
        if p.distractors > 1:
            out[p.states + self._shown[self._step]] = 1
        return out

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Reward and next state by the table in `rtbench.environments.analytic.Analytic`."""
        if not self.action_space.contains(action):
            raise ValueError(f"actions are the integers 0 … {self._p.states}, not {action!r}")
        reward, self.state = self._move(int(action), bool(self._moves[self._step]))
        self._step += 1
        return self._observation(), reward, False, self._step >= self._p.steps, {}

    @abstractmethod
    def _move(self, action: int, moves: bool) -> tuple[float, int]:
        """Reward, next state; `moves` is the step's draw."""


class Inaction(World):
    """β's own action leads where there is no reward (Equation 3)."""

    def _move(self, action: int, moves: bool) -> tuple[float, int]:
        return (0.0, 1) if action == OWN else (1.0, 0)


class DelayCycle(World):
    """Only the action of the present state is rewarded, whatever it is the state moves by chance (Equation 4)."""

    def _move(self, action: int, moves: bool) -> tuple[float, int]:
        return float(action == 1 + self.state), (self.state + moves) % self._p.states


class Additive(World):
    """Only the action of the present state is rewarded, and every action moves the state by itself."""

    def _move(self, action: int, moves: bool) -> tuple[float, int]:
        return float(action == 1 + self.state), (self.state + action) % self._p.states


WORLDS: dict[Id, type[World]] = {"inaction": Inaction, "delay-cycle": DelayCycle, "additive": Additive}
