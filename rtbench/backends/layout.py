"""Where every value of a graph lies in one buffer, what a layer reads there, and which layers may be computed together.

A *frame* holds the values of one tick: observation, action, then every layer's in the graph's order, one number after
the other. Earlier ticks are earlier frames, `depth` of them in a ring. A *stage* is what may be computed at once:
layers that read nothing of this tick but what earlier stages finished. Standard library only: data for any backend.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from rtbench.graph import ACTION, OBSERVATION, SOURCES, Layer, LayerGraph, Shape, outputs

ALIGNED = 16
"""Numbers to a multiple of which the first layer's place and the frame's size are rounded: 64 bytes in float32."""


@dataclass(frozen=True)
class Source:
    """What a read delivers: `width` numbers from `offset` on in the frame of so many ticks ago."""

    offset: int
    width: int
    ticks: int


@dataclass(frozen=True)
class Block:
    """One block of a layer's input: the sum of its sources times `scale`; images of `shape` are max-pooled first."""

    sources: tuple[Source, ...]
    scale: float = 1.0
    shape: Shape | None = None
    pool: tuple[int, int] | None = None

    @property
    def width(self) -> int:
        """Numbers it adds to the input."""
        return prod((*self.pool, self.shape[2])) if self.pool and self.shape else self.sources[0].width

    @property
    def plain(self) -> bool:
        """Whether it is what lies in a frame, unchanged."""
        return len(self.sources) == 1 and self.scale == 1.0 and self.pool is None


@dataclass(frozen=True)
class Place:
    """A layer and where its value lies; `inputs` and `columns` are the shape of its weight, `cell` an LSTM's cell."""

    layer: Layer
    offset: int
    stage: int
    blocks: tuple[Block, ...]
    inputs: int
    columns: int
    cell: Source | None = None

    @property
    def alike(self) -> tuple[object, ...]:
        """What is equal in layers that one batched product can compute."""
        return self.layer.op, self.layer.activation, self.inputs, self.columns, self.layer.name * (not self.stackable)

    @property
    def stackable(self) -> bool:
        """Whether its input is a selection (or sums) of numbers in frames; images are convolved or pooled alone."""
        return self.layer.op != "conv" and all(block.pool is None for block in self.blocks)


@dataclass(frozen=True)
class Layout:
    """The places of a graph under one execution; `zero` is a number of every frame that stays 0."""

    places: tuple[Place, ...]
    action: Source
    observation: Source
    size: int
    depth: int
    zero: int

    @functools.cached_property
    def stages(self) -> tuple[tuple[Place, ...], ...]:
        """What may be computed at once, in order."""
        count = 1 + max(place.stage for place in self.places)
        return tuple(tuple(place for place in self.places if place.stage == stage) for stage in range(count))

    @property
    def head(self) -> Place:
        """The head's place."""
        return self.places[-1]


def layout(graph: LayerGraph, execution: str, delta: float) -> Layout:
    """The places of a graph's values and what every layer reads where."""
    edges = graph.lags(execution, delta).edges
    observation = Source(0, graph.observation_size, 0)
    action = Source(observation.width, graph.action_size, 0)
    begin = _rounded(observation.width + action.width)
    ends = list(itertools.accumulate((layer.state_width for layer in graph.layers), initial=begin))
    offsets = {OBSERVATION: 0, ACTION: action.offset} | dict(zip((v.name for v in graph.layers), ends, strict=False))
    stages: dict[str, int] = {}
    places = []
    for layer in graph.layers:
        ticks = [edges[layer.name, index] for index in range(len(layer.reads))]
        now = [read.source for read, lag in zip(layer.reads, ticks, strict=True) if not lag]
        stages[layer.name] = 1 + max((stages[name] for name in now if name not in SOURCES), default=-1)
        places.append(_place(graph, layer, ticks, offsets, stages[layer.name]))
    size = _rounded(ends[-1] + 1)
    return Layout(tuple(places), action, observation, size, 1 + max(0, *edges.values()), ends[-1])


def groups(places: Iterable[Place]) -> list[tuple[Place, ...]]:
    """Places that are alike, in the order of their first."""
    found: dict[tuple[object, ...], list[Place]] = {}
    for place in places:
        found.setdefault(place.alike, []).append(place)
    return [tuple(group) for group in found.values()]


def _place(graph: LayerGraph, layer: Layer, ticks: list[int], offsets: dict[str, int], stage: int) -> Place:
    blocks, cell, index = [], None, 0
    for term in layer.inputs:
        sources = []
        for read in term.reads:
            sources.append(Source(offsets[read.source], graph.source_width(read), ticks[index]))
            if layer.op == "lstm" and read.recurrent:
                cell = Source(offsets[layer.name] + layer.width, layer.width, ticks[index])
            index += 1
        # pooling or convolving is all that a shape is for
        shape = graph.source_shape(term.reads[0]) if term.pool or layer.op == "conv" else None
        blocks.append(Block(tuple(sources), term.scale, shape, term.pool))
    inputs, columns = graph.input_width(layer), outputs(layer)
    return Place(layer, offsets[layer.name], stage, tuple(blocks), inputs, columns, cell)


def _rounded(numbers: int) -> int:
    return -(-numbers // ALIGNED) * ALIGNED
