"""How many bytes one run of a batch of SAC keeps where it trains: what decides how many fit on one accelerator."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from rtbench.interaction.timing import graph_execution
from rtbench.learners.sample import Sample
from rtbench.learners.worlds import replay_room
from rtbench.parts import PolicyShape
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.graph import LayerGraph, Plan

_FLOAT, _HALF, _RECORD = 4, 2, 64
"""Bytes of a number, of one in bfloat16, of a decision's record in replay."""


@dataclass(frozen=True)
class RunMemory:
    """Bytes by what they hold; `working` (values of an update and their gradients) is an upper estimate."""

    parameters: int
    targets: int
    moments: int
    gradients: int
    copies: int
    replay: int
    sample: int
    working: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(astuple(self))


def run_memory(cell: Cell) -> RunMemory:
    """Of one run of the cell. Its environment is asked for its sizes."""
    p: dict[str, Any] = dict(cell.learner.params)
    spec = build(cell.environment).spec()
    graph: LayerGraph = build(cell.architecture).make(PolicyShape.of(spec, 2 * spec.action_size))
    execution, delta = graph_execution(cell.interaction), cell.interaction.delta or 1
    plan = graph.plan(execution, delta, p["burn_in_ticks"] if graph.recurrent else 0)
    f, a, width, batch = spec.observation_size, spec.action_size, p["critic_width"], p["batch_size"]
    inputs = f + (graph.augmented_actions + 1) * a
    actor = graph.parameter_count()
    critics = 2 * ((inputs + 1) * width + (p["critic_layers"] - 1) * (width + 1) * width + width + 1)
    trained = actor + critics + 1
    rows, decisions = replay_room(cell, len(graph.layers), spec.step_s, p["replay_size"])
    windows = len(plan.observation_ticks) + (p["start"] == "hold")
    ticks = (windows, len(plan.action_ticks), graph.augmented_actions)
    sample = Sample.empty(1, batch, (f, a), ticks)
    return RunMemory(
        parameters=trained * _FLOAT,
        targets=critics * _FLOAT,
        moments=2 * trained * _FLOAT,
        gradients=trained * _FLOAT,
        copies=(actor + 2 * critics) * _HALF if cell.precision == "bf16" else 0,
        replay=rows * (f + a) * _FLOAT + (decisions + 1) * _RECORD,
        sample=sum(getattr(sample, name).nbytes for name in Sample.__dataclass_fields__),
        working=2 * batch * _FLOAT * (_values(graph, plan) + 2 * (inputs + p["critic_layers"] * width + 1)),
    )


def _values(graph: LayerGraph, plan: Plan) -> int:
    """Numbers that an unrolled pass computes for one sample, layer by layer and tick by tick."""
    widths = {layer.name: layer.state_width for layer in graph.layers}
    return sum(widths[name] for name, _ in plan.nodes)
