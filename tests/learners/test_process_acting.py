"""How many memories there are: one per process where a graph remembers anything, else one."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cells import interaction, small_cell
from helpers.weights import drawn_weights

from rtbench.learners.acting import actings
from rtbench.parts import PolicyShape
from rtbench.plugins import build

REPLICAS = interaction(delta=2.0, scheduler="staggered-max", processes=3)
WHOLE = interaction("sequential", 1.0, scheduler="staggered-max", processes=3)
AGE_0 = interaction(delta=2.0, scheduler="staggered-max", processes=3, counterfactual="age-0")
LATE = {"augmentation": "observation"}


@pytest.mark.parametrize(
    ("arch", "inter", "count"),
    [
        ({}, interaction(delta=2.0), 1),
        ({}, interaction("instant", 0.0), 1),
        ({}, REPLICAS, 3),
        ({"layers": 1}, REPLICAS, 1),
        ({}, WHOLE, 1),
        ({"lstm": True}, WHOLE, 3),
        (LATE, WHOLE, 3),
        ({"lstm": True}, AGE_0, 1),
    ],
)
def test_one_memory_per_process(arch, inter, count):
    cell = small_cell(arch={"width": 4, "dropout": 0.0, **arch}, inter=inter)
    graph = build(cell.architecture).make(PolicyShape(11, 3, 6))
    found = actings(cell, graph, {}, "zero", 0)
    assert len({id(acting) for acting in found}) == len(found) == count


def test_processes_have_memories_and_random_streams_of_their_own():
    cell = small_cell(arch={"width": 8, "dropout": 0.5}, inter=REPLICAS)
    graph = build(cell.architecture).make(PolicyShape(11, 3, 6))
    rng = np.random.default_rng(0)
    parameters = drawn_weights(graph, rng)
    observation, nothing = rng.normal(size=11).astype(np.float32), np.zeros(3, np.float32)

    def heads(index, ticks):
        acting = actings(cell, graph, parameters, "zero", 0)[index]
        acting.restart(observation)
        return [acting.tick(observation, nothing).tolist() for _ in range(ticks)]

    assert heads(0, 6) == heads(0, 6) != heads(1, 6)
    assert heads(1, 6) != heads(2, 6)
