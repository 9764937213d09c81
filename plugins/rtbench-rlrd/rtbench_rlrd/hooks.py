"""Rows for a suite of rtbench: both learners in `mujoco-delta`, under the delay of one step that it gives RLRD."""

from __future__ import annotations

import dataclasses

from rtbench import plugins
from rtbench.cell import Cell
from rtbench.hookspecs import hookimpl

SUITE = "mujoco-delta"
LAYERS = 3
METHODS = {"rlrd/dcac": "RLRD for delay of 1", "rlrd/augmented-sac": "augmented SAC for delay of 1"}
"""Learners by what they are called in the table; the first as printed (Handling Delay, Tables 8-9)."""


@hookimpl
def rtbench_modify_cells(suite: str, cells: list[Cell]) -> list[Cell] | None:
    """One cell per learner and environment of `mujoco-delta`: three layers that take one environment step together.

    Budget and first update are those of the suite's own cells, profile included.
    """
    if suite != SUITE:
        return None
    models = {str(cell.environment.data()): cell for cell in reversed(cells) if cell.learner.name == "sac"}
    return [_like(model, learner) for model in reversed(models.values()) for learner in METHODS]


def _like(model: Cell, learner: str) -> Cell:
    """A learner's cell with the environment and budget of a cell of the suite."""
    interaction = dataclasses.replace(
        model.interaction,
        scheduler=plugins.use("schedulers", "one-process"),
        execution="sequential",
        delta=1 / LAYERS,
        default_policy=plugins.use("default_policies", "repeat-last"),
        latency=None,
    )
    starts = model.learner.params["learning_starts"]
    return dataclasses.replace(
        model,
        architecture=plugins.use("architectures", "mlp", {"layers": LAYERS}, label=METHODS[learner]),
        interaction=interaction,
        learner=plugins.use("learners", learner, {"learning_starts": starts}),
    )
