"""Runs as TensorBoard shows them: one folder each under `tensorboard/` of the local state, `tensorboard --logdir` it.

`RTBENCH_TENSORBOARD_DIR` names another folder.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rtbench.tracking import Run

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

FOLDER_VARIABLE = "RTBENCH_TENSORBOARD_DIR"
FLUSH_S = 10


class TensorBoard:
    """A writer for each run, opened with its first numbers."""

    def __init__(self, state: Path) -> None:
        self.folder = Path(os.environ.get(FOLDER_VARIABLE) or state / "tensorboard")
        self._runs: dict[str, Run] = {}
        self._writers: dict[str, SummaryWriter] = {}
        self._last: dict[str, int] = {}

    def start(self, run: Run) -> None:
        """Nothing is written yet."""
        self._runs[run.run_id] = run

    def log(self, run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None:
        """Scalars at `step`. Where a run goes on from a checkpoint, what it told beyond that is taken back."""
        writer = self._writer(run_id, step)
        for name, value in metrics.items():
            writer.add_scalar(f"{name} / {unit}", value, step)
        self._last[run_id] = step

    def finish(self, run_id: str, status: str, numbers: dict[str, float]) -> None:
        """The row's numbers under `row/`; of a run that is done its parameters beside its return, for comparing."""
        step = self._last.get(run_id, 0)
        writer = self._writer(run_id, step + 1)
        for name, value in numbers.items():
            writer.add_scalar(f"row/{name}", value, step)
        score = numbers.get("eval_return_final")
        if status == "ok" and score is not None and math.isfinite(score):
            writer.add_hparams(self._runs[run_id].config, {"row/eval_return_final": score}, run_name=".")
        writer.close()
        del self._writers[run_id]

    def _writer(self, run_id: str, step: int) -> SummaryWriter:
        if run_id not in self._writers:
            from torch.utils.tensorboard.writer import SummaryWriter

            name = re.sub(r"[^\w.-]+", "-", self._runs[run_id].name)
            self._writers[run_id] = SummaryWriter(str(self.folder / name), purge_step=step, flush_secs=FLUSH_S)
        return self._writers[run_id]
