"""One inference process: it starts again as soon as its execution allows."""

from __future__ import annotations

from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.parts import Scheduler
from rtbench.schedulers.base import SchedulerState, Steady


class FreeRunning(SchedulerState):
    """The next tick starts when the last one ends (`pipelined`). State: the last duration, 0 before any."""

    def __init__(self, step_ns: int) -> None:
        super().__init__(1, step_ns, [0])

    def start(self, process: int, now_ns: int) -> int:
        """At once."""
        return now_ns

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        """At once."""
        self.state[0] = took_ns
        return now_ns

    def steady(self) -> Steady | None:
        """Equal ticks follow each other without a gap."""
        took = self.state[0]
        return Steady(took, 0, took, took) if took else None


class Aligned(FreeRunning):
    """The next inference reads the first observation emitted once its action is handed over (`sequential`).

    An actuator's latency comes on top: the world may take that action later.
    """

    def start(self, process: int, now_ns: int) -> int:
        """The first emission from now on; that of this very instant counts."""
        return -(-now_ns // self.step_ns) * self.step_ns

    def steady(self) -> Steady | None:
        """Any duration that ends within the same environment step gives the same next start."""
        if not self.state[0]:
            return None
        period = -(-self.state[0] // self.step_ns) * self.step_ns
        return Steady(period, 0, period - self.step_ns + 1, period)


class OneProcess(Scheduler):
    """One process: step-aligned inferences under `sequential`, back-to-back ticks under `pipelined`.

    Under `instant` no time passes and no clock asks a scheduler. Source: the sequential and parallel schemes of
    Handling Delay, Section 3; with one asynchronous process, Staggered Asynchronous Inference, Remark 1.
    """

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Needs `processes = 1`."""
        if cell.interaction.processes != 1:
            return f"one-process runs one process, the interaction has processes = {cell.interaction.processes}"
        return None

    def make(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """State machine for `execution`; SuiteError for more than one process."""
        if processes != 1:
            raise SuiteError(
                f"one-process runs one process, not {processes}",
                place="interaction.processes",
                hint="use staggered-max",
            )
        return FreeRunning(step_ns) if execution == "pipelined" else Aligned(step_ns)
