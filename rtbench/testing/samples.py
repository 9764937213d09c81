"""Cells and shapes that parts are checked in: small, and made of parts that need nothing installed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from rtbench.cell import Budget, Cell, Interaction, Latency
from rtbench.parts import EnvironmentSpec, PartUse
from rtbench.plugins import singular, use

BUDGET = Budget(steps=60, unit="ticks", eval_every=30, eval_episodes=1, final_eval_episodes=2)
CONTINUOUS = ("clock", {"steps": 40})
DISCRETE = ("analytic", {"id": "delay-cycle", "steps": 40})

SPECS = {
    "one number": EnvironmentSpec((3,), 1, True, 0.02, 100, (-1.0,), (1.0,)),
    "an uneven box": EnvironmentSpec((5,), 3, True, 0.02, None, (-1.0, 0.0, 2.0), (1.0, 4.0, 6.0)),
    "three buttons": EnvironmentSpec((4,), 3, False, 0.02, 100),
    "buttons, one of which is none": EnvironmentSpec((8, 8, 1), 4, False, 0.1, None, noop=2, observation_dtype="uint8"),
}
"""Environments as a policy sees them, by what is particular about them."""


def interaction(execution: str = "pipelined", delta: float = 1.0, **more: Any) -> Interaction:
    """One process, the last action held; keyword arguments as `rtbench.cell.Interaction`."""
    scheduler = more.pop("scheduler", None) or use("schedulers", "one-process")
    default = more.pop("default_policy", None) or use("default_policies", "repeat-last")
    return Interaction(scheduler, execution, delta, default, **more)  # type: ignore[arg-type]


INTERACTIONS: dict[str, dict[str, Any]] = {
    "instant": {"execution": "instant", "delta": 0.0},
    "pipelined": {"execution": "pipelined", "delta": 2.0},
    "sequential": {"execution": "sequential", "delta": 0.5},
    "noisy": {"execution": "sequential", "delta": 0.0, "latency": Latency("lognormal", mean_s=0.03, cv=0.2)},
    "several processes": {"execution": "sequential", "delta": 1.0, "processes": 3},
    "the wall clock": {"execution": "sequential", "delta": 1.0, "clock": "wall"},
}
"""Interactions by what is particular about them."""


def cell(**parts: Any) -> Cell:
    """A cell of the plainest parts, some replaced."""
    plain = {
        "environment": use("environments", *CONTINUOUS),
        "architecture": use("architectures", "mlp", {"layers": 2, "width": 8}),
        "interaction": interaction(),
        "learner": use("learners", "untrained"),
        "backend": use("backends", "numpy"),
        "budget": BUDGET,
    }
    return Cell(**{**plain, **parts})


def cells_with(part: PartUse) -> Iterator[Cell]:
    """Cells that have this part in its place, under every kind of interaction."""
    axis = singular(part.kind).replace(" ", "_")
    for given in INTERACTIONS.values():
        given = given if axis == "scheduler" else {**given, "scheduler": _scheduler(given.get("processes", 1))}
        if axis in ("scheduler", "default_policy"):
            met: dict[str, Any] = {**given, axis: part}
            yield cell(interaction=interaction(**met))
        elif axis in ("environment", "architecture", "learner", "backend"):
            yield cell(**{axis: part}, interaction=interaction(**given))
            yield dataclasses.replace(cell(**{axis: part}), precision="bf16")


def _scheduler(processes: int) -> PartUse:
    return use("schedulers", "staggered-max" if processes > 1 else "one-process")


def still(observation: Any) -> Any:
    """A policy that does nothing, for one continuous action."""
    import numpy as np

    return np.zeros(1, np.float32)
