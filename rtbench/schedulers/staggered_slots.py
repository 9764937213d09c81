"""Several processes that start at slots of an absolute time grid, so that nobody's lateness adds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtbench.errors import SuiteError
from rtbench.parts import param
from rtbench.schedulers.base import SchedulerState, Steady
from rtbench.schedulers.estimates import MAXIMUM, Estimate
from rtbench.schedulers.limits import Limited
from rtbench.units import seconds_to_ns

_GUARD_NS = 1_000_000


@dataclass(frozen=True)
class Params:
    """When a slot's inference starts, and what τ̂ is."""

    guard_s: float | None = param(
        None,
        unit="s",
        doc="from a slot's beginning until its inference starts; 1 ms if empty, at most a tenth of a step",
    )
    estimate: Literal["maximum", "window", "quantile"] = param(
        "maximum", doc="τ̂: the longest inference, or the longest or a quantile of the last ones"
    )
    inferences: int = param(200, unit="inferences", doc="how many last ones `window` and `quantile` look at")
    quantile: float = param(0.99, doc="share of the last inferences that are no longer than the estimate")


class StaggeredSlotsState(SchedulerState):
    """State: per process the start of its latest slot, and 1 if it began it in time on the present grid; then where the
    grid begins (a slot of process 0), its spacing, and the estimate. Nanoseconds.
    """

    def __init__(self, processes: int, step_ns: int, guard_ns: int, estimate: Estimate = MAXIMUM) -> None:
        super().__init__(processes, step_ns, [-1] * processes + [0] * (processes + 2 + estimate.size))
        self._guard_ns, self._estimate = guard_ns, estimate
        self._grid, self._estimated = 2 * processes, 2 * processes + 2
        self.state[self._grid + 1] = step_ns

    def start(self, process: int, now_ns: int) -> int:
        """In the process's next slot that is not over: at its start, or at once if that has passed."""
        n, state = self.processes, self.state
        spacing = state[self._grid + 1]
        first = state[self._grid] + process * spacing + self._guard_ns
        unmissed = (now_ns + self._guard_ns - spacing - first) // (n * spacing)
        untaken = (state[process] - first) // (n * spacing)
        slot = first + (1 + max(unmissed, untaken)) * n * spacing
        state[process], state[n + process] = slot, int(slot >= now_ns)
        return max(slot, now_ns)

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        """Held until the estimate has passed since the slot's start, however late its inference began."""
        state = self.state
        self._estimate.take(state, self._estimated, took_ns)
        ready = max(now_ns, state[process] + state[self._estimated])
        spacing = max(self.step_ns, -(-state[self._estimated] // self.processes))
        if spacing != state[self._grid + 1]:
            self._lay_grid(process, ready, spacing)
        return ready

    def _lay_grid(self, process: int, ready_ns: int, spacing_ns: int) -> None:
        """A grid in which this process is next, in step with the observations if its slots are one step apart."""
        n, state = self.processes, self.state
        begins = ready_ns - self._guard_ns
        if spacing_ns == self.step_ns:
            begins = -(-begins // self.step_ns) * self.step_ns
        state[self._grid], state[self._grid + 1] = begins - process * spacing_ns, spacing_ns
        for other in range(n):
            state[n + other] = 0

    def caught_up(self, process: int, started_ns: int) -> None:
        """Its latest slot is the one it started at."""
        self.state[process] = started_ns

    def steady(self) -> Steady | None:
        """Once everybody is in time on the present grid, a round of slots is the rhythm."""
        n, state = self.processes, self.state
        bounds = self._estimate.bounds(state, self._estimated)
        if bounds is None or not all(state[n : 2 * n]):
            return None
        return Steady(n * state[self._grid + 1], state[self._estimated], bounds[0], bounds[1])


class StaggeredSlots(Limited):
    """N processes on absolute slots: slot k starts at k·Δ + guard, process k mod N, Δ = max(τ_M, τ̂ / N).

    An action is held until its slot's start + τ̂, so that actions come as evenly as slots. A process that is late takes
    its slot as long as the next one has not begun, and otherwise gives it up. As starts are absolute, lateness does
    not add up as it does under relative waits. From N = ⌈τ̂ / τ_M⌉ on slots begin with the observations (the guard lets
    the observation arrive first) and every step has an action of age ⌈(guard + τ̂) / τ_M⌉; fewer processes space slots
    by τ̂ / N, and a change of τ̂ lays a new grid.

    `estimate` is `maximum` by default so that virtual suites stay comparable with Algorithm 1. On the wall clock of a
    machine with hiccups take `quantile`: one long inference raises a maximum for good (ten minutes of five real
    processes: 0.008 % of steps without an action, against 3.4 % beside heavy other work). Source: ours.
    """

    Params = Params
    name = "staggered-slots"

    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """Nothing seen yet; SuiteError for an estimate of nothing, or a guard that is no part of a step."""
        given = self.params.guard_s
        guard_ns = min(_GUARD_NS, step_ns // 10) if given is None else seconds_to_ns(given)
        if not 0 <= guard_ns < step_ns:
            raise SuiteError(
                f"the guard must be shorter than an environment step, {step_ns / 1e9:g} s",
                place="interaction.scheduler.guard_s",
                given=str(given),
            )
        estimate = Estimate(self.params.estimate, self.params.inferences, self.params.quantile)
        return StaggeredSlotsState(processes, step_ns, guard_ns, estimate)
