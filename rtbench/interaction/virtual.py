"""The virtual clock: a deterministic discrete-event simulation of inference processes, as fast as the machine goes.

Events of one instant are taken in the order finish, register, idle, start, ties by process; the observation of that
instant has been emitted before them and its action is applied after them. As long as a scheduler keeps a steady
rhythm, rounds of all processes are computed as arrays; the first inference that breaks the rhythm is left to the event
heap, so both ways give the same timeline.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtbench.errors import SuiteError
from rtbench.interaction.exploration import Exploration
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timeline import NEVER, Timeline
from rtbench.schedulers.base import SchedulerState, Steady

_FINISH, _REGISTER, _IDLE, _START = 0, 1, 2, 3
_BLOCK = 1 << 16
"""Inferences computed in one array at most."""
_STRETCH_STEPS = 1 << 16
"""Environment steps simulated before what is past is forgotten."""

_Event = tuple[int, int, int, int]
"""(time in ns, kind, process, index of the inference or −1)."""


class _Stream(Protocol):
    def draw_block(self, process: int, count: int) -> NDArray[Any]: ...


class Draws:
    """Draws of every process, buffered so that they can be looked at before they are used."""

    def __init__(self, stream: _Stream, processes: int) -> None:
        self._stream = stream
        self._rows = [stream.draw_block(process, 0) for process in range(processes)]
        self._used = [0] * processes
        self._size = [32] * processes

    def take(self, process: int) -> Any:
        """The next draw of a process."""
        used = self._used[process]
        if used == len(self._rows[process]):
            self._more(process, 1)
            used = 0
        self._used[process] = used + 1
        return self._rows[process][used].item()

    def peek(self, processes: NDArray[np.intp], count: int) -> NDArray[Any]:
        """The next `count` draws of these processes, unused. Shape (count, len(processes))."""
        out = np.empty((count, len(processes)), dtype=self._rows[0].dtype)
        for column, process in enumerate(processes.tolist()):
            if len(self._rows[process]) - self._used[process] < count:
                self._more(process, count)
            used = self._used[process]
            out[:, column] = self._rows[process][used : used + count]
        return out

    def use(self, counts: NDArray[np.intp]) -> None:
        """Mark so many draws of each process as used."""
        for process, count in enumerate(counts.tolist()):
            self._used[process] += count

    def _more(self, process: int, count: int) -> None:
        self._size[process] = min(2 * self._size[process], 4096)
        fresh = self._stream.draw_block(process, max(count, self._size[process]))
        rest = self._rows[process][self._used[process] :]
        self._rows[process] = np.concatenate([rest, fresh]) if len(rest) else fresh
        self._used[process] = 0


class VirtualClock:
    """Simulates a scheduler's processes under an integer-nanosecond clock, as far as it is asked to.

    `sensor_ns` is the time from an observation's emission until it can be read, `actuator_ns` from an action's
    registration until it can act. `late(process)` gives how many ns too late a process wakes from a sleep (none by
    default); `learning` the time of one update, drawn once per inference, where the scheduler says that a process
    learns. `fresh` makes every timeline its counterfactual of age 0. The result is the same whether the clock is
    extended at once or in pieces.
    """

    def __init__(
        self,
        scheduler: SchedulerState,
        latency: LatencyModel,
        *,
        step_ns: int,
        sensor_ns: int = 0,
        actuator_ns: int = 0,
        late: Callable[[int], int] | None = None,
        exploration: Exploration | None = None,
        learning: LatencyModel | None = None,
        fresh: bool = False,
    ) -> None:
        if step_ns < 1 or scheduler.step_ns != step_ns:
            raise SuiteError(f"the clock's step of {step_ns} ns is not the scheduler's of {scheduler.step_ns} ns")
        if sensor_ns < 0 or actuator_ns < 0:
            raise SuiteError(f"latencies cannot be negative: sensor {sensor_ns} ns, actuator {actuator_ns} ns")
        self._scheduler, self._exploration, self._late = scheduler, exploration, late
        self._step_ns, self._sensor_ns, self._actuator_ns = step_ns, sensor_ns, actuator_ns
        self._fresh = fresh
        self._times = Draws(latency, scheduler.processes)
        self._coins = Draws(exploration, scheduler.processes) if exploration else None
        learns = bool(learning and scheduler.learns)
        self._updates = Draws(learning, scheduler.processes) if learning and learns else None
        self._learns_after = learns and scheduler.learns == "after"
        self._process, self._started, self._finished = array("q"), array("q"), array("q")
        self._registered, self._busy, self._random = array("q"), array("q"), array("b")
        self._horizon_ns = 0
        self._heap: list[_Event] = [
            (self._awake(scheduler.start(process, 0), 0, process), _START, process, -1)
            for process in range(scheduler.processes)
        ]
        heapq.heapify(self._heap)

    def extend(self, steps: int) -> None:
        """Simulate on until everything that happens before the end of environment step `steps` − 1 is known."""
        horizon_ns = self._horizon_ns = max(self._horizon_ns, steps * self._step_ns)
        patience = shortest = 4 * self._scheduler.processes
        while self._heap[0][0] < horizon_ns:
            if self._late is None and self._block(horizon_ns):
                patience = shortest
                continue
            # a scheduler that is not steady now is asked again later, ever more rarely if it never is
            self._events(horizon_ns, patience)
            patience = min(2 * patience, 16 * shortest + 4096)

    def timeline(self, steps: int, resets: Sequence[int] = ()) -> Timeline:
        """The first `steps` environment steps, simulated on if need be; `resets` as in `Timeline.with_resets`."""
        self.extend(steps)
        line = self._line(0, steps).with_resets(resets)
        return line.fresh() if self._fresh else line

    def window(self, first: int, steps: int) -> Timeline:
        """Environment steps `first` to `steps` − 1, counted from `first`, with the inferences that start in them.

        What started earlier is forgotten: a run that goes on for good needs no more memory than its window. Later
        windows begin at `first` or after it. Observations read before `first` have negative numbers.
        """
        while (reached := self._horizon_ns // self._step_ns) < steps:
            self.extend(min(steps, reached + _STRETCH_STEPS))
            self._forget(first)
        self._forget(first)
        return self._line(first, steps)

    def _line(self, first: int, steps: int) -> Timeline:
        """Steps from `first` on, counted from it, and what starts in them."""
        begin_ns, horizon_ns = first * self._step_ns, steps * self._step_ns
        kept = slice(bisect_left(self._started, begin_ns), bisect_left(self._started, horizon_ns))
        started, registered = _copy(self._started, kept), _copy(self._registered, kept)
        return Timeline(
            steps=steps - first,
            step_ns=self._step_ns,
            process=_copy(self._process, kept),
            started_ns=started - begin_ns,
            read_step=np.maximum((started - self._sensor_ns) // self._step_ns, 0) - first,
            finished_ns=_copy(self._finished, kept) - begin_ns,
            registered_ns=np.where(registered < horizon_ns, registered - begin_ns, NEVER),
            random=np.frombuffer(self._random, dtype=np.bool_)[kept].copy(),
            chunk=self._scheduler.chunk,
        )

    def _forget(self, first: int) -> None:
        """Drop inferences that started before a step, up to the first one under way."""
        under_way = [index for *_, index in self._heap if index >= 0]
        count = min([bisect_left(self._started, first * self._step_ns), *under_way])
        for column in (self._process, self._started, self._finished, self._registered, self._busy, self._random):
            del column[:count]
        # No two events are of one process: they stay in order.
        self._heap = [(at, kind, who, index - count if index >= 0 else index) for at, kind, who, index in self._heap]

    def _events(self, horizon_ns: int, limit: int) -> None:
        """Take at most `limit` events from the heap, one at a time."""
        heap, scheduler = self._heap, self._scheduler
        for _ in range(limit):
            now, kind, process, index = heap[0]
            if now >= horizon_ns:
                return
            if kind == _START:
                heapq.heapreplace(heap, (self._begin(process, now), _FINISH, process, len(self._started) - 1))
            elif kind == _FINISH:
                at = self._awake(scheduler.register(process, now, now - self._started[index]), now, process)
                heapq.heapreplace(heap, (at, _REGISTER, process, index))
            elif kind == _REGISTER and self._learns_after:
                self._registered[index] = now + self._actuator_ns
                over = now + self._started[index] + self._busy[index] - self._finished[index]
                heapq.heapreplace(heap, (over, _IDLE, process, index))
            else:
                if kind == _REGISTER:
                    self._registered[index] = now + self._actuator_ns
                heapq.heapreplace(heap, (self._awake(scheduler.start(process, now), now, process), _START, process, -1))

    def _awake(self, planned_ns: int, now_ns: int, process: int) -> int:
        return planned_ns + self._late(process) if self._late and planned_ns > now_ns else planned_ns

    def _begin(self, process: int, now_ns: int) -> int:
        """Record an inference that starts now; the time it will finish."""
        took: int = self._times.take(process)
        is_random = False
        if self._exploration and self._coins:
            is_random = self._exploration.is_random(self._coins.take(process), now_ns // self._step_ns)
            if is_random and self._exploration.random_ns:
                took = self._exploration.random_ns
        busy = took + self._updates.take(process) if self._updates else took
        took = took if self._learns_after else busy
        self._process.append(process)
        self._started.append(now_ns)
        self._finished.append(now_ns + took)
        self._registered.append(NEVER)
        self._busy.append(busy)
        self._random.append(is_random)
        return now_ns + took

    def _block(self, horizon_ns: int) -> int:
        """Compute inferences in the scheduler's steady rhythm; how many, 0 if it is not in one."""
        rhythm = self._scheduler.steady()
        following = self._following(rhythm) if rhythm else None
        if rhythm is None or following is None:
            return 0
        order = np.argsort(following, kind="stable")
        first = following[order]
        rounds = min(_BLOCK // len(order) + 1, -(-(horizon_ns - int(first[0])) // rhythm.period_ns))
        if rounds < 1:
            return 0
        started = (first + rhythm.period_ns * np.arange(rounds, dtype=np.int64)[:, None]).ravel()
        process = np.tile(order, rounds)
        took, busy, random = self._durations(order, rounds, started)
        if first[-1] - first[0] >= rhythm.period_ns:  # else already in order, round by round
            by_start = np.lexsort((process, started))
            started, process, random = started[by_start], process[by_start], random[by_start]
            took, busy = took[by_start], busy[by_start]
        # beyond this bound the earliest process would need one more round
        end_ns = min(horizon_ns, int(first[0]) + rounds * rhythm.period_ns)
        outside = (busy < rhythm.at_least_ns) | (busy > rhythm.at_most_ns) | (started >= end_ns)
        count = int(outside.argmax()) if outside.any() else len(started)
        if count:
            self._commit(rhythm, process[:count], started[:count], took[:count], busy[:count], random[:count])
        return count

    def _following(self, rhythm: Steady) -> NDArray[np.int64] | None:
        """When each process starts next, if every inference under way fits the rhythm. Shape (processes,)."""
        following = np.empty(self._scheduler.processes, dtype=np.int64)
        for at, kind, process, index in self._heap:
            if kind == _START:
                following[process] = at
                continue
            began, finished = self._started[index], self._finished[index]
            if not rhythm.at_least_ns <= self._busy[index] <= rhythm.at_most_ns:
                return None
            if kind == _REGISTER and at != max(finished, began + rhythm.hold_ns):
                return None  # held for an older rhythm
            following[process] = began + rhythm.period_ns
        return following

    def _durations(
        self, order: NDArray[np.intp], rounds: int, started: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Of the coming rounds, not yet used up: time to the finish, time at work, and coins. Shapes (rounds · N,)."""
        took: NDArray[np.int64] = self._times.peek(order, rounds).ravel()
        random = np.zeros(len(took), dtype=np.bool_)
        if self._exploration and self._coins:
            coins = self._coins.peek(order, rounds).ravel()
            random = self._exploration.are_random(coins, started // self._step_ns)
            took = np.where(random, self._exploration.random_ns or took, took)
        if self._updates is None:
            return took, took, random
        busy = took + self._updates.peek(order, rounds).ravel()
        return (took if self._learns_after else busy), busy, random

    def _commit(
        self,
        rhythm: Steady,
        process: NDArray[np.intp],
        started: NDArray[np.int64],
        took: NDArray[np.int64],
        busy: NDArray[np.int64],
        random: NDArray[np.bool_],
    ) -> None:
        """Append a block; of every process in it, the last inference stays under way on the heap."""
        base = len(self._started)
        finished = started + took
        counts = np.bincount(process, minlength=self._scheduler.processes)
        last = np.zeros(self._scheduler.processes, dtype=np.int64)
        last[process] = np.arange(len(process))  # of equal processes the last assignment stays
        heap = []
        for event in self._heap:
            _, kind, who, index = event
            if not counts[who]:
                heap.append(event)
                continue
            if kind != _START:
                ready = max(self._finished[index], self._started[index] + rhythm.hold_ns)
                self._registered[index] = ready + self._actuator_ns
            heap.append((int(finished[last[who]]), _FINISH, who, base + int(last[who])))
            self._scheduler.caught_up(who, int(started[last[who]]))
        self._process.frombytes(process.astype(np.int64).tobytes())
        self._started.frombytes(started.tobytes())
        self._finished.frombytes(finished.tobytes())
        self._registered.frombytes((np.maximum(finished, started + rhythm.hold_ns) + self._actuator_ns).tobytes())
        self._busy.frombytes(busy.tobytes())
        self._random.frombytes(random.astype(np.int8).tobytes())
        for draws in (self._times, self._coins, self._updates):
            if draws:
                draws.use(counts)
        heapq.heapify(heap)
        self._heap = heap


def _copy(column: array[int], kept: slice) -> NDArray[np.int64]:
    return np.frombuffer(column, dtype=np.int64)[kept].copy()
