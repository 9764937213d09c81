"""A job: runs of one cell that one process trains together; and the events an executor tells of.

Events are dictionaries with `event`, and except for notes `job` (the job's key) and `title`:
`started`; `progress` (done_units and total_units of each run, unit, units_per_s, wall_s, how many runs);
`finished` (total_units of each run; runs: run_id, seed, status, reason, eval_return_final of each; `retried`: they are
tried again; `elsewhere`: another runner did it); `note` (text).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtbench.cell import Cell, cell_from_json, cell_to_json
from rtbench.executors.shelf import StoreShelf
from rtbench.results.places import State, local_folder
from rtbench.results.store import Store

ROWS = "rows"
CHECKPOINTS = "checkpoints"
PROGRESS = "progress"
LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Job:
    """Runs of `cell` with `seeds`, as a suite asks for them; `attempts` counts each run's attempts from 1.

    A `fresh` job begins anew whatever checkpoint is there. `beside`: words that tell it from the suite's other
    jobs where environment, architecture and pace do not.
    """

    cell: Cell
    seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    attempts: tuple[int, ...]
    suite: str
    suite_revision: int
    wall_limit_s: float
    threads: int = 1
    fresh: bool = False
    beside: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of the job's checkpoint and log: a digest of its runs; equal batches continue each other."""
        return hashlib.sha256("/".join(self.run_ids).encode()).hexdigest()[:16]

    @property
    def alone(self) -> bool:
        """Whether nothing else is to run meanwhile: on the wall clock others would take its time."""
        return self.cell.interaction.clock == "wall"

    @property
    def title(self) -> str:
        """One line for people."""
        interaction = self.cell.interaction
        environment = self.cell.environment.params.get("id") or self.cell.environment.title
        speed = f"δ {interaction.delta:g}" if interaction.delta else interaction.execution
        seeds = ",".join(str(seed) for seed in self.seeds)
        return " · ".join([environment, self.cell.architecture.title, speed, *self.beside, f"seed {seeds}"])

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        plain = {name: getattr(self, name) for name in ("suite", "suite_revision", "wall_limit_s", "threads", "fresh")}
        lists = {name: list(getattr(self, name)) for name in ("seeds", "run_ids", "attempts", "beside")}
        return {**plain, **lists, "cell": cell_to_json(self.cell)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Job:
        """The inverse of `to_json`."""
        tuples = {name: tuple(data.get(name, ())) for name in ("seeds", "run_ids", "attempts", "beside")}
        return cls(**{**data, **tuples, "cell": cell_from_json(data["cell"])})

    def only(self, indices: Sequence[int]) -> Job:
        """The job of some of its runs, by their places in it."""
        if len(indices) == len(self.seeds):
            return self
        return dataclasses.replace(
            self,
            seeds=tuple(self.seeds[i] for i in indices),
            run_ids=tuple(self.run_ids[i] for i in indices),
            attempts=tuple(self.attempts[i] for i in indices),
        )

    def finished(self, outcomes: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """The event that tells what became of each of its runs."""
        runs = [
            {"run_id": run_id, "seed": seed, "eval_return_final": None, **outcome}
            for run_id, seed, outcome in zip(self.run_ids, self.seeds, outcomes, strict=True)
        ]
        common = {"event": "finished", "job": self.key, "title": self.title, "total_units": self.cell.budget.steps}
        return {**common, "runs": runs, **more}


@dataclass(frozen=True)
class StatePaths:
    """Where a job keeps its things: all in the state, except for logs, which a bucket only gets a copy of."""

    root: State
    key: str

    def checkpoint(self, store: Store) -> Path | StoreShelf:
        """Its place in the state; `store` is that of `root`."""
        if isinstance(self.root, Path):
            return self.root / CHECKPOINTS / self.key
        return StoreShelf(store, f"{CHECKPOINTS}/{self.key}")

    @property
    def progress(self) -> str:
        """A key of the store."""
        return f"{PROGRESS}/{self.key}.json"

    @property
    def log(self) -> Path:
        """Tracebacks; what the process prints besides lies beside it with the ending `.err`."""
        return local_folder(self.root) / LOGS / f"{self.key}.log"
