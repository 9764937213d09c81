"""Losses of action values and of distributions of returns, by hand and against loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.learners import dqn_losses, rainbow_losses


def test_goals_by_hand():
    target = torch.tensor([[1.0, 5.0], [2.0, -1.0], [7.0, 7.5]])
    online = torch.tensor([[3.0, 0.0], [0.0, 1.0], [1.0, 2.0]])
    returns, discounts = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.5, 0.9, 0.0])
    assert dqn_losses.goals(returns, discounts, target, None).tolist() == pytest.approx([3.5, 1.8, 2.0])
    assert dqn_losses.goals(returns, discounts, target, online).tolist() == pytest.approx([1.5, -0.9, 2.0])


def test_huber_by_hand():
    """Half the square within 1, the distance less a half beyond."""
    values = torch.tensor([[0.0, 0.5], [3.0, 0.0]])
    loss, errors = dqn_losses.loss(values, torch.tensor([1, 0]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 2.0]))
    assert errors.tolist() == [0.5, 3.0]
    assert float(loss) == pytest.approx((0.125 + 2 * 2.5) / 2)


@settings(max_examples=60, deadline=None)
@given(
    returns=st.floats(-30, 30),
    discount=st.floats(0, 1),
    raw=st.lists(st.floats(0.01, 1), min_size=6, max_size=6),
)
def test_projection_equals_a_loop(returns, discount, raw):
    low, high, atoms = -10.0, 15.0, 6
    shares = np.array(raw) / sum(raw)
    step, expected = (high - low) / (atoms - 1), np.zeros(atoms)
    for share, atom in zip(shares, np.linspace(low, high, atoms), strict=True):
        place = (min(max(returns + discount * atom, low), high) - low) / step
        below = min(math.floor(place + 1e-9), atoms - 1)
        expected[below] += share * (1 - (place - below))
        expected[min(below + 1, atoms - 1)] += share * (place - below)
    found = rainbow_losses.projected(
        torch.tensor([returns]),
        torch.tensor([discount]),
        torch.tensor(shares)[None].float(),
        torch.linspace(low, high, atoms),
    )
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-5)


def test_cross_entropy_and_the_choice_of_the_next_action():
    support = torch.tensor([0.0, 1.0])
    high, low = [0.0, 5.0], [5.0, 0.0]  # logits of a return of 1, and of 0
    target, online = torch.tensor([[high, low]]), torch.tensor([[low, high]])
    own = rainbow_losses.goals(torch.zeros(1), torch.ones(1), target, None, support)
    double = rainbow_losses.goals(torch.zeros(1), torch.ones(1), target, online, support)
    sure = 1 / (1 + math.exp(-5))
    assert own[0].tolist() == pytest.approx([1 - sure, sure])
    assert double[0].tolist() == pytest.approx([sure, 1 - sure])
    loss, errors = rainbow_losses.loss(online, torch.tensor([1]), torch.tensor([[0.0, 1.0]]), torch.tensor([3.0]))
    assert float(errors[0]) == pytest.approx(-math.log(sure), rel=1e-4)
    assert float(loss) == pytest.approx(3 * float(errors[0]))
