"""What an interaction's timeline says of its delay, in decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rtbench.interaction.timing import timeline_of

if TYPE_CHECKING:
    from rtbench.cell import Interaction

_PROBE_STEPS = 4000


@dataclass(frozen=True)
class Delays:
    """`in_flight`: earlier decisions, at most, whose action is applied or held at or after the step a decision reads.

    `fragment`: decisions, at most, from one up to the last that reads nothing its action could have changed.
    `stride_steps`: environment steps, at least, between two observations that are read.
    """

    in_flight: int
    fragment: int
    stride_steps: int

    @classmethod
    def of(cls, interaction: Interaction, layers: int, step_s: float) -> Delays:
        """Read off a stretch of the timeline of one process, for a network of so many layers."""
        line = timeline_of(interaction, layers, step_s, _PROBE_STEPS, 0, "delays")
        read, applied = line.read_step, line.apply_step
        decisions = np.arange(len(read))
        # A decision's action is over at the step that applies the next one's; the first acts from its own step on.
        over = np.searchsorted(applied, read, side="right")
        in_flight = np.minimum(decisions, decisions + 1 - np.maximum(over, 1))
        known = applied < line.steps
        unaffected = np.searchsorted(read, applied[known], side="right") - decisions[known] - 1
        apart = np.diff(read)
        return cls(
            int(in_flight[known].max(initial=0)),
            int(unaffected.max(initial=0)),
            # While a sensor is late, the first decisions of an episode read its first observation again and again.
            int(apart[apart > 0].min(initial=line.steps)),
        )
