"""Small cells for tests of learners and executors."""

from __future__ import annotations

from dataclasses import replace

from rtbench.cell import Budget, Cell, Interaction
from rtbench.plugins import part_class, use


def interaction(
    execution="pipelined",
    delta=1.0,
    *,
    scheduler="one-process",
    scheduler_params=None,
    default="repeat-last",
    **kwargs,
):
    """An interaction; keyword arguments as `rtbench.cell.Interaction`."""
    started = use("schedulers", scheduler, scheduler_params)
    return Interaction(started, execution, delta, use("default_policies", default), **kwargs)


def small_cell(
    env="Hopper-v4",
    arch=None,
    inter=None,
    learner=None,
    budget=None,
):
    """Hopper, a narrow three-layer perceptron, a tiny SAC."""
    small = {"batch_size": 16, "critic_width": 16, "learning_starts": 40}
    return Cell(
        use("environments", "mujoco", {"id": env}),
        use("architectures", "mlp", {"layers": 3, "width": 16} | (arch or {})),
        inter or interaction(),
        use("learners", "sac", small | (learner or {})),
        use("backends", "numpy"),
        budget or Budget(steps=120, unit="ticks", eval_every=60, eval_episodes=1, final_eval_episodes=2),
    )


def environment_refusal(name, given, **changed):
    """Why an environment cannot be, None if it can; `changed` goes past the types that a suite file is read by."""
    part = use("environments", name, given)
    cell = replace(small_cell(), environment=replace(part, params={**part.params, **changed}))
    return part_class("environments", name).supports(cell)
