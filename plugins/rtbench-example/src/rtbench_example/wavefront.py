"""A network in which every layer also reads the newest observation and the action before."""

from __future__ import annotations

from dataclasses import dataclass

from rtbench.cell import Cell
from rtbench.graph import GraphBuilder, LayerGraph
from rtbench.parts import Architecture, PolicyShape, param


@dataclass(frozen=True)
class Params:
    """How deep, how wide."""

    layers: int = param(3, unit="layers", doc="layers with the head; each takes delta environment steps")
    width: int = param(64, unit="neurons", doc="neurons of every hidden layer")


class Wavefront(Architecture):
    """Every layer reads the layer below, the newest observation, and the action before (say where it is from)."""

    Params = Params
    revision = 1

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """At least the head and one layer below."""
        if cell.architecture.params["layers"] < 2:
            return "example/wavefront needs at least two layers"
        return None

    def make(self, shape: PolicyShape) -> LayerGraph:
        """The graph; `ago(k)` is a value k ticks further back."""
        graph = GraphBuilder(shape.observation_size, shape.action_size)
        fresh = [graph.observation, graph.action.ago(1)]
        below = graph.layer(self.params.width, fresh)
        for _ in range(self.params.layers - 2):
            below = graph.layer(self.params.width, [*fresh, below])
        return graph.head(shape.output_size, [*fresh, below])
