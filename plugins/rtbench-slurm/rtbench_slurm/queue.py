"""What SLURM's queue says of tasks, through `squeue`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from typing import Literal

from rtbench.errors import RtbenchError

_ANSWER_S = 60.0
_UNKNOWN = "Invalid job id"
"""What squeue says where none of the jobs it is asked for is left."""
_GOING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING"}
_OVER = {
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "BOOT_FAIL",
    "DEADLINE",
    "OUT_OF_MEMORY",
    "REVOKED",
}


def queued(tasks: Iterable[str]) -> dict[str, tuple[Literal["queued", "running"], str]]:
    """Of tasks (`123_4`; `123` alone is no array's), those that wait or run, each with the reason or the node."""
    wanted = set(tasks)
    jobs = sorted({task.partition("_")[0] for task in wanted})
    if not jobs:
        return {}
    said = _ask(["squeue", "--noheader", "--array", "--format", "%i|%T|%r|%N", "--jobs", ",".join(jobs)])
    found: dict[str, tuple[Literal["queued", "running"], str]] = {}
    for line in said.splitlines():
        task, state, reason, node = line.strip().split("|", 3)
        if task in wanted and state not in _OVER:
            found[task] = ("running", node) if state in _GOING else ("queued", reason)
    return found


def _ask(command: list[str]) -> str:
    """What it prints; nothing where it knows none of the jobs. RtbenchError if the cluster does not answer."""
    if shutil.which(command[0]) is None:
        raise RtbenchError(f"{command[0]} is not on the PATH here", hint="ask from a machine of the cluster")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ANSWER_S)
    except subprocess.TimeoutExpired:
        raise RtbenchError(f"{command[0]} did not answer within {_ANSWER_S:g} s") from None
    if done.returncode and _UNKNOWN not in done.stderr:
        raise RtbenchError(f"{command[0]} does not answer: {done.stderr.strip() or done.returncode}")
    return "" if done.returncode else done.stdout
