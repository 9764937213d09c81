"""How long updates and inferences of a network take on this machine, as a run with a row; nothing is trained."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtbench.parts import Learner, PolicyShape, param
from rtbench.plugins import build, part_class

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.graph import LayerGraph
    from rtbench.learners.base import Program

COPIES = 5
"""Of every parameter in learning: itself, the target's, a gradient, two moments of Adam."""
USABLE = 0.8
"""Share of a machine's memory that a measurement may take."""


@dataclass(frozen=True)
class Params:
    """What is measured, and how often."""

    measures: Literal["update", "inference"] = param("update", doc="an update of deep Q-learning, or one inference")
    batch_size: int = param(16, unit="transitions", doc="per update")
    calls: int = param(30, doc="how often, at least 3")
    patience_s: float = param(120.0, unit="s", doc="fewer calls once they have taken so long")


class UpdateTiming(Learner):
    """Measures a network's updates on random bytes, or its inferences, in one process that has the machine to itself.

    Extras: `rtbench/update_time_s`, the median τ_L of one update; `rtbench/transition_time_s`, τ_L per transition;
    `rtbench/learners_needed`, N_L* = max(1, ⌈τ_L / (B · τ_M)⌉) for a batch of B, the learner processes with which every
    transition of the world is learnt from once; `rtbench/parameters`, of the network. Of an inference the row has the
    times. Interaction: `execution = "sequential"` on the wall clock, whose rows are never ranked beside simulated ones.

    Source: Staggered Asynchronous Inference, Question 4 and Figure 8.
    """

    Params = Params
    revision = 1
    preload = ("rtbench.learners.update_timing_program",)
    precisions = ("fp32", "bf16")

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Discrete actions, the wall clock without an emulated latency, a network that fits into memory."""
        met, p = cell.interaction, cell.learner.params
        if met.clock != "wall" or met.execution != "sequential" or met.latency or met.delta or met.processes > 1:
            return "learner update-timing: execution = 'sequential', clock = 'wall', one process and nothing else"
        if getattr(part_class("environments", cell.environment.name), "actions", "") != "discrete":
            return "learner update-timing measures networks of discrete actions"
        if p["batch_size"] < 1 or p["calls"] < 3 or p["patience_s"] <= 0:
            return "learner update-timing: batch_size is at least 1, calls at least 3, patience_s above 0"
        return _too_large(cell)

    def make(self, batch: RunBatch) -> Program:
        """The measurements of a batch of runs."""
        from rtbench.learners.update_timing_program import UpdateTimingProgram

        return UpdateTimingProgram(batch, self.params)


def _too_large(cell: Cell) -> str | None:
    p = cell.learner.params
    spec = build(cell.environment).spec()
    graph = build(cell.architecture).make(PolicyShape.of(spec, spec.action_size))
    learning = p["measures"] == "update"
    count = graph.parameter_count()
    needed = 4 * (COPIES * count + 2 * p["batch_size"] * _activations(graph)) if learning else 4 * 2 * count
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed <= USABLE * there:
        return None
    what = f"learning with batches of {p['batch_size']}" if learning else "inference"
    return (
        f"learner update-timing: {what} does not fit: {count:,} parameters need {needed / 1e9:.1f} GB "
        f"({'five copies and activations' if learning else 'two copies'}), and {USABLE:.0%} of this machine's memory "
        f"are {USABLE * there / 1e9:.1f} GB"
    )


def _activations(graph: LayerGraph) -> int:
    """Numbers that one observation leaves behind on the way to the head, before poolings."""
    total = 0
    for layer in graph.layers:
        if layer.convolution and layer.image and layer.shape:
            height, width = map(layer.convolution.size, layer.image)
            total += height * width * layer.shape[2]
        total += layer.width
    return total
