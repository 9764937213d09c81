"""Lifecycle hooks: what every plugin may be told. Register a module or object in the entry-point group `rtbench`.

All hooks are synchronous, called with keyword arguments, and must not depend on the order of plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from rtbench.cell import Cell

hookspec = pluggy.HookspecMarker("rtbench")
hookimpl = pluggy.HookimplMarker("rtbench")


@hookspec
def rtbench_configure(state_folder: str) -> None:
    """Once per command that runs something, before anything else; `state_folder` is the local state."""


@hookspec
def rtbench_fingerprint() -> dict[str, str]:  # type: ignore[empty-body]
    """Further facts about this machine, merged into every row's `machine_json`."""


@hookspec
def rtbench_modify_cells(suite: str, cells: list[Cell]) -> list[Cell] | None:
    """Cells to add to a suite after expansion; a plugin adds, it never removes what the file enumerates."""


@hookspec
def rtbench_run_started(run_id: str, cell: dict[str, Any], seed: int, attempt: int) -> None:
    """A run begins or continues in this process."""


@hookspec
def rtbench_metrics(run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None:
    """A run reports numbers (evaluation return, losses, steps per second) at `step` units of its budget."""


@hookspec
def rtbench_columns(run_id: str, cell: dict[str, Any], outcome: dict[str, Any]) -> dict[str, float]:  # type: ignore[empty-body]
    """Extra columns of a finished run's row, stored in the map `extras` under `namespace/name`."""


@hookspec
def rtbench_run_finished(run_id: str, row: dict[str, Any]) -> None:
    """A run's row has been written."""


@hookspec
def rtbench_report_section(suite: str, rows: list[dict[str, Any]]) -> str | None:
    """A section (Markdown) for the end of a suite's report."""
