"""Frozen policies as a program under the virtual clock: their own graph, or a black box that acts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtbench.interaction.timing import chunk_of
from rtbench.learners.acting import actings
from rtbench.learners.episodes import Episodes
from rtbench.learners.foreign import Array, ForeignActing, kind_of, load
from rtbench.learners.loop import Loop
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.parts import PolicyShape
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.graph import LayerGraph
    from rtbench.learners.frozen import Params
    from rtbench.parts import EnvironmentSpec

UNKNOWN = dict.fromkeys(("parameters", "flops", "constraint_violation"))
"""What nobody says of the network of a policy from outside."""


def frozen(batch: RunBatch, params: Params, where: str) -> Episodes:
    """The evaluation of a batch of runs; RtbenchError if the policy cannot be loaded or does not fit."""
    spec: EnvironmentSpec = build(batch.cell.environment).spec()
    if kind_of(where) == "rtbench":
        return _own(batch, spec, where)
    return _foreign(batch, spec, params, where)


def _own(batch: RunBatch, spec: EnvironmentSpec, where: str) -> Episodes:
    """A policy of rtbench runs on its own graph, with this cell's backend."""
    policy = Policy.read(Path(where))
    graph = policy.graph(spec)
    loops = [
        Loop(
            batch.cell,
            graph,
            actings(batch.cell, graph, policy.parameters, policy.start, seed, fixed=True),
            HEADS[policy.head].decider(seed, "evaluate"),
            seed=seed,
            phase="evaluate",
            spec=spec,
            start=policy.start,
        )
        for seed in batch.seeds
    ]
    return Episodes(batch.cell, loops, graph_columns(graph, batch.cell.interaction))


def _foreign(batch: RunBatch, spec: EnvironmentSpec, params: Params, where: str) -> Episodes:
    graph, decide, make = stand_in(batch.cell, spec, params, where)
    acting = make()
    loops = [Loop(batch.cell, graph, [acting], decide, seed=seed, phase="evaluate", spec=spec) for seed in batch.seeds]
    return Episodes(batch.cell, loops, UNKNOWN)


def stand_in(
    cell: Cell, spec: EnvironmentSpec, params: Params, where: str
) -> tuple[LayerGraph, Callable[[Array], Array], Callable[[], ForeignActing]]:
    """A policy from outside in place of the one layer of a graph: that graph, what its output means, what loads it."""
    chunk, size = chunk_of(cell.interaction), spec.action_size
    graph = build(cell.architecture).make(PolicyShape.of(spec, chunk * size))
    shape = (size,) if chunk == 1 else (chunk, size)

    def make() -> ForeignActing:
        found = load(where, spec, params.algorithm)
        return ForeignActing(found, spec, scale=params.actions, place=where, chunk=chunk)

    return graph, partial(np.reshape, shape=shape), make
