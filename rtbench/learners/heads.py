"""What learners of action values make of an architecture's last layers."""

from __future__ import annotations

import dataclasses

from rtbench.errors import RtbenchError
from rtbench.graph import Layer, LayerGraph, Read, Term

ATOMS = 51
"""Of a distribution of returns (C51)."""
ADVANTAGE = " (advantage)"
"""What is added to the name of the layer beside the last hidden one."""


def unchanged(graph: LayerGraph) -> LayerGraph:
    """The graph itself."""
    return graph


def last_hidden(graph: LayerGraph) -> Layer:
    """The fully connected layer that the head alone reads; RtbenchError if there is none."""
    head = graph.head
    sources = [read.source for read in head.reads]
    found = graph.by_name.get(sources[0]) if len(sources) == 1 else None
    if found is None or found.op != "linear":
        raise RtbenchError(
            "the head must read one fully connected layer and nothing else",
            place="two streams",
            given=", ".join(sources),
            hint="residual, cnn and mlp without skip connections are such networks",
        )
    return found


def dueling(graph: LayerGraph) -> LayerGraph:
    """The last hidden layer twice, for the value and for the advantages, and a head on both (Wang et al. 2016).

    The combination V + A − mean A is linear in what the two give, so it is a matter of the head's weights.
    """
    hidden = last_hidden(graph)
    beside = dataclasses.replace(hidden, name=hidden.name + ADVANTAGE)
    head = dataclasses.replace(graph.head, inputs=(*graph.head.inputs, Term((Read(beside.name),))))
    return dataclasses.replace(graph, layers=(*graph.layers[:-1], beside, head))
