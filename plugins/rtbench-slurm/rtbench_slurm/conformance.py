"""What `rtbench plugins check rtbench-slurm` checks: the executor on the cluster this machine belongs to."""

from __future__ import annotations

import shutil
from typing import Any, ClassVar

from rtbench.testing import ExecutorConformance, NotApplicable


class SlurmChecks(ExecutorConformance):
    """Three small jobs through the queue, followed to their ends; TMPDIR is to be a folder that all nodes share."""

    name = "slurm/slurm"
    params: ClassVar[dict[str, Any]] = {"follow": True, "poll_s": 0.5, "time": "10min", "retries": 0}

    def build(self) -> Any:
        """The executor, where there is a cluster."""
        if shutil.which("sbatch") is None:
            raise NotApplicable("sbatch is not on the PATH: no cluster here")
        return super().build()
