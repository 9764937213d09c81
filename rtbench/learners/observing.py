"""Observations as loops and replays keep them, and as policies are served them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]


class Observing:
    """Of one environment: `kept` flat [F] in the environment's own numbers, `served` as float32, scaled."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        self._dtype, self._scale = np.dtype(spec.observation_dtype), np.float32(spec.observation_scale)
        self._as_is = self._dtype == np.float32 and spec.observation_scale == 1.0

    def kept(self, observation: Any) -> NDArray[Any]:
        """A flat copy."""
        found = np.array(observation, self._dtype)
        return found if found.ndim == 1 else found.reshape(-1)

    def served(self, observation: NDArray[Any]) -> Array:
        """What a policy sees of one that is kept."""
        if self._as_is:
            return observation
        return observation.astype(np.float32) * self._scale
