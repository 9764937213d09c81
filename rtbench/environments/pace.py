"""The same world met at another pace: each action held for several steps, or observations more often."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium


class ActionRepeat(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Every action is applied `times` steps, rewards are summed; an episode's end cuts it short."""

    def __init__(self, env: gymnasium.Env[Any, Any], times: int) -> None:
        super().__init__(env)
        self._times = times

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """As the environment's, over up to `times` of its steps."""
        total = 0.0
        for _ in range(self._times):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


class FinerSteps(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A MuJoCo environment whose model takes steps `rate` times shorter, each worth a `rate`-th of the reward.

    The frame skip stays, so observations come `rate` times as often (Handling Delay, Section 5.1).
    """

    def __init__(self, env: gymnasium.Env[Any, Any], rate: int) -> None:
        super().__init__(env)
        self._rate = rate
        env.unwrapped.model.opt.timestep /= rate  # type: ignore[attr-defined]

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """As the environment's, with a share of its reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward) / self._rate, terminated, truncated, info
