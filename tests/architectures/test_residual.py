"""The residual network: its size as printed, its values as torch's own modules give them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.cells import interaction, small_cell
from torch import nn

from rtbench.architectures.residual import EXAMPLE, Params, Residual
from rtbench.backends.measure import random_parameters
from rtbench.errors import SuiteError
from rtbench.graph import ActingSpec
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use

TABLE = [  # convolutions, k, parameters, GFLOP of one pass: reference/staggered_inference.md
    (15, 0.0625, 54_178, 0.0005),
    (15, 1, 903_718, 0.079),
    (15, 7, 10_368_742, 3.70),
    (15, 29, 104_682_918, 63.2),
    (15, 98, 1_008_092_742, 721),
    (30, 0.0625, 70_108, 0.0016),
    (30, 0.75, 922_982, 0.19),
    (30, 4.75, 10_291_558, 7.7),
    (30, 18.5, 99_852_678, 116),
    (30, 63, 998_875_142, 1346),
]


@pytest.mark.parametrize(("convolutions", "k", "parameters", "gflop"), TABLE, ids=str)
def test_sizes_as_printed(convolutions, k, parameters, gflop):
    graph = Residual(Params(k=k, convolutions=convolutions)).make(EXAMPLE)
    assert graph.parameter_count() == parameters
    assert graph.flops() / 1e9 == pytest.approx(gflop, rel=0.06)
    assert len(graph.layers) == convolutions + 2


class Naive(nn.Module):
    """The same network, written with modules on [batch, channels, height, width]."""

    def __init__(self, parameters, strides):
        super().__init__()
        self.layers = [
            {kind: torch.from_numpy(value) for kind, value in layer.items()} for layer in parameters.values()
        ]
        self.strides = strides

    def conv(self, x, padding):
        layer = self.layers[self.at]
        self.at += 1
        kernel = layer["weight"].view(3, 3, x.shape[1], -1).permute(3, 2, 0, 1)
        return nn.functional.conv2d(x, kernel, layer["bias"], padding=padding)

    def forward(self, x):
        self.at = 0
        for stride in self.strides:
            x = nn.functional.max_pool2d(self.conv(x, 0), 3, stride)
            for _ in range(2):
                x = x + self.conv(self.conv(x.relu(), 1).relu(), 1)
        flat = x.relu().permute(0, 2, 3, 1).flatten(1)
        hidden, head = self.layers[-2:]
        return (flat @ hidden["weight"] + hidden["bias"]).relu() @ head["weight"] + head["bias"]


@pytest.mark.parametrize("backend", ["eager", "numpy"])
@pytest.mark.parametrize(("convolutions", "strides"), [(15, (2, 2, 2)), (30, (2, 1, 1, 1, 2, 1))])
def test_values_are_those_of_modules(convolutions, strides, backend):
    graph = Residual(Params(k=0.125, convolutions=convolutions, width=16)).make(
        PolicyShape(60 * 56 * 2, 3, 3, (60, 56, 2))
    )
    parameters = random_parameters(graph, 3)
    seen = np.random.default_rng(0).standard_normal(graph.observation_size, np.float32)
    acting = build(use("backends", backend)).make(ActingSpec(graph, "instant", 0.0), parameters)
    acting.restart(seen)
    found = acting.tick(seen, np.zeros(3, np.float32))
    image = torch.from_numpy(seen).view(1, 60, 56, 2).permute(0, 3, 1, 2)
    np.testing.assert_allclose(found, Naive(parameters, strides)(image)[0].numpy(), atol=2e-5)


def test_sums_are_skip_connections_in_time():
    """Pipelined, an observation reaches the action by every path through the sums; none breaks the invariant."""
    graph = Residual(Params(k=0.0625)).make(EXAMPLE)
    ages = {age for age, _ in graph.ages("pipelined", 1)}
    assert (min(ages), max(ages)) == (11, 17)  # past a sum one layer of a block's two: 3 · (1 + 2) + 2
    assert graph.violations(1) == []


def test_what_it_cannot_be():
    with pytest.raises(SuiteError, match="reads images"):
        Residual(Params()).make(PolicyShape(17, 6, 6))
    with pytest.raises(SuiteError, match="too small"):
        Residual(Params()).make(PolicyShape(100, 6, 6, (10, 10, 1)))
    cell = small_cell(inter=interaction("instant", 0.0))
    assert "leave no filter" in Residual.supports(_with(cell, {"k": 0.01}))
    assert "sac does not train it" in Residual.supports(_with(cell, {}))


def _with(cell, params):
    from dataclasses import replace

    return replace(cell, architecture=use("architectures", "residual", params))
