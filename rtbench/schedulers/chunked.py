"""One process whose every inference gives several actions, used one step after the other."""

from __future__ import annotations

from dataclasses import dataclass

from rtbench.errors import SuiteError
from rtbench.parts import param
from rtbench.schedulers.base import SchedulerState
from rtbench.schedulers.limits import Limited
from rtbench.schedulers.one_process import FreeRunning


@dataclass(frozen=True)
class Params:
    """How long a chunk is."""

    actions: int = param(4, unit="actions", doc="actions that one inference gives, the first at once, one a step")


class Chunked(Limited):
    """Action chunking in one asynchronous process: `actions` for so many steps, until a newer chunk arrives.

    From `actions` ≥ ⌈τ_θ / τ_M⌉ on no step lacks an action, but all save the first of a chunk rest on an observation
    that is older by their place in it. One process, as several would only cut each other's chunks short. Source:
    Staggered Asynchronous Inference, Appendix B.5.
    """

    Params = Params
    name = "chunked"
    executions = ("sequential",)
    alone = True

    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """Back to back, its chunk known; SuiteError for one without actions."""
        if self.params.actions < 1:
            raise SuiteError(
                f"a chunk has at least one action, not {self.params.actions}", place="interaction.scheduler.actions"
            )
        state = FreeRunning(step_ns)
        state.chunk = self.params.actions
        return state
