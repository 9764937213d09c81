"""Processes that take turns by the observation: process p of N reads observations p, p + N, p + 2 N, …"""

from __future__ import annotations

from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.parts import Scheduler
from rtbench.schedulers.base import SchedulerState


class TurnsState(SchedulerState):
    """State: per process the last observation it read, −1 before the first."""

    def __init__(self, processes: int, step_ns: int) -> None:
        super().__init__(processes, step_ns, [-1] * processes)

    def start(self, process: int, now_ns: int) -> int:
        """With the next observation of its own that it has not read."""
        earliest = max(-(-now_ns // self.step_ns), self.state[process] + 1)
        observation = earliest + (process - earliest) % self.processes
        self.state[process] = observation
        return observation * self.step_ns

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        """At once."""
        return now_ns


class Turns(Scheduler):
    """N processes, each on every N-th observation: τ ≤ N·τ_M acts in every step (say where it is from)."""

    revision = 1

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Whole inferences, in any number of processes."""
        return _reason(cell.interaction.processes, cell.interaction.execution)

    def make(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """A fresh state; SuiteError for less than one process, or another execution than sequential."""
        reason = _reason(processes, execution)
        if reason:
            raise SuiteError(reason, place="interaction")
        return TurnsState(processes, step_ns)


def _reason(processes: int, execution: str) -> str | None:
    if execution != "sequential":
        return f"example/turns needs execution = 'sequential', not {execution!r}"
    if processes < 1:
        return f"example/turns needs at least one process, not {processes}"
    return None
