"""The skip network of Handling Delay as its code has it: faster than its own layers allow, kept for comparison."""

from __future__ import annotations

from dataclasses import dataclass

from rtbench.architectures.cnn_family import Convolutional, ConvolutionalParams, Reads
from rtbench.graph import GraphBuilder, Read
from rtbench.parts import param


@dataclass(frozen=True)
class Params(ConvolutionalParams):
    """Convolutions, width, the residual variant, recurrence, augmentation."""

    residual: bool = param(True, doc="convolutions also read what the one below finishes in the same tick, prematurely")


class CNNPublished(Convolutional):
    """Skip connections into the fully connected layer only (published code of Handling Delay).

    The last layer but one reads the observation and every convolution, max-pooled; the head reads it alone, so that an
    action rests on an observation two ticks old at the newest. In the residual variant, the code's default, convolution
    i > 1 reads what convolution i − 1 finished a tick ago and what it finishes in this very tick. The latter takes an
    observation through several convolutions in the time of one, which the paper's constraint forbids: rows state it.
    """

    Params = Params
    name = "cnn-published"

    def _between(self, graph: GraphBuilder, fresh: list[Read], features: list[Read]) -> Reads:
        below = features[-1]
        return [below, below.now()] if self.params.residual else [below]

    def _above(self, graph: GraphBuilder, fresh: list[Read], features: list[Read]) -> tuple[Reads, Reads]:
        return [graph.pooled(read, features[-1]) for read in (*fresh, *features)], []
