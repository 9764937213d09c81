"""Several processes spread evenly over the longest inference time seen so far."""

from __future__ import annotations

from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.parts import Scheduler
from rtbench.schedulers.base import SchedulerState, Steady


class StaggeredMaxState(SchedulerState):
    """State: one wait per process, then the maximum, all in nanoseconds.

    A process takes its whole wait when it becomes idle; what others add while it sleeps is kept for its next cycle.
    """

    def __init__(self, processes: int, step_ns: int) -> None:
        super().__init__(processes, step_ns, [0] * (processes + 1))

    def start(self, process: int, now_ns: int) -> int:
        """After the wait that others have laid on this process, which is thereby spent."""
        wait = self.state[process]
        self.state[process] = 0
        return now_ns + wait

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        """Held back to the maximum; a new maximum moves every other process by its place in the cycle.

        wait_j += dist(j, i) · (τ − τ̂max) / N with dist(j, i) = (i − j) mod N, rounded down to a nanosecond.
        """
        processes, state = self.processes, self.state
        growth = took_ns - state[processes]
        if growth < 0:
            return now_ns - growth
        if growth:
            for other in range(processes):
                state[other] += (process - other) % processes * growth // processes
            state[processes] = took_ns
        return now_ns

    def steady(self) -> Steady | None:
        """Without pending waits every process repeats after the maximum, as long as nothing exceeds it."""
        maximum = self.state[self.processes]
        if not maximum or any(self.state[: self.processes]):
            return None
        return Steady(period_ns=maximum, hold_ns=maximum, at_least_ns=1, at_most_ns=maximum)


class StaggeredMax(Scheduler):
    """N processes staggered by the maximum inference time (Staggered Asynchronous Inference, Algorithm 1).

    With a constant inference time the interval between actions settles at max(τ_M, τ̂max / N), and no step lacks an
    action from N = ⌈τ̂max / τ_M⌉ on. Every action is held until τ̂max after its start. Where times vary the algorithm
    moves phases only when a new maximum appears and never restores them, so processes stay bunched, more of them need
    not help, and τ̂max, which never shrinks, keeps ageing every action by the slowest inference ever seen.
    """

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Whole inferences on the virtual clock."""
        if cell.interaction.execution != "sequential":
            return (
                f"staggered-max needs execution = 'sequential' (whole inferences), not {cell.interaction.execution!r}"
            )
        if cell.interaction.clock != "virtual":
            return f"staggered-max runs on the virtual clock only, not on {cell.interaction.clock!r}"
        return None

    def make(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """A fresh state; SuiteError for less than one process or another execution than sequential."""
        if processes < 1:
            raise SuiteError(
                f"staggered-max needs at least one process, not {processes}", place="interaction.processes"
            )
        if execution != "sequential":
            raise SuiteError(
                f"staggered-max schedules whole inferences, not {execution} ones",
                place="interaction.execution",
                given=execution,
                allowed=["sequential"],
            )
        return StaggeredMaxState(processes, step_ns)
