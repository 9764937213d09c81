"""What `rtbench status` says of runs that an executor handed on to a queue of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtbench.executors.handed import Place
    from rtbench.executors.planning import PlannedRun


def still_open(planned: Iterable[PlannedRun], places: Mapping[str, Place]) -> dict[str, Place]:
    """Of the runs that were handed on, those that are queued or running, and those without a result that are not."""
    states = {run.run_id: run.state for run in planned}
    return {
        run: place
        for run, place in places.items()
        if place.where in ("queued", "running") or states[run] in ("missing", "interrupted")
    }


def data(places: Mapping[str, Place]) -> list[dict[str, Any]]:
    """For JSON."""
    return [{"run_id": run, **place._asdict()} for run, place in places.items()]


def lines(places: Mapping[str, Place], again: str) -> list[str]:
    """For people: how many runs are where, for what reason; `again` is the command that hands the lost ones on anew."""
    found = Counter((place.executor.rpartition("/")[2], place.where, place.words) for place in places.values())
    hints = {"gone": f"not in the queue any more, and without a result; {again} hands them on again"}
    return [
        f"{executor}: {count} {where}" + (f" ({about})" if (about := words or hints.get(where, "")) else "")
        for (executor, where, words), count in sorted(found.items())
    ]
