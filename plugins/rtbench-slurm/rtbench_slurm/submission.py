"""Jobs as tasks of arrays, and arrays as submitit hands them to `sbatch`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rtbench.errors import RtbenchError, SuiteError
from rtbench.executors.jobs import Job
from rtbench.units import NANOSECONDS, parse_duration_ns

from rtbench_slurm.task import LIMIT, Task

if TYPE_CHECKING:
    from rtbench_slurm.executor import Params

_T = TypeVar("_T")
SHORTEST_STOP_S = 15
"""Less than the local runner may need to let its workers checkpoint, and SLURM's own clock is that coarse."""


@dataclass(frozen=True)
class Array:
    """Tasks that are submitted together, each some jobs; `alone` where nothing else may run on the node."""

    tasks: tuple[tuple[Job, ...], ...]
    alone: bool


def arrays(jobs: Sequence[Job], params: Params) -> list[Array]:
    """Jobs in arrays: `jobs_per_task` in a task, those on the wall clock one by one and with a node to themselves."""
    at_once = params.jobs or 1
    found: list[Array] = []
    for alone, per_task in ((False, params.jobs_per_task or at_once), (True, 1)):
        chosen = [job for job in jobs if job.alone == alone]
        tasks = list(_pieces(chosen, per_task))
        found += [Array(tuple(some), alone) for some in _pieces(tasks, params.array_size)]
    return found


def submit(array: Array, state: str, folder: Path, params: Params) -> list[str]:
    """Hand an array to SLURM; its tasks' names there. RtbenchError with sbatch's words if it refuses."""
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = LIMIT.name.removeprefix("SIG")  # read when it is imported
    import submitit
    from submitit.core.utils import FailedJobError

    tasks = [_task(jobs, state, params) for jobs in array.tasks]
    executor = submitit.SlurmExecutor(folder=folder, python=params.python or None)
    executor.update_parameters(**resources(array, params))
    try:
        with executor.batch():
            handed = [executor.submit(task) for task in tasks]
        return [job.job_id for job in handed]
    except FailedJobError as error:
        said = str(error).strip().splitlines()
        raise RtbenchError(f"sbatch refuses the array: {said[-1] if said else error}", place=str(folder)) from None


def resources(array: Array, params: Params) -> dict[str, Any]:
    """What sbatch is asked for, in submitit's words; what is empty is left to the cluster."""
    further: dict[str, Any] = {"requeue": True, **_further(params.sbatch)}
    if params.memory:
        further["mem"] = params.memory
    asked: dict[str, Any] = {
        "job_name": f"rtbench-{array.tasks[0][0].suite}",
        "time": minutes(params.time),
        "signal_delay_s": stop_before_s(params),
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": (1 if array.alone else params.jobs or 1) * params.threads,
        # The step has all cores of the job, and the system lays the runner's processes on them.
        "srun_args": ["--cpu-bind=none"],
        "array_parallelism": params.array_parallelism,
        "exclusive": array.alone or params.exclusive or None,
        "gpus_per_node": params.gpus or None,
        "setup": [params.setup] if params.setup else None,
        "wckey": None,
        "additional_parameters": further,
    }
    named = {key: getattr(params, key) or None for key in ("partition", "account", "qos", "constraint")}
    return {key: value for key, value in (asked | named).items() if value is not None or key == "wckey"}


def check(params: Params) -> None:
    """SuiteError for what no cluster can be asked."""
    for name, least in (("jobs", 0), ("jobs_per_task", 0), ("array_parallelism", 1), ("array_size", 1), ("gpus", 0)):
        if getattr(params, name) < least:
            raise SuiteError(f"{name} must be at least {least}, got {getattr(params, name)}", place=_option(name))
    _further(params.sbatch)
    if stop_before_s(params) >= minutes(params.time) * 60:
        raise SuiteError(
            f"a task of {params.time} that is asked to stop {params.stop_before} before its limit does nothing",
            place=_option("stop_before"),
            hint="a longer --time, or a shorter --stop-before",
        )
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise SuiteError(
            "sbatch and srun are not on the PATH here", place="--executor slurm", hint="run it on a login node"
        )


def minutes(time: str) -> int:
    """A time limit in whole minutes, rounded up."""
    return -(-parse_duration_ns(time, place=_option("time")) // NANOSECONDS["min"])


def stop_before_s(params: Params) -> int:
    """How long before its limit a task is asked to stop, in whole seconds."""
    seconds = -(-parse_duration_ns(params.stop_before, place=_option("stop_before")) // NANOSECONDS["s"])
    if seconds < SHORTEST_STOP_S:
        raise SuiteError(
            f"{params.stop_before} is too short to checkpoint in", place=_option("stop_before"), hint="at least 15s"
        )
    return seconds


def _task(jobs: Sequence[Job], state: str, params: Params) -> Task:
    return Task(
        state,
        tuple(job.to_json() for job in jobs),
        at_once=params.jobs or 1,
        threads=params.threads,
        retries=params.retries,
        wait=params.wait,
        requeues=params.requeues,
    )


def _further(text: str) -> dict[str, str | bool]:
    """`reservation=mine,nice=100` as options; a word alone is one without a value."""
    found: dict[str, str | bool] = {}
    for option in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = option.partition("=")
        if not name.strip("-"):
            raise SuiteError(f"not an option of sbatch: {option!r}", place="--sbatch", hint="reservation=mine,nice=100")
        found[name.strip().lstrip("-")] = value if equals else True
    return found


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _pieces(values: Sequence[_T], size: int) -> Iterator[tuple[_T, ...]]:
    return (tuple(values[begin : begin + size]) for begin in range(0, len(values), size))
