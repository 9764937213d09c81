"""The executor `slurm/slurm`: what may be asked of a cluster, and where its queue is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtbench.parts import Executor, param

if TYPE_CHECKING:
    from rtbench.results.places import State

    from rtbench_slurm.execution import SlurmExecution


@dataclass(frozen=True)
class Params:
    """What a task of an array asks the cluster for, and how runs are laid into tasks."""

    jobs: int = param(0, unit="processes", doc="processes at a time in a task of an array; 0 = one")
    threads: int = param(1, unit="threads", doc="threads of arithmetic per process")
    retries: int = param(1, unit="attempts", doc="further attempts after a failure, of all runners together")
    wait: bool = param(True, doc="in a task, wait for runs that other runners work on")
    jobs_per_task: int = param(0, unit="processes", doc="processes that a task does in all; 0 = as many as at a time")
    array_parallelism: int = param(256, unit="tasks", doc="tasks of an array that may run at a time")
    array_size: int = param(1000, unit="tasks", doc="tasks in an array; the cluster's MaxArraySize is the limit")
    partition: str = param("", doc="partition; empty = the cluster's default")
    account: str = param("", doc="account that is charged")
    qos: str = param("", doc="quality of service")
    constraint: str = param("", doc="features of nodes, so that results come from one class of machine")
    time: str = param(
        "4h", unit="duration", doc="a task's time limit in whole minutes, e.g. 30min; it continues after it"
    )
    stop_before: str = param("90s", unit="duration", doc="how long before the limit it is asked to checkpoint")
    requeues: int = param(100, unit="times", doc="how often a task may continue after its time limit")
    gpus: int = param(0, unit="GPUs", doc="GPUs per task")
    memory: str = param("", doc="of a task, as sbatch --mem takes it, e.g. 8G")
    exclusive: bool = param(False, doc="no other job on the node; runs on the wall clock have it always")
    setup: str = param("", doc="a line of shell before the task, e.g. module load gcc")
    sbatch: str = param("", doc="further options of sbatch: reservation=mine,nice=100")
    python: str = param("", doc="the Python on the nodes; empty = the one of this process, at the same path")
    folder: str = param("", doc="where tasks and their logs lie, on a file system of all nodes; empty = STATE/slurm")
    follow: bool = param(False, doc="stay, and tell of runs, until the queue has none of them any more")
    poll_s: float = param(10.0, unit="s", doc="pause between two questions to the queue while following")


class Slurm(Executor):
    """A SLURM cluster: runs are handed over as job arrays, each task a runner under leases on the shared state.

    `squeue` and `sbatch` are the cluster's; a task that reaches its time limit checkpoints and is requeued.
    """

    Params = Params
    requires = ("submitit",)
    extra = "rtbench-slurm"

    def make(self, state: State, tell: Callable[[dict[str, Any]], None]) -> SlurmExecution:
        """An execution with its state where all nodes reach it, telling events as they come."""
        from rtbench_slurm.execution import SlurmExecution

        return SlurmExecution(state, tell, self.params)

    def queued(self, tasks: Sequence[str]) -> Mapping[str, tuple[Literal["queued", "running"], str]]:
        """Of these tasks, those the queue has: with the reason they wait for, or the node they run on."""
        from rtbench_slurm.queue import queued

        return queued(tasks)
