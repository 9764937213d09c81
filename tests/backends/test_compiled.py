"""TorchInductor's tick: as eager, whatever changes. Two graphs only, as each takes seconds to compile.

Between them they have every operation, sums, skips, augmentation and pooling that an architecture here is made of; that
`compiled` equals eager for every registered architecture is a run by hand: `RTBENCH_COMPILED=all` before this module.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from backends.playing import TOLERANCE, inputs, made, played
from graphs import images, large_images, variants

from rtbench.architectures.residual import Params, Residual
from rtbench.backends.measure import random_parameters
from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use

RESIDUAL = Residual(Params(k=0.125, width=6)).make(PolicyShape(42 * 40 * 2, 3, 3, (42, 40, 2)))
GRAPHS = dict(variants()) | dict(images()) | dict(large_images()) | {"residual": RESIDUAL}
CHOSEN = ["4-to-action-res-lstm-observation", "cnn-to-action-res-relu-3-none"]
NAMES = sorted(GRAPHS) if os.environ.get("RTBENCH_COMPILED") == "all" else CHOSEN


@pytest.mark.parametrize("name", NAMES)
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


def test_double_precision_is_converted_and_other_arrays_are_taken():
    graph, case = GRAPHS["2-none-relu-none"], ("instant", 1.0, "zero")
    plain, others, given = random_parameters(graph, 0), random_parameters(graph, 1), inputs(graph, 2)
    double = {name: {kind: array.astype(float) for kind, array in layer.items()} for name, layer in plain.items()}
    policy = made("compiled", graph, case, double)
    np.testing.assert_allclose(played(policy, *given), played(made("numpy", graph, case, plain), *given), **TOLERANCE)
    for layers in (plain, double):
        layers["head"]["bias"] += 0.5
    np.testing.assert_allclose(played(policy, *given), played(made("numpy", graph, case, plain), *given), **TOLERANCE)
    double.update(others)
    policy.refresh()
    np.testing.assert_allclose(played(policy, *given), played(made("numpy", graph, case, others), *given), **TOLERANCE)


def test_a_compiler_that_fails_is_told_of(monkeypatch, tmp_path):
    """What Inductor throws has many names; here it is one line that says who failed."""

    def failing(*given, **how):
        raise OSError("CppCompileError: g++ fails\nwith many lines")

    monkeypatch.setattr(torch._inductor, "compile", failing)
    with pytest.raises(RtbenchError, match="cannot compile this: CppCompileError: g\\+\\+ fails") as caught:
        made("compiled", GRAPHS["2-none-relu-none"], ("instant", 1.0, "zero"))
    assert "many lines" not in str(caught.value)
    assert "CXX" in caught.value.hint


def test_compiled_needs_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    reason = build(use("backends", "compiled")).refuses(ActingSpec(GRAPHS["1-none-relu-none"], "instant", 1.0))
    assert "C++ compiler" in reason
