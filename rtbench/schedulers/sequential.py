"""One process that infers and learns in turn, a whole inference and a whole update at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtbench.parts import param
from rtbench.schedulers.base import SchedulerState
from rtbench.schedulers.limits import Limited
from rtbench.schedulers.one_process import Aligned


@dataclass(frozen=True)
class Params:
    """Which comes first."""

    order: Literal["infer-then-learn", "learn-then-infer"] = param(
        "infer-then-learn", doc="whether the process learns after its inference, or before it, having read"
    )


class Sequential(Limited):
    """Sequential interaction: each inference reads the first observation after the process is through with the last.

    With an update of `learning` after each inference, or before it, the period is ⌈(τ_θ + τ_L) / τ_M⌉ steps; learning
    before, the action's age contains both. Without `learning` it is the sequential scheme alone. Source: Staggered
    Asynchronous Inference, Remark 1 and Figure 1 (which adds a step that Remark 1 does not; Remark 1 is followed).
    """

    Params = Params
    name = "sequential"
    executions = ("sequential",)
    alone = True

    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """From observation to observation, learning in between."""
        state = Aligned(step_ns)
        state.learns = "after" if self.params.order == "infer-then-learn" else "before"
        return state
