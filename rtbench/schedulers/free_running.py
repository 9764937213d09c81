"""One process that starts its next inference the moment the last is finished, learning beside it."""

from __future__ import annotations

from rtbench.schedulers.base import SchedulerState
from rtbench.schedulers.limits import Limited
from rtbench.schedulers.one_process import FreeRunning


class Async(Limited):
    """One asynchronous inference process beside learning: no wait for an observation, no time for updates.

    It reads the newest observation when it starts; as starts do not meet emissions, ages are ⌈τ_θ / τ_M⌉ or one more.
    Source: the asynchronous baseline with one inference process of Staggered Asynchronous Inference, Section 5.
    """

    name = "async"
    alone = True

    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """Back to back."""
        return FreeRunning(step_ns)
