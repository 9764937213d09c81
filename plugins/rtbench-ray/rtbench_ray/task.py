"""What runs on a node: rtbench's local runner with one job, under leases on the state.

Ray cancels a task by what Ctrl-C does in its process, and ends a process by SIGTERM: the runner hears both, checkpoints
and returns. A process that is killed leaves a checkpoint, and a lease that another runner takes over.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import Any

SEEN_S = 10.0
"""How long a node may take to see what was written elsewhere: NFS keeps what it knows of a folder for a while."""


@dataclass(frozen=True)
class Task:
    """A job (as JSON) in the state of this name; `mark` is a key that is in it, `version` is that of rtbench."""

    state: str
    mark: str
    version: str
    job: dict[str, Any]
    threads: int
    retries: int
    wait: bool


@dataclass(frozen=True)
class Ended:
    """How it ended on its node: the events but for progress, whether it was asked to stop, why it did not begin."""

    node: str
    events: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False
    refused: str = ""
    hint: str = ""


def carry_out(task: Task) -> Ended:
    """Do it, on whatever machine this is."""
    import rtbench

    node = socket.gethostname()
    if rtbench.__version__ != task.version:
        words = f"it has rtbench {rtbench.__version__}, and {task.version} hands the runs over"
        return Ended(node, refused=words, hint="install the same versions on every node")
    if not _shared(task):
        words = f"the state {task.state} is another one there"
        return Ended(node, refused=words, hint="--state: a folder that all nodes mount at the same place, or a bucket")
    return _run(task, node)


def _run(task: Task, node: str) -> Ended:
    from rtbench.executors.jobs import Job
    from rtbench.executors.local import Local, Params
    from rtbench.executors.stopping import Stopping
    from rtbench.results.places import state_from

    events: list[dict[str, Any]] = []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] != "progress":  # how far it is stands in the state
            events.append(event)

    params = Params(jobs=1, threads=task.threads, retries=task.retries, wait=task.wait)
    execution = Local(params).make(state_from(task.state), tell)
    with Stopping() as early:  # whoever is asked before its runner listens has nothing to checkpoint yet
        stopped = bool(early) or execution.run([Job.from_json(task.job)])
    return Ended(node, events, bool(stopped))


def _shared(task: Task) -> bool:
    """Whether the state is that of the runner: its mark is in it."""
    from rtbench.results.places import open_store, state_from

    store = open_store(state_from(task.state))
    until = time.monotonic() + SEEN_S
    while True:
        try:
            store.read(task.mark)
        except KeyError:
            if time.monotonic() > until:
                return False
            time.sleep(0.5)
        else:
            return True
