"""TorchInductor's tick: as eager, whatever changes. Two graphs only, as each takes seconds to compile."""

from __future__ import annotations

import numpy as np
import pytest
from backends.playing import TOLERANCE, inputs, made, played
from graphs import images, variants

from rtbench.backends.measure import random_parameters
from rtbench.plugins import build, use

GRAPHS = dict(variants()) | dict(images())


@pytest.mark.parametrize("name", ["4-to-action-res-lstm-observation", "cnn-to-action-res-relu-3-none"])
def test_compiled_equals_eager_when_parameters_change_and_after_a_checkpoint(name):
    """Sums, memory, augmentation; convolutions and pooling."""
    graph, case = GRAPHS[name], ("pipelined", 0.4, "hold")
    parameters = random_parameters(graph, 0)
    policies = [made(backend, graph, case, parameters, batch=2) for backend in ("eager", "compiled")]
    for seed in (0, 1):
        expected, found = (played(policy, *inputs(graph, batch=2, seed=seed)) for policy in policies)
        np.testing.assert_allclose(found, expected, **TOLERANCE)
        for layer in parameters.values():
            layer["weight"] *= np.float32(1.5)
            layer["bias"] += np.float32(0.25)
    state, given = policies[1].state(), inputs(graph, batch=2, seed=2)
    went_on = played(policies[1], *given, restart=False)
    policies[1].restore(state)
    np.testing.assert_array_equal(played(policies[1], *given, restart=False), went_on)


def test_compiled_needs_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    reason = build(use("backends", "compiled")).refuses(GRAPHS["1-none-relu-none"], "instant", 1.0)
    assert "C++ compiler" in reason
