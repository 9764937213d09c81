"""Where parameters stay a backend is told so; evaluation of what is being trained shows its newest ones."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from helpers.cells import small_cell
from helpers.dqn_cells import dqn_cell
from helpers.ppo_cells import ppo_cell

from rtbench.cell import RunBatch
from rtbench.plugins import build, part_class

CELLS = {
    "sac": small_cell(learner={"cuts": []}),
    "dqn": dqn_cell("dqn", {"noisy": True}),
    "stream-q": dqn_cell("stream-q"),
    "ppo": ppo_cell(),
}


class Packing:
    """An acting on a copy of its parameters, made when it is told to."""

    def __init__(self, parameters, make):
        self._parameters, self._own = parameters, copy.deepcopy(dict(parameters))
        self._acting = make(self._own)

    def refresh(self):
        for layer, arrays in self._parameters.items():
            for name, values in arrays.items():
                self._own[layer][name][...] = values

    def __getattr__(self, name):
        return getattr(self._acting, name)


def outcomes(cell):
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    while not program.done:
        program.advance()
    return [(outcome.columns, outcome.extras) for outcome in program.outcomes()]


@pytest.mark.parametrize("name", CELLS)
def test_a_backend_that_packs_what_is_fixed_gives_the_same(name, monkeypatch):
    cell = CELLS[name]
    expected = outcomes(cell)
    part, told = part_class("backends", cell.backend.name), []
    plain = part.make

    def make(self, spec, parameters):
        told.append(spec.fixed)
        if not spec.fixed:
            return plain(self, spec, parameters)
        return Packing(parameters, lambda own: plain(self, dataclasses.replace(spec, fixed=False), own))

    monkeypatch.setattr(part, "make", make)
    assert outcomes(cell) == expected
    assert set(told) == ({True} if name == "ppo" else {True, False})  # a fleet acts by itself
