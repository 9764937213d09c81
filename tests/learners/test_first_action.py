"""What acts before an episode's first inference has arrived: the start rule says, whatever number the head holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.cells import interaction
from helpers.naive_loop import BOX, CHOICE, new_loop
from helpers.ppo_cells import ppo_cell

from rtbench.cell import RunBatch
from rtbench.learners.categorical import Categorical
from rtbench.plugins import build
from rtbench.seeds import generator


@pytest.mark.parametrize("head", [0.0, 0.5])
def test_hold_acts_by_the_head_and_zero_by_the_default_policy(head):
    """Two steps of delay: β draws at random in a box; among numbered actions it does nothing, which is number 1."""
    late = interaction("sequential", 2 / 3, default="random")
    held, *_ = new_loop(late, BOX, [(6, True)], head)
    blind, *_ = new_loop(late, BOX, [(6, True)], head, start="zero")
    for loop in (held, blind):
        loop.run_episode()
    expected = np.float32([-2, 0]) + (np.float32([np.tanh(np.float32(head)), 0]) + 1) * np.float32([2, 2])
    assert [np.array_equal(action, expected) for action in held.env.actions[0][:2]] == [True, True]
    assert not any(np.array_equal(action, expected) for action in blind.env.actions[0][:2])

    idle = interaction("sequential", 2 / 3, default="noop")
    held, *_ = new_loop(idle, CHOICE, [(6, True)], head)
    blind, *_ = new_loop(idle, CHOICE, [(6, True)], head, start="zero")
    for loop in (held, blind):
        loop.run_episode()
    assert held.env.actions[0][:2] == [{0.0: 0, 0.5: 2}[head]] * 2
    assert blind.env.actions[0][:2] == [1, 1]


@pytest.mark.parametrize("start", ["hold", "zero"])
def test_a_fleet_whose_head_is_nought_draws_its_first_actions_under_hold(start):
    cell = ppo_cell(timing="delta-4", learner={"start": start})
    fleet = build(cell.learner).make(RunBatch(cell, (5,))).trainers[0].fleet
    with torch.no_grad():
        for value in fleet._actor.parameters["head"].values():
            value.zero_()
    fleet.collect(1)
    nought = np.zeros(6, np.float32)
    drawn = [int(Categorical(generator(5, f"train {index}", "actions"))(nought).argmax()) for index in range(3)]
    assert any(drawn), "else they could not be told from doing nothing"
    expected = drawn if start == "hold" else [0, 0, 0]
    assert [[int(action.argmax()) for action in loop._taken[:4]] for loop in fleet.loops] == [[a] * 4 for a in expected]
    if start == "hold":
        assert [recording.decisions[0].action for recording in fleet.recordings] == drawn
