"""Several processes spread evenly over the longest inference time seen so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtbench.parts import param
from rtbench.schedulers.base import SchedulerState, Steady
from rtbench.schedulers.estimates import MAXIMUM, Estimate
from rtbench.schedulers.limits import Limited


@dataclass(frozen=True)
class Params:
    """What τ̂max is: as in Algorithm 1, or an estimate that forgets."""

    estimate: Literal["maximum", "window", "quantile"] = param(
        "maximum", added=True, doc="of all inferences, as published, or the longest or a quantile of the last ones"
    )
    inferences: int = param(
        200, unit="inferences", added=True, doc="how many last ones `window` and `quantile` look at"
    )
    quantile: float = param(0.99, added=True, doc="share of the last inferences that are no longer than the estimate")


class StaggeredMaxState(SchedulerState):
    """State: one wait per process, then the estimate of the maximum, all in nanoseconds.

    A process takes its whole wait when it becomes idle; what others add while it sleeps is kept for its next cycle.
    """

    def __init__(self, processes: int, step_ns: int, estimate: Estimate = MAXIMUM) -> None:
        super().__init__(processes, step_ns, [0] * (processes + estimate.size))
        self._estimate = estimate

    def start(self, process: int, now_ns: int) -> int:
        """After the wait that others have laid on this process, which is thereby spent."""
        wait = self.state[process]
        self.state[process] = 0
        return now_ns + wait

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        """Held back to the maximum; a new maximum moves every other process by its place in the cycle.

        wait_j += dist(j, i) · (τ − τ̂max) / N with dist(j, i) = (i − j) mod N, rounded down to a nanosecond. Where the
        estimate can shrink, the others wait (N − dist(j, i)) · |change| / N.
        """
        processes, state = self.processes, self.state
        change = self._estimate.take(state, processes, took_ns)
        if change:
            away = process if change > 0 else -process
            sign = 1 if change > 0 else -1
            for other in range(processes):
                state[other] += (away - sign * other) % processes * abs(change) // processes
        return now_ns + max(0, state[processes] - took_ns)

    def steady(self) -> Steady | None:
        """Without pending waits every process repeats after the maximum, as long as that stays what it is."""
        bounds = self._estimate.bounds(self.state, self.processes)
        if bounds is None or any(self.state[: self.processes]):
            return None
        maximum = self.state[self.processes]
        return Steady(period_ns=maximum, hold_ns=maximum, at_least_ns=bounds[0], at_most_ns=bounds[1])


class StaggeredMax(Limited):
    """N processes staggered by the maximum inference time (Staggered Asynchronous Inference, Algorithm 1).

    What others lay on a process while it sleeps through an earlier wait is kept for its next cycle; the pseudo-code,
    read to the letter, would forget it, and leave more steps without an action where times vary.

    With a constant inference time the interval between actions settles at max(τ_M, τ̂max / N), and no step lacks an
    action from N = ⌈τ̂max / τ_M⌉ on. Every action is held until τ̂max after its start. Where times vary the algorithm
    moves phases only when a new maximum appears and never restores them, so processes stay bunched, more of them need
    not help, and τ̂max, which never shrinks in the paper, keeps ageing every action by the slowest inference ever seen:
    `estimate` offers what forgets. Under `pipelined` each process is a replica of the pipeline, a tick its inference.
    """

    Params = Params
    name = "staggered-max"

    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """Nothing seen yet; SuiteError for an estimate of nothing."""
        estimate = Estimate(self.params.estimate, self.params.inferences, self.params.quantile)
        return StaggeredMaxState(processes, step_ns, estimate)
