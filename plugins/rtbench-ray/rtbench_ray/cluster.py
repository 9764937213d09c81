"""A cluster as the runner sees it: tasks go in, and come back done, lost or cancelled."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtbench.errors import RtbenchError, SuiteError

from rtbench_ray.task import Ended, Task, carry_out

if TYPE_CHECKING:
    from rtbench_ray.executor import Params

PLACE = "--executor ray"
GIB = 1 << 30


@dataclass(frozen=True)
class Lost:
    """A task whose node or process is gone, in words."""

    reason: str


class Cancelled:
    """A task that was cancelled, before it began or while it ran."""


class Cluster:
    """A connection to a Ray cluster, its own unless the program had one already."""

    def __init__(self, params: Params) -> None:
        self._wanted = _wanted(params)
        self._ours = _connect(params.address)

    @property
    def slots(self) -> int:
        """How many jobs the nodes that are there now have room for."""
        return max(1, sum(_room(node, self._wanted) for node in _nodes()))

    def missing(self) -> str:
        """What of a job's resources no node has now, in words; a cluster that grows by itself may get it yet."""
        if any(_room(node, self._wanted) for node in _nodes()):
            return ""
        return ", ".join(f"{name} {amount:g}" for name, amount in self._wanted.items())

    def send(self, task: Task, title: str, *, alone: bool = False) -> Any:
        """Hand a task over; one that wants to be `alone` gets all cores of a node."""
        import ray

        wanted = dict(self._wanted)
        if alone:
            wanted["CPU"] = max([wanted["CPU"], *(node.get("CPU", 0.0) for node in _nodes())])
        options = {"num_cpus": wanted.pop("CPU"), "num_gpus": wanted.pop("GPU", 0)}
        if memory := wanted.pop("memory", None):
            options["memory"] = memory
        # Ray's own retries would begin again in silence; lost tasks are told of, and sent again by the runner.
        remote = ray.remote(carry_out).options(**options, resources=wanted, max_retries=0, name=title)
        return remote.remote(task)

    def ready(self, tasks: Sequence[Any], timeout_s: float) -> list[Any]:
        """Those that are over, within a time."""
        import ray

        found: list[Any] = ray.wait(list(tasks), num_returns=1, timeout=timeout_s)[0]
        if found:
            found = ray.wait(list(tasks), num_returns=len(tasks), timeout=0)[0]
        return found

    def result(self, task: Any) -> Ended | Lost | Cancelled:
        """What became of one that is over; RtbenchError if it cannot run there at all."""
        import ray
        from ray import exceptions

        gone = (
            exceptions.NodeDiedError,
            exceptions.WorkerCrashedError,
            exceptions.LocalRayletDiedError,
            exceptions.ObjectLostError,
            exceptions.OutOfMemoryError,
        )
        try:
            ended: Ended = ray.get(task)
        except exceptions.TaskCancelledError:
            return Cancelled()
        except gone as error:
            return Lost(_WORDS.get(type(error).__name__, "its process on the cluster was lost"))
        except exceptions.RayError as error:
            raise RtbenchError(
                f"a node cannot run a task: {_last_line(error)}",
                place=PLACE,
                hint="rtbench-ray and the plugins of the suite must be installed on every node, in the same versions",
            ) from error
        return ended

    def cancel(self, tasks: Sequence[Any], *, force: bool = False) -> None:
        """Ask tasks to stop, or kill them."""
        import ray

        for task in tasks:
            ray.cancel(task, force=force)

    def close(self) -> None:
        """Hang up; a cluster that was started for this ends."""
        import ray

        if self._ours:
            ray.shutdown()


_WORDS = {
    "NodeDiedError": "its node was lost",
    "LocalRayletDiedError": "its node was lost",
    "OutOfMemoryError": "Ray killed its process because the node was out of memory (--memory-gib reserves some)",
    "WorkerCrashedError": "its process was killed",
}


def _connect(address: str) -> bool:
    """Whether this made a connection; RtbenchError if no cluster answers."""
    import ray

    if ray.is_initialized():
        return False
    more: dict[str, Any] = {}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what rtbench starts itself reports to nobody
        more = {"include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **more)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RtbenchError(
            f"no Ray cluster answers: {_last_line(error)}",
            place="--address",
            given=address,
            hint="ray start --head on one machine, ray start --address=… on the others, RAY_AUTH_MODE=token everywhere "
            "if it wants one; or --address local",
        ) from None
    return True


def _wanted(params: Params) -> dict[str, float]:
    """What a job reserves, by Ray's names."""
    for name in ("cpus", "gpus", "memory_gib", "losses", "jobs"):
        if getattr(params, name) < 0:
            place = f"--{name.replace('_', '-')}"
            raise SuiteError(f"{place} must be at least 0, got {getattr(params, name)}", place=place)
    wanted = {"CPU": float(params.cpus or params.threads)}
    wanted |= {"GPU": params.gpus} if params.gpus else {}
    wanted |= {"memory": params.memory_gib * GIB} if params.memory_gib else {}
    return wanted | _own(params.resources)


def _own(text: str) -> dict[str, float]:
    """`big=1,rack=0.5`."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = part.partition("=")
        try:
            found[name.strip()] = float(amount)
        except ValueError:
            found[name.strip()] = math.nan
        if not found[name.strip()] > 0 or name.strip() in ("", "CPU", "GPU", "memory"):
            raise SuiteError(
                f"not a resource with an amount: {part!r}", place="--resources", given=text, hint="big=1,rack=0.5"
            )
    return found


def _nodes() -> list[Mapping[str, float]]:
    """The resources of every node that lives."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def _room(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    """For how many jobs a node has room when it is empty."""
    return min(int(node.get(name, 0.0) / amount + 1e-9) for name, amount in wanted.items())


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
