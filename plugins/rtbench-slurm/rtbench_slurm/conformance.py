"""What `rtbench plugins check rtbench-slurm` checks: the executor on the cluster this machine belongs to."""

from __future__ import annotations

from typing import Any, ClassVar

from rtbench.errors import RtbenchError
from rtbench.testing import ExecutorConformance, NotApplicable

from rtbench_slurm.queue import queued


class SlurmChecks(ExecutorConformance):
    """Three small jobs through the queue, followed to their ends; TMPDIR is to be a folder that all nodes share."""

    name = "slurm/slurm"
    params: ClassVar[dict[str, Any]] = {"follow": True, "poll_s": 0.5, "time": "10min", "retries": 0}

    def build(self) -> Any:
        """The executor, where there is a cluster."""
        try:
            queued(["1"])
        except RtbenchError as error:
            raise NotApplicable(f"no cluster here: {error.message}") from None
        return super().build()
