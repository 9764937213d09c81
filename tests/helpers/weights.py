"""Random parameters as a backend reads them."""

from __future__ import annotations

import numpy as np


def normal_weights(graph, seed=0, scale=1.0):
    """{layer: {"weight" [inputs, outputs], "bias" [outputs]}}, float32, of a standard normal times `scale`."""
    return drawn_weights(graph, np.random.default_rng(seed), scale)


def drawn_weights(graph, rng, scale=1.0):
    """The same from a generator that goes on."""
    gates = {"lstm": 4}
    outputs = {layer.name: gates.get(layer.op, 1) * layer.width for layer in graph.layers}
    return {
        layer.name: {
            "weight": scale * rng.normal(size=(graph.input_width(layer), outputs[layer.name])).astype(np.float32),
            "bias": scale * rng.normal(size=outputs[layer.name]).astype(np.float32),
        }
        for layer in graph.layers
    }
