"""Runs that an executor handed on to a queue of its own: written down in the state, so that whoever has it can ask."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from rtbench import plugins
from rtbench.errors import RtbenchError
from rtbench.parts import canonical_json
from rtbench.results.store import Store

HANDED = "handed"
Where = Literal["queued", "running", "gone", "unknown"]


@dataclass(frozen=True)
class Handed:
    """What an executor handed on at once: its queue's tasks by their names there, each with its runs."""

    executor: str
    tasks: Mapping[str, tuple[str, ...]]


class Place(NamedTuple):
    """Where a run is that was handed on; `gone` is one whose task the queue no longer has, result or not."""

    executor: str
    task: str
    where: Where
    words: str


def write(store: Store, handed: Handed) -> None:
    """Write it down; what is written later counts where runs are in several."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    store.write_new(f"{HANDED}/{now}-{uuid.uuid4().hex[:8]}.json", canonical_json(asdict(handed)).encode())


def whereabouts(store: Store, run_ids: Collection[str]) -> dict[str, Place]:
    """Where those of the runs are that were handed on, each by its latest task; executors are asked once each.

    An executor that cannot be asked, or whose queue does not answer, leaves its runs `unknown`, with the reason.
    """
    latest: dict[str, tuple[str, str]] = {}
    for key in sorted(store.list(f"{HANDED}/")):
        found = _read(store, key)
        if found is None:
            continue
        for task, runs in found.tasks.items():
            latest |= {run: (found.executor, task) for run in runs if run in run_ids}
    tasks: dict[str, set[str]] = defaultdict(set)
    for executor, task in latest.values():
        tasks[executor].add(task)
    answers = {executor: _ask(executor, sorted(wanted)) for executor, wanted in tasks.items()}
    return {run: Place(executor, task, *answers[executor][task]) for run, (executor, task) in latest.items()}


def _ask(name: str, tasks: list[str]) -> dict[str, tuple[Where, str]]:
    """What an executor's queue says of tasks; those that it does not know are gone."""
    try:
        told = plugins.build(plugins.use("executors", name)).queued(tasks)
    except RtbenchError as error:
        return dict.fromkeys(tasks, ("unknown", error.message))
    return {task: told.get(task, ("gone", "")) for task in tasks}


def _read(store: Store, key: str) -> Handed | None:
    """None where it cannot be read: what was handed on is then found by its leases and rows alone."""
    try:
        data: dict[str, Any] = json.loads(store.read(key))
        return Handed(data["executor"], {task: tuple(runs) for task, runs in data["tasks"].items()})
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
