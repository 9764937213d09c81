"""Runs in TensorBoard and in Weights & Biases while they go on: a lifecycle plugin, off unless it is asked for.

`rtbench run SUITE --track tensorboard`, or the variable `RTBENCH_TRACK=tensorboard,wandb`. Registered in the group
`rtbench` like a stranger's plugin; a tracker of your own is another one (`rtbench list hooks`). Nothing that is tracked
changes a result: rows are written by rtbench alone, and a tracker that fails is switched off with a warning.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rtbench.errors import RtbenchError, SuiteError
from rtbench.hookspecs import hookimpl

__all__ = ["PACKAGES", "VARIABLE", "Run", "Tracker", "Tracking", "asked", "plugin"]

VARIABLE = "RTBENCH_TRACK"
"""The variable that names trackers, separated by commas; --track sets it, and workers inherit it."""
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}
"""Trackers by name, with the package and extra of rtbench that each needs."""


@dataclass(frozen=True)
class Run:
    """What a tracker is told of a run when it begins: its identity and everything that it was given, flat."""

    run_id: str
    name: str
    """For people: environment, architecture, execution, seed, and the first letters of `run_id`."""
    group: str
    """The same for all seeds of a cell."""
    config: dict[str, bool | int | float | str]
    """axis.key and value."""


class Tracker(Protocol):
    """Where a process's runs are shown; several may be open at a time."""

    def start(self, run: Run) -> None:
        """A run begins, or goes on where it was interrupted."""

    def log(self, run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None:
        """Numbers at `step` units of the run's budget."""

    def finish(self, run_id: str, status: str, numbers: dict[str, float]) -> None:
        """A run's row is written; `numbers` are those of `told_of`."""


def asked(text: str | None = None) -> list[str]:
    """The trackers that a text names (by default the variable's), each once.

    Raises SuiteError for a name that is none, RtbenchError if its package is not installed.
    """
    given = os.environ.get(VARIABLE, "") if text is None else text
    names = list(dict.fromkeys(name.strip().lower() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in PACKAGES:
            raise SuiteError(f"unknown tracker {name!r}", place="--track", given=name, allowed=PACKAGES)
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise RtbenchError(
                f"{name} is not installed", place="--track", hint=f"pip install 'rtbench[{PACKAGES[name]}]'"
            )
    return names


class Tracking:
    """The plugin: passes on what a run tells to the trackers that were asked for; without any it does nothing."""

    def __init__(self) -> None:
        self._trackers: dict[str, Tracker] = {}

    @hookimpl
    def rtbench_configure(self, state_folder: str) -> None:
        """Open the trackers that the variable names."""
        self._trackers = {name: _open(name, Path(state_folder)) for name in asked()}

    @hookimpl
    def rtbench_run_started(self, run_id: str, cell: dict[str, Any], seed: int) -> None:
        """Tell them of a run."""
        if self._trackers:
            run = describe(run_id, cell, seed)
            self._each(lambda tracker: tracker.start(run))

    @hookimpl
    def rtbench_metrics(self, run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None:
        """Tell them its numbers."""
        if self._trackers and metrics:
            self._each(lambda tracker: tracker.log(run_id, step, unit, metrics))

    @hookimpl
    def rtbench_run_finished(self, run_id: str, row: dict[str, Any]) -> None:
        """Tell them its result."""
        if self._trackers:
            numbers = told_of(row)
            self._each(lambda tracker: tracker.finish(run_id, row["status"], numbers))

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        """Tell every tracker; one that fails is told nothing more, and an error names it."""
        failed: list[str] = []
        for name, tracker in list(self._trackers.items()):
            try:
                tell(tracker)
            except Exception as error:  # a disk, a network or another's code: none of the run's business
                del self._trackers[name]
                failed.append(f"{name} is switched off for the rest of the run ({type(error).__name__}: {error})")
        if failed:
            raise RtbenchError("; ".join(failed))


def told_of(row: dict[str, Any]) -> dict[str, float]:
    """A row's scores, its numbers of real time and of cost, and its extras."""
    from rtbench.results.columns import COLUMNS

    names = [column.name for column in COLUMNS if column.group in _TOLD and column.type in ("int", "float")]
    return {name: float(row[name]) for name in names if row.get(name) is not None} | (row.get("extras") or {})


_TOLD = ("scores", "real time", "cost")


def _open(name: str, state: Path) -> Tracker:
    if name == "tensorboard":
        from rtbench.tracking.tensorboard import TensorBoard

        return TensorBoard(state)
    from rtbench.tracking.weights_and_biases import WeightsAndBiases

    return WeightsAndBiases(state)


def describe(run_id: str, cell: dict[str, Any], seed: int) -> Run:
    """A run as trackers show it, from the plain data of its cell."""
    config = dict(_flat("", cell)) | {"seed": seed, "run_id": run_id}
    environment = config.get("environment.params.id") or config.get("environment.name", "")
    interaction = [str(config.get("interaction.execution", ""))]
    if config.get("interaction.delta"):
        interaction.append(f"delta {config['interaction.delta']:g}")
    group = " ".join([str(environment), str(config.get("architecture.name", "")), *interaction])
    return Run(run_id, f"{group} seed {seed} {run_id[:8]}", group, config)


def _flat(name: str, value: Any) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, bool | int | float | str):
        yield name, value
    elif value is not None:
        yield name, str(value)


plugin = Tracking()
"""What the entry point `tracking` of the group `rtbench` names."""
