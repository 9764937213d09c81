"""How PPO deals with what lies before a rollout, and with advantages: exactly, or as published code does.

Source: the code of Handling Delay in Real-Time RL. It begins every rollout as if an episode began, and leaves the first
seven ticks out of the loss, in which what layers hold is not yet what they held when the agent acted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Name = Literal["exact", "published-code"]


@dataclass(frozen=True)
class Conventions:
    """What is known of the time before a rollout, what of it is trained on, and how advantages are normalised."""

    carries: bool
    """Whether a rollout looks back at what lies before it, and what is under way is done anew after an update."""
    masked_decisions: int
    """The first decisions of every environment that no loss counts, if the graph looks back at all."""
    per_tick: bool
    """Whether advantages are normalised over the environments at each tick, or over the whole rollout."""

    def normalised(self, gained: Array) -> Array:
        """Advantages [E, T], less their mean, over their standard deviation (n − 1)."""
        axis = 0 if self.per_tick else None
        scaled: Array = (gained - gained.mean(axis=axis)) / (gained.std(axis=axis, ddof=1) + 1e-8)
        return scaled


CONVENTIONS: dict[Name, Conventions] = {
    "exact": Conventions(carries=True, masked_decisions=0, per_tick=False),
    "published-code": Conventions(carries=False, masked_decisions=7, per_tick=True),
}
