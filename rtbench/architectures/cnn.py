"""Convolutional networks of Handling Delay: three convolutions and two fully connected layers, skips through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtbench.architectures.cnn_family import Convolutional, ConvolutionalParams, Reads
from rtbench.graph import GraphBuilder, Read
from rtbench.parts import param


@dataclass(frozen=True)
class Params(ConvolutionalParams):
    """Convolutions, width, skip connections, recurrence, augmentation."""

    skips: Literal["none", "from-obs", "to-action", "to-action-res"] = param(
        "none", doc="temporal skip connections (Handling Delay, Section 5.2, Figure 14)"
    )


class CNN(Convolutional):
    """Three convolutions, a fully connected layer, a head (Handling Delay, Sections 5.2 and 6, Appendix E, Figure 14).

    c^i is what convolution i finishes in a tick; images are max-pooled to the size of those they are joined with, in
    fully connected layers to the last one's. `from-obs`: every layer also reads the newest observation. `to-action`:
    the last two layers also read the observation and every convolution, the head so all. `to-action-res`: the same, and
    a convolution also reads the one before that which it stands on, joined along the channels as widths differ.

    Published code lets no skip connection reach the head: see `cnn-published`.
    """

    Params = Params
    name = "cnn"

    def _between(self, graph: GraphBuilder, fresh: list[Read], features: list[Read]) -> Reads:
        below = features[-1]
        skipped = {"from-obs": fresh, "to-action-res": features[-2:-1]}.get(self.params.skips, [])
        return [below, *(graph.pooled(read, below) for read in skipped)]

    def _above(self, graph: GraphBuilder, fresh: list[Read], features: list[Read]) -> tuple[Reads, Reads]:
        skips = self.params.skips
        sources = {"none": [], "from-obs": fresh}.get(skips, [*fresh, *features])
        skipped = [graph.pooled(read, features[-1]) for read in sources]
        below = [] if skips.startswith("to-action") else [features[-1]]
        return [*skipped, *below], [*skipped]
