"""Rows for `mujoco-delta`: the paper's outside baseline, a delay of one step in all, beside the suite's own agents."""

from __future__ import annotations

import dataclasses

from rtbench.cell import Cell
from rtbench.hookspecs import hookimpl
from rtbench.plugins import use

SUITE = "mujoco-delta"
LABELS = {"rlrd/dcac": "RLRD for delay of 1", "rlrd/sac": "augmented SAC for delay of 1"}


@hookimpl
def rtbench_modify_cells(suite: str, cells: list[Cell]) -> list[Cell] | None:
    """Both learners in every environment the suite has, under its own budget.

    Three layers of 256 neurons that together take one step; the policy sees the actions under way. Where the paper has
    one layer take a step (delta = 1), its RLRD has the whole network take one (Handling Delay, Figure 3, footnote 3).
    """
    if suite != SUITE:
        return None
    environments = {cell.environment.title: cell for cell in cells}
    return [_cell(cell, learner) for cell in environments.values() for learner in LABELS]


def _cell(cell: Cell, learner: str) -> Cell:
    network = {"layers": 3, "width": 256, "augmentation": "in-flight"}
    starts = cell.learner.params.get("learning_starts")
    given = {} if starts is None else {"learning_starts": starts}
    return dataclasses.replace(
        cell,
        architecture=use("architectures", "mlp", network, label=LABELS[learner]),
        learner=use("learners", learner, given),
        interaction=dataclasses.replace(
            cell.interaction, execution="sequential", delta=1 / 3, scheduler=use("schedulers", "one-process")
        ),
    )
