"""Freshly initialised networks as programs, under either clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtbench.backends.measure import random_parameters
from rtbench.interaction.timing import chunk_of
from rtbench.learners.acting import actings
from rtbench.learners.episodes import Episodes
from rtbench.learners.loop import Loop
from rtbench.learners.policy import HEADS, graph_columns
from rtbench.learners.wall import WallEpisodes, WallPolicy, own
from rtbench.parts import PolicyShape
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]
Decide = Callable[[Array], Array]


def head_of(spec: EnvironmentSpec, chunk: int) -> tuple[int, Decide]:
    """A head's width for these actions, and what turns its output into an action [A], or a chunk [chunk, A]."""
    head = HEADS["tanh-mean" if spec.continuous else "greedy"]
    if chunk == 1:
        return head.outputs_per_action * spec.action_size, head.decide

    def decide(output: Array) -> Array:
        return np.stack([head.decide(part) for part in np.split(output, chunk)])

    return chunk * head.outputs_per_action * spec.action_size, decide


def untrained(batch: RunBatch) -> Episodes:
    """A batch of runs, each with weights of its own seed."""
    cell = batch.cell
    spec: EnvironmentSpec = build(cell.environment).spec()
    width, decide = head_of(spec, chunk_of(cell.interaction))
    graph = build(cell.architecture).make(PolicyShape.of(spec, width))
    columns = graph_columns(graph, cell.interaction)
    weights = {seed: random_parameters(graph, seed) for seed in batch.seeds}
    made = {seed: actings(cell, graph, weights[seed], "zero", seed, fixed=True) for seed in batch.seeds}
    if cell.interaction.clock == "wall":
        policies = {seed: WallPolicy(graph, partial(own, made[seed]), lambda _: decide) for seed in batch.seeds}
        return WallEpisodes(cell, spec, policies, columns)
    loops = [Loop(cell, graph, made[seed], decide, seed=seed, phase="evaluate", spec=spec) for seed in batch.seeds]
    return Episodes(cell, loops, columns)
