"""Every registered architecture's variants, and random weights for them."""

from __future__ import annotations

import itertools

import numpy as np

from rtbench.architectures.mlp import MLP, Params
from rtbench.parts import PolicyShape

SHAPE = PolicyShape(observation_size=5, action_size=2, output_size=4)
DELTAS = (0.4, 0.5, 0.7, 1, 1.5, 2, 3, 4)


def variants():
    """(name, graph) for layers × skips × lstm × augmentation."""
    skips = ("none", "from-obs", "to-action", "to-action-res", "all")
    for layers, skip, lstm, augmentation in itertools.product(
        (1, 2, 3, 4, 5), skips, (False, True), ("none", "observation", "in-flight")
    ):
        if layers == 1 and (skip != "none" or lstm):
            continue
        params = Params(layers=layers, width=6, skips=skip, lstm=lstm, augmentation=augmentation)
        yield f"{layers}-{skip}-{'lstm' if lstm else 'relu'}-{augmentation}", MLP(params).make(SHAPE)


def weights(graph, seed=0):
    """{layer: (weight [inputs, outputs], bias [outputs])} in float64."""
    rng = np.random.default_rng(seed)
    found = {}
    for layer in graph.layers:
        outputs = layer.width * (4 if layer.op == "lstm" else 1)
        inputs = graph.input_width(layer) if layer.op == "linear" else recurrent_input_width(graph, layer)
        found[layer.name] = (rng.normal(size=(inputs, outputs)) / np.sqrt(inputs), rng.normal(size=outputs))
    return found


def recurrent_input_width(graph, layer):
    """An LSTM's matrix reads its inputs and its own output, not its cell."""
    return graph.input_width(layer)
