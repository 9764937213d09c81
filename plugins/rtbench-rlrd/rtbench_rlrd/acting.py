"""Acting on what is seen and on what has been decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rtbench.backends.base import Acting

Array = NDArray[np.float32]


class AugmentedActing:
    """A policy's acting, given the last actions decided beside each observation: newest first, zeros before the first.

    The loop is to decide with its `decide`, so that it knows what was decided; `told` hears of it as well.
    """

    def __init__(
        self,
        inner: Acting,
        decide: Callable[[Array], Array],
        *,
        in_flight: int,
        action_size: int,
        told: Callable[[Array], None] = lambda action: None,
    ) -> None:
        self._inner, self._decide, self._told = inner, decide, told
        self._recent = np.zeros(in_flight * action_size, np.float32)

    def restart(self, observation: Array) -> Array:
        """No action is in flight."""
        self._recent = np.zeros_like(self._recent)
        return self._inner.restart(self._augmented(observation))

    def tick(self, observation: Array, action: Array) -> Array:
        """The head's value on the observation and the actions in flight; `action` is among these."""
        return self._inner.tick(self._augmented(observation), action)

    def decide(self, output: Array) -> Array:
        """The action of a head's value, from now on in flight."""
        action = self._decide(output)
        self._recent = np.concatenate([action, self._recent])[: len(self._recent)]
        self._told(action)
        return action

    def _augmented(self, observation: Array) -> Array:
        return np.concatenate([observation, self._recent])

    def state(self) -> dict[str, Any]:
        """The policy's own, and what is in flight."""
        return {"inner": self._inner.state(), "recent": self._recent}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self._inner.restore(state["inner"])
        self._recent = np.asarray(state["recent"], np.float32).copy()
