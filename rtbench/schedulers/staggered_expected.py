"""Several processes spread evenly over the mean inference time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from rtbench.errors import SuiteError
from rtbench.parts import param
from rtbench.schedulers.base import SchedulerState
from rtbench.schedulers.limits import Limited
from rtbench.units import seconds_to_ns

_SUM, _COUNT, _MOVED, _MOMENT, _SHRUNK, _HEAD = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Params:
    """How Algorithm 2 is read where it leaves a choice, or seems misprinted."""

    negative_factor: Literal["printed", "mirrored"] = param(
        "printed", doc="a falling mean lays (N − 1)·dist·|d|/N on the others, or (N − dist)·|d|/N"
    )
    initial_mean: Literal["first-sample", "zero-sample", "given"] = param(
        "first-sample", doc="the mean begins with the first inference, as published; with a zero that counts; as given"
    )
    given_mean_s: float = param(0.0, unit="s", doc="the mean to begin with, counted as one inference, where given")


class StaggeredExpectedState(SchedulerState):
    """What process j has to wait is a sum over all movements of the mean, kept so that each costs O(1).

    A movement of weight w by process i lays w · ((i − j) mod N) / N on j, that is w·(i − j) + w·N·[i < j] over N.
    State: sum and number of the inference times, Σw, Σw·i, Σ of the mirrored falls; then per process Σw, its mirrored
    falls, and N times the nanoseconds it has waited so far.
    """

    paced_by: ClassVar[Literal["longest", "mean"]] = "mean"

    def __init__(self, processes: int, step_ns: int, mirrored: bool = False, count: int = 0, mean_ns: int = 0) -> None:
        super().__init__(processes, step_ns, [0] * (_HEAD + 3 * processes))
        self._mirrored = mirrored
        self.state[_SUM], self.state[_COUNT] = mean_ns, count
        if mean_ns:
            self._lay(0, mean_ns)

    def start(self, process: int, now_ns: int) -> int:
        """After the wait that others have laid on this process, which is thereby spent."""
        n, state = self.processes, self.state
        laid = state[_MOMENT] - process * state[_MOVED] + n * sum(state[_HEAD : _HEAD + process])
        laid += n * (state[_SHRUNK] - state[_HEAD + n + process])
        wait = (laid - state[_HEAD + 2 * n + process]) // n
        state[_HEAD + 2 * n + process] += wait * n
        return int(now_ns + wait)

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        """At once; the mean (rounded down to a nanosecond) moves by d, and the other processes with it.

        d ≥ 0: wait_j += dist(j, i)·d / N; d < 0: wait_j += (N − 1)·dist(j, i)·|d| / N, or (N − dist(j, i))·|d| / N
        mirrored; dist(j, i) = (i − j) mod N.
        """
        state = self.state
        before = state[_SUM] // state[_COUNT] if state[_COUNT] else 0
        state[_SUM] += took_ns
        state[_COUNT] += 1
        moved = state[_SUM] // state[_COUNT] - before
        if moved > 0:
            self._lay(process, moved)
        elif moved and self._mirrored:
            self._lay(process, moved)
            state[_SHRUNK] -= moved
            state[_HEAD + self.processes + process] -= moved
        elif moved:
            self._lay(process, (self.processes - 1) * -moved)
        return now_ns

    def _lay(self, process: int, weight: int) -> None:
        self.state[_MOVED] += weight
        self.state[_MOMENT] += weight * process
        self.state[_HEAD + process] += weight


class StaggeredExpected(Limited):
    """N processes staggered by the mean inference time (Staggered Asynchronous Inference, Algorithm 2, Appendix A).

    Nobody waits for a maximum; when the mean moves the others wait a share of the movement. The mean interval between
    actions settles at τ̄ / N, but phases are moved once and never restored: intervals vary with τ_θ, actions overwrite
    each other, and steps lack one even from N = ⌈τ̄ / τ_M⌉ on. The printed factor for a falling mean reads like a
    misprint of the mirrored one and settles far more slowly; both agree once the mean no longer moves. A zero that
    counts as the mean's first sample spreads the first movement over several processes, which leaves them bunched.
    As under `staggered-max`, what is laid on a process while it sleeps is kept, not forgotten.
    """

    Params = Params
    name = "staggered-expected"

    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """Nothing seen yet; SuiteError for a mean that is asked for and not given."""
        how, given_ns = self.params.initial_mean, seconds_to_ns(self.params.given_mean_s)
        if (how == "given") != (given_ns > 0):
            raise SuiteError(
                'a mean to begin with takes initial_mean = "given" and given_mean_s > 0 together',
                place="interaction.scheduler",
                given=f"initial_mean = {how!r}, given_mean_s = {self.params.given_mean_s}",
            )
        count = 0 if how == "first-sample" else 1
        return StaggeredExpectedState(processes, step_ns, self.params.negative_factor == "mirrored", count, given_ns)
