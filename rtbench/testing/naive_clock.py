"""A plain event loop around a scheduler: one event at a time, nothing computed in blocks."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple

from rtbench.errors import RtbenchError
from rtbench.schedulers.base import SchedulerState

_FINISH, _REGISTER, _IDLE, _START = range(4)


class Inference(NamedTuple):
    """When an inference started, by which process, when it finished, from when its action may be used (None: later)."""

    started_ns: int
    process: int
    finished_ns: int
    registered_ns: int | None


def simulated(
    scheduler: SchedulerState,
    took_ns: Callable[[int], int],
    horizon_ns: int,
    update_ns: Callable[[int], int] | None = None,
) -> list[Inference]:
    """Every inference begun before the horizon; `took_ns(process)` and `update_ns(process)` are drawn once for each.

    RtbenchError if the scheduler sends a process into the past, or more events happen than any scheduler needs.
    """
    events = [(_later(scheduler.start(p, 0), 0), _START, p, -1) for p in range(scheduler.processes)]
    heapq.heapify(events)
    table: list[Inference] = []
    updates: list[int] = []
    while events[0][0] < horizon_ns:
        now, kind, process, index = heapq.heappop(events)
        if kind == _START:
            took = took_ns(process)
            update = update_ns(process) if update_ns and scheduler.learns else 0
            if scheduler.learns == "before":
                took, update = took + update, 0
            table.append(Inference(now, process, now + took, None))
            updates.append(update)
            at, kind, index = now + took, _FINISH, len(table) - 1
        elif kind == _FINISH:
            at = _later(scheduler.register(process, now, now - table[index].started_ns), now)
            kind = _REGISTER
        elif kind == _REGISTER:
            table[index] = table[index]._replace(registered_ns=now)
            at, kind = now + updates[index], _IDLE
        else:
            at, kind = _later(scheduler.start(process, now), now), _START
        heapq.heappush(events, (at, kind, process, index))
    return table


def _later(at_ns: int, now_ns: int) -> int:
    if at_ns < now_ns:
        raise RtbenchError(f"the scheduler answers {at_ns} ns at {now_ns} ns: nothing happens in the past")
    return at_ns
