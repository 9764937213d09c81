"""A job: runs of one cell that one process trains together; and the events an executor tells of.

Events are dictionaries with `event` and `job` (the job's key):
`started`; `progress` (done_units, total_units, units_per_s, phase); `finished` (status, reason per run); `note` (text).
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtbench.cell import Cell, cell_from_json, cell_to_json

ROWS = "rows"
CHECKPOINTS = "checkpoints"
PROGRESS = "progress"
LOGS = "logs"
LOCKS = "locks"


@dataclass(frozen=True)
class Job:
    """Runs of `cell` with `seeds`, as a suite asks for them; `attempts` counts each run's attempts from 1."""

    cell: Cell
    seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    attempts: tuple[int, ...]
    suite: str
    suite_revision: int
    wall_limit_s: float
    threads: int = 1

    @property
    def key(self) -> str:
        """The name of the job's checkpoint, log and lock: a digest of its runs; equal batches continue each other."""
        return hashlib.sha256("/".join(self.run_ids).encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """One line for people."""
        interaction = self.cell.interaction
        environment = self.cell.environment.params.get("id") or self.cell.environment.title
        speed = f"δ {interaction.delta:g}" if interaction.delta else interaction.execution
        seeds = ",".join(str(seed) for seed in self.seeds)
        return f"{environment} · {self.cell.architecture.title} · {speed} · seed {seeds}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        plain = {name: getattr(self, name) for name in ("suite", "suite_revision", "wall_limit_s", "threads")}
        lists = {name: list(getattr(self, name)) for name in ("seeds", "run_ids", "attempts")}
        return {**plain, **lists, "cell": cell_to_json(self.cell)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Job:
        """The inverse of `to_json`."""
        tuples = {name: tuple(data[name]) for name in ("seeds", "run_ids", "attempts")}
        return cls(**{**data, **tuples, "cell": cell_from_json(data["cell"])})

    def next_attempt(self) -> Job:
        """The same runs, tried once more."""
        return dataclasses.replace(self, attempts=tuple(attempt + 1 for attempt in self.attempts))


@dataclass(frozen=True)
class StatePaths:
    """Where a job keeps its things in the local state."""

    root: Path
    key: str

    @property
    def checkpoint(self) -> Path:
        return self.root / CHECKPOINTS / self.key

    @property
    def progress(self) -> str:
        """A key of the store."""
        return f"{PROGRESS}/{self.key}.json"

    @property
    def log(self) -> Path:
        return self.root / LOGS / f"{self.key}.log"

    @property
    def lock(self) -> Path:
        return self.root / LOCKS / f"{self.key}.lock"
