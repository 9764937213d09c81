"""A tick by a plan is `rtbench.unrolling.step` to the last bit: what is trained on does not change with it."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from backends.playing import CASES, inputs
from graphs import images, variants

from rtbench.backends.measure import random_parameters
from rtbench.backends.numpy_backend import NumPyArithmetic
from rtbench.backends.planned import planned, tick
from rtbench.graph import ACTION, OBSERVATION
from rtbench.unrolling import step

GRAPHS = dict(variants()) | dict(images())


@pytest.mark.parametrize("case", [case[:2] for case in CASES[::2]], ids=str)
def test_the_plan_is_the_step_to_the_last_bit(case):
    for name, graph in GRAPHS.items():
        arithmetic, lags = NumPyArithmetic(random_parameters(graph, 0)), graph.lags(*case)
        plan = planned(graph, lags.edges)
        zeros = {layer.name: np.zeros(layer.state_width, np.float32) for layer in graph.layers}
        zeros |= {OBSERVATION: np.zeros(graph.observation_size, np.float32)}
        zeros |= {ACTION: np.zeros(graph.action_size, np.float32)}
        past: deque[dict[str, np.ndarray]] = deque([zeros] * (1 + max(lags.edges.values())))

        def earlier(node, ticks, past=past):
            return past[ticks - 1][node]

        for observation, action in zip(*inputs(graph, 4), strict=True):
            expected = step(graph, lags, arithmetic, earlier, observation, action)
            found = tick(plan, arithmetic, earlier, observation, action)
            assert list(found) == list(expected)
            for node, value in expected.items():
                np.testing.assert_array_equal(found[node], value, err_msg=f"{name}, {node}")
            past.appendleft(expected)
