"""Runs as Weights & Biases shows them. What its own variables say holds: WANDB_PROJECT, WANDB_MODE=offline, WANDB_DIR.

A run keeps its identity: interrupted and continued it is one run there, too, and all seeds of a cell are a group.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rtbench.tracking import Run

PROJECT = "rtbench"
ID_LETTERS = 32


class WeightsAndBiases:
    """A run there for each run here; several are open at a time in a batch."""

    def __init__(self, state: Path) -> None:
        self.folder = Path(os.environ.get("WANDB_DIR") or state)
        self._runs: dict[str, Any] = {}

    def start(self, run: Run) -> None:
        """Open it, or open it again."""
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        opened = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.run_id[:ID_LETTERS],
            name=run.name,
            group=run.group,
            config=run.config,
            dir=str(self.folder),
            reinit="create_new",
            resume=None if os.environ.get("WANDB_MODE") == "offline" else "allow",
            # A worker's output is a protocol of its own, so nothing may be printed there or read from there.
            settings=wandb.Settings(console="off", silent=True),
        )
        opened.define_metric("*", step_metric="step")
        self._runs[run.run_id] = opened

    def log(self, run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None:
        """Numbers against `step` in the budget's unit; W&B's own step counts calls and means nothing here."""
        self._runs[run_id].log({**metrics, "step": step, unit: step})

    def finish(self, run_id: str, status: str, numbers: dict[str, float]) -> None:
        """The row's numbers as the run's summary."""
        opened = self._runs.pop(run_id)
        opened.summary.update({f"row/{name}": value for name, value in numbers.items()} | {"status": status})
        opened.finish(exit_code=0 if status in ("ok", "interrupted") else 1)
