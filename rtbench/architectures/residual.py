"""The residual convolutional network of Staggered Asynchronous Inference, at any width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtbench.errors import SuiteError
from rtbench.graph import Convolution, GraphBuilder, LayerGraph, Read
from rtbench.parts import Architecture, PolicyShape, param

if TYPE_CHECKING:
    from rtbench.cell import Cell

EXAMPLE = PolicyShape(84 * 84, 6, 6, (84, 84, 1))
_LARGER, _SAME = Convolution(3), Convolution(3, padding=1)
# Of every stage: filters in units of 16 k, and the stride of its pooling.
_STAGES: dict[int, tuple[tuple[int, int], ...]] = {
    15: ((1, 2), (2, 2), (2, 2)),
    30: ((1, 2), (2, 1), (2, 1), (2, 1), (2, 2), (2, 1)),
}


@dataclass(frozen=True)
class Params:
    """How wide and how deep."""

    k: float = param(1.0, doc="scale of the filters: 16 k in the first stage, 32 k in the others")
    convolutions: Literal[15, 30] = param(15, unit="layers", doc="three stages of five convolutions, or six")
    width: int = param(512, unit="neurons", doc="of the fully connected layer before the head")


class Residual(Architecture):
    """Stages of a convolution, a max-pooling and two residual blocks; a fully connected layer; the head.

    A stage: 3×3 convolution without padding, 3×3 max-pooling without padding, then twice x + conv(relu(conv(relu(x))))
    with padding 1. Strides of the poolings: 2, 2, 2, or 2, 1, 1, 1, 2, 1 with 30 convolutions. Every convolution is a
    layer of the graph, so under `pipelined` the sums are temporal skip connections; under `sequential` with a `latency`
    the whole network takes the time of one inference, as in the paper. Source: Staggered Asynchronous Inference,
    Section 5 and Appendix A.
    """

    Params = Params
    example = EXAMPLE

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """At least one filter; a learner that trains it as it is."""
        p = cell.architecture.params
        if round(16 * p["k"]) < 1 or p["width"] < 1:
            return f"architecture residual: k = {p['k']} and width = {p['width']} leave no filter or no neuron"
        if cell.learner.name in ("sac", "distillation", "ppo"):
            return f"architecture residual: {cell.learner.name} does not train it; dqn, rainbow and stream-q do"
        return None

    def make(self, shape: PolicyShape) -> LayerGraph:
        """The graph; SuiteError if observations are no images or too small."""
        p: Params = self.params
        place = "architecture residual"
        if shape.observation_shape is None:
            raise SuiteError(
                f"it reads images [height, width, channels], and an observation has {shape.observation_size} values",
                place=place,
                hint="`mlp` reads any observation",
            )
        graph = GraphBuilder(shape.observation_size, shape.action_size, shape.observation_shape)
        below = graph.observation
        stages = _STAGES[p.convolutions]
        try:
            for number, (filters, stride) in enumerate(stages, start=1):
                below = _stage(graph, below, round(16 * filters * p.k), stride, last=number == len(stages))
        except ValueError as error:
            raise SuiteError(f"images of {shape.observation_shape} are too small: {error}", place=place) from error
        return graph.head(shape.output_size, [graph.layer(p.width, [below])])


def _stage(graph: GraphBuilder, below: Read, filters: int, stride: int, *, last: bool) -> Read:
    x = graph.convolution(filters, [below], _LARGER, activation="none", pool=Convolution(3, stride))
    for block in (1, 2):
        inner = graph.convolution(filters, [x], _SAME, rectifies=True)
        # What follows the last sum is a rectified fully connected layer's input.
        after: Literal["relu", "none"] = "relu" if last and block == 2 else "none"
        x = graph.convolution(filters, [inner], _SAME, activation=after, residual=x)
    return x
