"""The baseline: no more torch calls than an ordinary network makes; what is worked out once is not looked up again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from backends.playing import TOLERANCE, inputs, made, played
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from rtbench.backends.measure import random_parameters
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use

SHAPE = PolicyShape(256, 6, 256)
VIEWS = {"lift_fresh", "view", "_unsafe_view", "reshape", "alias", "detach", "t", "transpose"}


class Counting(TorchDispatchMode):
    """The operators that reach a kernel, by name."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def network(layers, **params):
    return build(use("architectures", "mlp", {"layers": layers, "width": 256, **params})).make(SHAPE)


def calls_of_a_tick(graph, execution):
    policy, (observations, actions) = made("eager", graph, (execution, 1.0, "zero")), inputs(graph, 3)
    policy.restart(observations[0])
    policy.tick(observations[0], actions[0])
    with Counting() as counting:
        policy.tick(observations[1], actions[1])
    return Counter({name: count for name, count in counting.calls.items() if name not in VIEWS})


@pytest.mark.parametrize("execution", ["sequential", "pipelined"])
def test_a_layer_is_a_product_with_its_bias_and_a_rectifier(execution):
    for layers in (1, 3, 10):
        assert calls_of_a_tick(network(layers), execution) == Counter(addmm=layers, relu_=layers - 1)


def test_what_is_joined_costs_one_call_more():
    found = calls_of_a_tick(network(5, skips="from-obs"), "pipelined")
    assert found == Counter(addmm=5, relu_=4, cat=4)


def test_it_is_an_ordinary_network():
    """The same weights in nn.Sequential, and as few operators as that makes."""
    graph = network(4)
    parameters = random_parameters(graph, 0)
    modules = []
    for layer in graph.layers:
        linear = nn.Linear(256, layer.width)
        linear.weight.data = torch.from_numpy(parameters[layer.name]["weight"]).t()
        linear.bias.data = torch.from_numpy(parameters[layer.name]["bias"])
        modules += [linear, nn.ReLU()]
    plain = nn.Sequential(*modules[:-1])
    observations, actions = inputs(graph, 3)
    found = played(made("eager", graph, ("sequential", 1.0, "zero"), parameters), observations, actions)[1:]
    with torch.no_grad(), Counting() as counting:
        expected = plain(torch.from_numpy(observations)).numpy()
    np.testing.assert_allclose(found, expected, **TOLERANCE)
    ordinary = sum(count for name, count in counting.calls.items() if name not in VIEWS)
    assert calls_of_a_tick(graph, "sequential").total() <= ordinary


def test_large_products_are_those_of_training():
    """Above a size a batch goes the way that is faster there; the values are the same."""
    graph = network(3)
    expected, found = (played(made(name, graph, batch=64), *inputs(graph, 4, 64)) for name in ("numpy", "eager"))
    np.testing.assert_allclose(found, expected, **TOLERANCE)
