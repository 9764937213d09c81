"""One inference process: it starts again as soon as its execution allows."""

from __future__ import annotations

from rtbench.schedulers.base import SchedulerState, Steady
from rtbench.schedulers.limits import Limited


class FreeRunning(SchedulerState):
    """The next inference starts when the last one ends. State: the last duration, 0 before any."""

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
        """Equal inferences follow each other without a gap."""
        took = self.state[0]
        return Steady(took, 0, took, took) if took else None


class Aligned(SchedulerState):
    """The next inference reads the first observation emitted once the process is idle.

    An actuator's latency comes on top: the world may take that action later. State: how long the process was at work,
    and since when its action has been finished while it is not idle yet (0: it is).
    """

    def __init__(self, step_ns: int) -> None:
        super().__init__(1, step_ns, [0, 0])

    def start(self, process: int, now_ns: int) -> int:
        """The first emission from now on; that of this very instant counts."""
        if self.state[1]:
            self.state[0] += now_ns - self.state[1]
            self.state[1] = 0
        return -(-now_ns // self.step_ns) * self.step_ns

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        """At once."""
        self.state[0], self.state[1] = took_ns, now_ns
        return now_ns

    def steady(self) -> Steady | None:
        """Any work that ends within the same environment step gives the same next start."""
        busy, unfinished = self.state
        if unfinished or not busy:
            return None
        period = -(-busy // self.step_ns) * self.step_ns
        return Steady(period, 0, period - self.step_ns + 1, period)


class OneProcess(Limited):
    """One process: step-aligned inferences under `sequential`, back-to-back ticks under `pipelined`.

    Under `instant` no time passes and no clock asks a scheduler. Learning, if any, goes on beside it. Source: the
    sequential and parallel schemes of Handling Delay, Section 3; with one asynchronous process, Staggered Asynchronous
    Inference, Remark 1.
    """

    name = "one-process"
    executions = ("instant", "sequential", "pipelined")
    alone = True

    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """Back to back, or from observation to observation."""
        return FreeRunning(step_ns) if execution == "pipelined" else Aligned(step_ns)
