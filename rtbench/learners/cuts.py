"""Cutting a path to the action: the same policy with one edge's input held at zero (Handling Delay, Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtbench.errors import SuiteError
from rtbench.graph import Layer, LayerGraph

ARROW = "->"
_SHORT = {"obs": "observation", "policy": "head"}

Parameters = Mapping[str, Mapping[str, NDArray[np.float32]]]


def cuttable(graph: LayerGraph, reader: str = "") -> list[str]:
    """The edges that can be cut, as 'observation->head'; with `reader` those into one layer.

    An edge that is summed with others before the layer reads it has no weights of its own, and neither has the state
    an LSTM keeps.
    """
    layers = [layer for layer in graph.layers if reader in ("", layer.name)]
    return [f"{source}{ARROW}{layer.name}" for layer in layers for source in _sources(layer)]


def cut(graph: LayerGraph, parameters: Parameters, edge: str) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Parameters with the rows of the reader's weight that the edge feeds set to zero, at whatever lag it is read.

    `obs` and `policy` stand for observation and head. Raises SuiteError naming the edges that can be cut.
    """
    source, reader = parse_edge(edge)
    name = f"{source}{ARROW}{reader}"
    if name not in cuttable(graph):
        raise SuiteError(f"cannot cut {edge!r}: {_reason(graph, source, reader)}", given=name, allowed=cuttable(graph))
    layer = graph.by_name[reader]
    weight = np.array(parameters[reader]["weight"])
    row = 0
    for term in layer.inputs:
        width = graph.source_width(term.reads[0])
        if term.reads[0].source == source:
            weight[row : row + width] = 0
        row += width
    changed: dict[str, dict[str, Any]] = {name: dict(values) for name, values in parameters.items()}
    changed[reader]["weight"] = weight
    return changed


def parse_edge(edge: str) -> tuple[str, str]:
    """(source, reader) of 'obs->policy' with the graph's names; SuiteError if it is no edge."""
    source, arrow, reader = (part.strip() for part in edge.partition(ARROW))
    if not (source and arrow and reader):
        raise SuiteError(f"not an edge: {edge!r}", hint="write it as observation->head")
    return _SHORT.get(source, source), _SHORT.get(reader, reader)


def _sources(layer: Layer) -> list[str]:
    """What a layer reads by weights of its own, in the order of its inputs."""
    alone = [term.reads[0] for term in layer.inputs if len(term.reads) == 1]
    shared = {read.source for term in layer.inputs if len(term.reads) > 1 for read in term.reads}
    return list(dict.fromkeys(read.source for read in alone if not read.recurrent and read.source not in shared))


def _reason(graph: LayerGraph, source: str, reader: str) -> str:
    layer = graph.by_name.get(reader)
    if layer is None:
        return f"there is no layer {reader!r}"
    reads = [read for read in layer.reads if read.source == source]
    if not reads:
        return f"{reader} does not read {source}"
    if any(read.recurrent for read in reads):
        return f"{reader}'s own state reaches it by other ways than weights"
    return f"{reader} reads {source} summed with others"
