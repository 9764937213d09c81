"""The executor `ray/ray`: which cluster, and what of it a job is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtbench.parts import Executor, param

if TYPE_CHECKING:
    from rtbench.results.places import State

    from rtbench_ray.execution import RayExecution


@dataclass(frozen=True)
class Params:
    """A cluster, and the resources of a job on it; a job is one process with its threads, as on one machine."""

    address: str = param("auto", doc="of the cluster; auto = RAY_ADDRESS or the one on this machine; local = start one")
    cpus: float = param(0.0, unit="cores", doc="cores that a job reserves; 0 = its threads")
    gpus: float = param(0.0, unit="GPUs", doc="GPUs that a job reserves; a fraction shares one")
    memory_gib: float = param(0.0, unit="GiB", doc="memory that a job reserves; 0 = none")
    resources: str = param("", doc="resources of your own that a job reserves: big=1,rack=0.5")
    losses: int = param(10, unit="losses", doc="how often a job is sent again after its node or process was lost")
    jobs: int = param(0, unit="tasks", doc="handed to the cluster at a time; 0 = all: it starts what it has room for")
    threads: int = param(1, unit="threads", doc="threads of arithmetic per process")
    retries: int = param(1, unit="attempts", doc="further attempts after a failure, of all runners together")
    wait: bool = param(True, doc="wait for runs that other runners work on, and take over those of dead ones")


class Ray(Executor):
    """A Ray cluster: one task per job, its state in a folder or a bucket that all nodes reach."""

    Params = Params
    requires = ("ray",)
    extra = "rtbench-ray"

    def make(self, state: State, tell: Callable[[dict[str, Any]], None]) -> RayExecution:
        """An execution on the cluster, connected; RtbenchError if none answers."""
        from rtbench_ray.execution import RayExecution

        return RayExecution(state, tell, self.params)
