"""Many environments of one kind stepped together: what a learner with parallel environments needs, and no more.

Nothing restarts by itself. Observations lie in one array that is written in place, so that a rollout copies each once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.errors import RtbenchError

if TYPE_CHECKING:
    import gymnasium

    from rtbench.parts import EnvironmentSpec

Flags = NDArray[np.bool_]


class Many(ABC):
    """`count` environments; every one is reset by name and seed, and all are stepped at once.

    `observations` [count, *observation_shape] in the spec's dtype is overwritten by `reset` and `step`; when an episode
    is over its last observation stays there until its environment is reset.
    """

    def __init__(self, count: int, spec: EnvironmentSpec) -> None:
        self.count = count
        self.observations: NDArray[Any] = np.zeros((count, *spec.observation_shape), spec.observation_dtype)
        self._over = np.ones(count, bool)
        self.infos: list[Mapping[str, Any]] = [{}] * count
        """What the newest step of each said besides, where worlds say anything."""

    def reset(self, index: int, seed: int) -> None:
        """A new episode of environment `index`: the same seed gives the same episode, whatever came before."""
        self._reset(index, seed)
        self._over[index] = False

    def step(
        self, actions: NDArray[Any], only: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], Flags, Flags]:
        """One step of every environment, in its own actions [count, …]; rewards [count], terminated, truncated.

        `only`: the environments that step while the others wait. RtbenchError if an episode is over and its environment
        was not reset.
        """
        stepping = range(self.count) if only is None else only
        over = [index for index in stepping if self._over[index]]
        if over:
            raise RtbenchError(
                f"environment {over[0]} of {self.count} is stepped, but its episode is over",
                hint="reset(index, seed) begins the next one",
            )
        rewards = np.zeros(self.count, np.float32)
        terminated, truncated = np.zeros(self.count, bool), np.zeros(self.count, bool)
        given = actions if actions.ndim > 1 else actions.tolist()
        for index in stepping:
            rewards[index], terminated[index], truncated[index] = self._step(index, given[index])
        self._observe(stepping)
        self._over |= terminated | truncated
        return rewards, terminated, truncated

    @abstractmethod
    def _reset(self, index: int, seed: int) -> None:
        """Reset one environment and write its observation."""

    @abstractmethod
    def _step(self, index: int, action: Any) -> tuple[float, bool, bool]:
        """Step one environment; its observation is written here or in `_observe`."""

    def _observe(self, stepped: Sequence[int]) -> None:  # noqa: B027 - nothing to do where every step writes its own
        """Write what the steps of these environments left unwritten."""

    @abstractmethod
    def close(self) -> None:
        """Release what the environments hold."""


class OneByOne(Many):
    """A plain loop over environments: on a few cores faster than processes of their own for each."""

    def __init__(self, environments: Sequence[gymnasium.Env[Any, Any]], spec: EnvironmentSpec) -> None:
        super().__init__(len(environments), spec)
        self._environments = environments

    def _reset(self, index: int, seed: int) -> None:
        self.observations[index], _ = self._environments[index].reset(seed=seed)

    def _step(self, index: int, action: Any) -> tuple[float, bool, bool]:
        found = self._environments[index].step(action)
        self.observations[index], reward, terminated, truncated, self.infos[index] = found
        return float(reward), bool(terminated), bool(truncated)

    def close(self) -> None:
        """Close every environment."""
        for environment in self._environments:
            environment.close()
