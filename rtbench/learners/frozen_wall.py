"""Frozen policies on the wall clock: loaded by every inference process for itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rtbench.learners.acting import actings
from rtbench.learners.foreign import kind_of
from rtbench.learners.frozen_program import UNKNOWN, stand_in
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.learners.wall import PHASE, WallEpisodes, WallPolicy, own
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.learners.frozen import Params
    from rtbench.parts import EnvironmentSpec


def frozen_on_wall(batch: RunBatch, params: Params, where: str) -> WallEpisodes:
    """The evaluation of a batch of runs by real processes."""
    cell = batch.cell
    spec: EnvironmentSpec = build(cell.environment).spec()
    if kind_of(where) != "rtbench":
        graph, decide, make = stand_in(cell, spec, params, where)
        found = WallPolicy(graph, lambda _: make(), lambda _: decide)
        return WallEpisodes(cell, spec, dict.fromkeys(batch.seeds, found), UNKNOWN)
    policy = Policy.read(Path(where))
    graph, head = policy.graph(spec), HEADS[policy.head]
    policies = {}
    for seed in batch.seeds:
        made = actings(cell, graph, policy.parameters, policy.start, seed, fixed=True)
        policies[seed] = WallPolicy(graph, partial(own, made), partial(head.decider, seed, PHASE), policy.start)
    return WallEpisodes(cell, spec, policies, graph_columns(graph, cell.interaction))
