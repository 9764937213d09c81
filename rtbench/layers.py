"""What a layer of a graph is, as data: its operation, its width, what it reads. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Literal

Shape = tuple[int, int, int]
"""Of an image: height, width, channels. Images lie flat in this order wherever values are passed on."""

OBSERVATION = "observation"
ACTION = "action"
SOURCES = (OBSERVATION, ACTION)


@dataclass(frozen=True)
class Read:
    """An edge: the newest finished value of `source`, `ticks_ago` ticks further back.

    `recurrent` marks a back edge: it lags at least one tick and is not a path from an observation to the action.
    `premature` reads this tick's value before it can be ready, as some published graphs do; `violations` says so.
    """

    source: str
    ticks_ago: int = 0
    recurrent: bool = False
    premature: bool = False

    def ago(self, ticks: int) -> Read:
        """The same edge, `ticks` further back (a history edge)."""
        return replace(self, ticks_ago=self.ticks_ago + ticks)

    def now(self) -> Read:
        """The value of this very tick, whether it can be ready or not."""
        return replace(self, premature=True)


@dataclass(frozen=True)
class Term:
    """One block of a layer's concatenated input: the sum of some reads, times `scale`. Costs no time.

    `pool`: the (height, width) to which images are max-pooled first, each output cell over its even share of the input
    (from ⌊i·H/h⌋ to ⌈(i + 1)·H/h⌉).
    """

    reads: tuple[Read, ...]
    scale: float = 1.0
    pool: tuple[int, int] | None = None


@dataclass(frozen=True)
class Convolution:
    """A square convolution: kernel, stride, and how many zeros stand around the image, in pixels."""

    kernel: int
    stride: int = 1
    padding: int = 0

    def size(self, length: int) -> int:
        """Length of the output along an axis of the input."""
        return (length + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class Layer:
    """A node: `linear` (activation of W·x + b), `conv` (the same, of patches), or `lstm` (output and cell state).

    An image layer has a `shape`; its `width` is their product. What a convolution reads is joined along the channels,
    what others read is flattened; a convolution's `image` is the (height, width) of what it reads, and it never reads
    back. `dropout`: the probability that a neuron's value is 0 at a tick, in training and in acting; others are scaled
    up. A convolution may rectify what it reads (`rectifies`), max-pool what it gives (`pool`, without padding), and add
    its last block to that (`residual`), before its activation.
    """

    name: str
    op: Literal["linear", "lstm", "conv"]
    width: int
    activation: Literal["relu", "none"]
    inputs: tuple[Term, ...]
    dropout: float = 0.0
    convolution: Convolution | None = None
    image: tuple[int, int] | None = None
    shape: Shape | None = None
    rectifies: bool = False
    pool: Convolution | None = None
    residual: bool = False

    def __post_init__(self) -> None:
        if self.op == "lstm" and self.dropout:
            raise ValueError(f"layer {self.name}: an LSTM with dropout would lose the cell it is to remember")

    @property
    def weighted(self) -> tuple[Term, ...]:
        """The blocks that weights are multiplied with: all, but for what is added as it is."""
        return self.inputs[:-1] if self.residual else self.inputs

    @property
    def reads(self) -> tuple[Read, ...]:
        """Everything it reads, in the order of its blocks."""
        return tuple(read for term in self.inputs for read in term.reads)

    @property
    def state_width(self) -> int:
        """Width of the stored value: an LSTM keeps its cell state beside its output."""
        return 2 * self.width if self.op == "lstm" else self.width

    @property
    def recurrent(self) -> bool:
        """Whether it reads a value back in time that depends on its own."""
        return any(read.recurrent for read in self.reads)


def outputs(layer: Layer) -> int:
    """Columns of a layer's weights: its width, four gates of it, or the channels of a convolution."""
    if layer.op == "conv":
        assert layer.shape is not None
        return layer.shape[2]
    return 4 * layer.width if layer.op == "lstm" else layer.width


def places(layer: Layer) -> int:
    """How often a layer's weights are used in one pass: at every place of a convolution."""
    if layer.convolution is None or layer.image is None:
        return 1
    return prod(layer.convolution.size(length) for length in layer.image)
