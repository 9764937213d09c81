"""A network as a `LayerGraph`: layers are nodes, edges say what a layer reads; ages, plan and unrolling follow.

The tick rule, once: a tick lasts max(1, δ) environment steps; a layer takes d = min(1, δ) of it (d = 0 when all layers
act on one observation: `instant`, `sequential`). A layer with n layers on its longest path to the action starts at
phase −n·d mod 1; observation and action stand at phase 0. A reader takes the newest value finished when it starts, so
lag(u→v) = ⌈φ(u) + d(u) − φ(v)⌉ ticks and head→action ⌈φ + d⌉. See Handling Delay, Section 3.1.

Standard library and `rtbench.layers` only: a backend brings the arithmetic.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, prod
from typing import Literal

from rtbench.layers import (
    ACTION,
    OBSERVATION,
    SOURCES,
    Convolution,
    Layer,
    Read,
    Shape,
    Term,
    outputs,
    places,
)

__all__ = [
    "ACTION",
    "OBSERVATION",
    "SOURCES",
    "ActingSpec",
    "Convolution",
    "GraphBuilder",
    "Lags",
    "Layer",
    "LayerGraph",
    "Plan",
    "Read",
    "Shape",
    "Start",
    "Term",
    "layer_share",
    "outputs",
]


@dataclass(frozen=True)
class Lags:
    """Ticks back for every edge (layer name, index among its reads) and from the head to the applied action."""

    edges: Mapping[tuple[str, int], int]
    head: int


@dataclass(frozen=True)
class Plan:
    """What one action needs: (layer, ticks before the head) in order of evaluation, and the ticks it reads."""

    nodes: tuple[tuple[str, int], ...]
    observation_ticks: tuple[int, ...]
    action_ticks: tuple[int, ...]

    @property
    def window_ticks(self) -> int:
        """Ticks from the oldest read to the head, both included."""
        return 1 + max((*self.observation_ticks, *self.action_ticks, *(ticks for _, ticks in self.nodes)))


@dataclass(frozen=True)
class LayerGraph:
    """Layers in the order of evaluation; the last one is the head.

    `augmented_actions`: how many past actions were appended to the observation, which a critic then sees as well.
    `observation_shape`: of an image.
    """

    layers: tuple[Layer, ...]
    observation_size: int
    action_size: int
    augmented_actions: int = 0
    observation_shape: Shape | None = None

    @property
    def head(self) -> Layer:
        """The output layer, the last one."""
        return self.layers[-1]

    @property
    def recurrent(self) -> bool:
        """Whether a layer reads itself, or one after it, back in time."""
        return any(layer.recurrent for layer in self.layers)

    @property
    def random(self) -> bool:
        """Whether layers draw (dropout), so that equal inputs give different outputs."""
        return any(layer.dropout for layer in self.layers)

    @functools.cached_property
    def by_name(self) -> dict[str, Layer]:
        """The layers by name."""
        return {layer.name: layer for layer in self.layers}

    def source_width(self, read: Read) -> int:
        """Width of what a read delivers."""
        if read.source == OBSERVATION:
            return self.observation_size
        return self.action_size if read.source == ACTION else self.by_name[read.source].width

    def source_shape(self, read: Read) -> Shape | None:
        """Shape of what a read delivers, None if it is no image."""
        if read.source in SOURCES:
            return self.observation_shape if read.source == OBSERVATION else None
        return self.by_name[read.source].shape

    def term_shape(self, term: Term) -> Shape | None:
        """Shape of a block after pooling, None if it is no image."""
        shape = self.source_shape(term.reads[0])
        return (*term.pool, shape[2]) if shape and term.pool else shape

    def input_width(self, layer: Layer) -> int:
        """Width of a layer's concatenated input; of a convolution, of one patch."""
        if layer.convolution:
            channels = sum(shape[2] for term in layer.weighted if (shape := self.term_shape(term)))
            return layer.convolution.kernel**2 * channels
        return sum(self._term_width(term) for term in layer.inputs)

    def _term_width(self, term: Term) -> int:
        shape = self.term_shape(term)
        return prod(shape) if shape else self.source_width(term.reads[0])

    def rows(self, layer: Layer) -> tuple[slice, ...]:
        """The rows of a layer's weights that belong to each block of its input (not of a convolution)."""
        ends = list(itertools.accumulate((self._term_width(term) for term in layer.inputs), initial=0))
        return tuple(slice(begin, end) for begin, end in itertools.pairwise(ends))

    def parameter_count(self) -> int:
        """Weights and biases (an LSTM has four gates and one bias each, a convolution one bias per channel)."""
        return sum((self.input_width(v) + 1) * outputs(v) for v in self.layers)

    def flops(self) -> int:
        """Multiplications and additions of one pass through all layers at batch 1 (2 per weight and place)."""
        return sum(2 * self.input_width(v) * outputs(v) * places(v) for v in self.layers)

    # ---- time ----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def heights(self) -> dict[str, int]:
        """Layers on the longest path from a layer to the action, itself included."""
        heights: dict[str, int] = {}
        for layer in reversed(self.layers):
            readers = [v for v in self.layers if any(r.source == layer.name and not r.recurrent for r in v.reads)]
            heights[layer.name] = 1 + max((heights[v.name] for v in readers), default=0)
        return heights

    def phases(self, execution: str, delta: float | Fraction) -> dict[str, Fraction]:
        """When a layer starts within a tick, as a share of it (0 where all layers act on one observation)."""
        share = layer_share(execution, delta)
        return {name: -height * share % 1 for name, height in self.heights.items()}

    def lags(self, execution: str, delta: float | Fraction) -> Lags:
        """Ticks back for every edge; `delta` in environment steps per layer, exact as the decimal it is written as."""
        share = layer_share(execution, delta)
        phase = self.phases(execution, delta)

        def lag(source: str, reader: str) -> int:
            took = Fraction(0) if source in SOURCES else share
            return ceil(phase.get(source, Fraction(0)) + took - phase[reader])

        head = ceil(phase[self.head.name] + share)
        # Under `instant` the action of this very tick is what is being computed, so the newest known is one tick old.
        newest_action = 1 if execution == "instant" else 0
        edges: dict[tuple[str, int], int] = {}
        for layer in self.layers:
            for index, read in enumerate(layer.reads):
                base = 0 if read.premature else lag(read.source, layer.name)
                base = max(1, base) if read.recurrent else max(0, base)
                ticks = base + read.ticks_ago
                edges[layer.name, index] = max(ticks, newest_action) if read.source == ACTION else ticks
        return Lags(edges, head)

    def ages(self, execution: str, delta: float | Fraction) -> frozenset[tuple[int, int]]:
        """(age in ticks, layers passed) of every path from an observation to the action."""
        lags = self.lags(execution, delta)
        arriving: dict[str, frozenset[tuple[int, int]]] = {}
        for layer in self.layers:
            paths: set[tuple[int, int]] = set()
            for index, read in enumerate(layer.reads):
                if read.recurrent or read.source == ACTION:
                    continue
                ticks = lags.edges[layer.name, index]
                below = {(0, 0)} if read.source == OBSERVATION else arriving[read.source]
                paths |= {(age + ticks, passed + 1) for age, passed in below}
            arriving[layer.name] = frozenset(paths)
        return frozenset((age + lags.head, passed) for age, passed in arriving[self.head.name])

    def violations(self, delta: float | Fraction) -> list[str]:
        """Paths that break L(s_{t−k}, a_t) ≤ ⌊k/δ⌋ when pipelined (Handling Delay, Section 3.1); empty if none."""
        exact = _fraction(delta)
        tick_steps = max(Fraction(1), exact)
        return [
            f"{passed} layers on an observation {age * tick_steps} steps old, allowed {floor(age * tick_steps / exact)}"
            for age, passed in sorted(self.ages("pipelined", delta))
            if passed > floor(age * tick_steps / exact)
        ]

    def plan(self, execution: str, delta: float | Fraction, burn_in_ticks: int = 0) -> Plan:
        """The nodes one action depends on, nothing else; recurrent edges are followed for `burn_in_ticks`."""
        lags = self.lags(execution, delta)
        order: list[tuple[str, int]] = []
        # A node is needed with the largest remaining burn-in any path leaves it; recurrence walks back in time only,
        # so visiting by decreasing burn-in and keeping the first visit is exact.
        best: dict[tuple[str, int], int] = {}
        pending = [(self.head.name, 0, burn_in_ticks)]
        while pending:
            name, ticks, left = pending.pop()
            if best.get((name, ticks), -1) >= left:
                continue
            best[name, ticks] = left
            for index, read in enumerate(self.by_name[name].reads):
                if read.source in SOURCES or (read.recurrent and left == 0):
                    continue
                pending.append((read.source, ticks + lags.edges[name, index], left - read.recurrent))
        rank = {layer.name: position for position, layer in enumerate(self.layers)}
        order = sorted(best, key=lambda node: (-node[1], rank[node[0]]))
        seen: dict[str, set[int]] = {OBSERVATION: set(), ACTION: set()}
        for name, ticks in order:
            for index, read in enumerate(self.by_name[name].reads):
                if read.source in SOURCES:
                    seen[read.source].add(ticks + lags.edges[name, index])
        return Plan(tuple(order), tuple(sorted(seen[OBSERVATION])), tuple(sorted(seen[ACTION])))


def layer_share(execution: str, delta: float | Fraction) -> Fraction:
    """d: the share of a tick one layer takes; 0 where all layers act on one observation."""
    return Fraction(0) if execution in ("instant", "sequential") else min(Fraction(1), _fraction(delta))


def _fraction(value: float | Fraction) -> Fraction:
    return value if isinstance(value, Fraction) else Fraction(repr(value))


# ---- declaring -------------------------------------------------------------------------------------------------------


Start = str
"""'zero' masks node values before an episode's first tick, 'hold' gives them one pass on the first observation."""


@dataclass(frozen=True)
class ActingSpec:
    """What a backend is asked to execute: a graph, how, what precedes the first tick, and how many rows at once.

    `seed` is for random layers. With a `batch` above 1 observations, actions and outputs are [batch, size], all rows in
    lockstep. `fixed` parameters stay as they are until something is told to take them anew.
    """

    graph: LayerGraph
    execution: str
    delta: float
    start: Start = "zero"
    seed: int = 0
    batch: int = 1
    fixed: bool = False

    @property
    def lags(self) -> Lags:
        """How many ticks back every edge reads."""
        return self.graph.lags(self.execution, self.delta)


class GraphBuilder:
    """Declares a graph layer by layer; `head` finishes it."""

    def __init__(self, observation_size: int, action_size: int, observation_shape: Shape | None = None) -> None:
        """`observation_shape`: of an image; ValueError if it does not have the size."""
        if observation_shape and prod(observation_shape) != observation_size:
            raise ValueError(f"an image of {observation_shape} does not have {observation_size} values")
        self.observation = Read(OBSERVATION)
        self.action = Read(ACTION)
        self._sizes, self._observation_shape = (observation_size, action_size), observation_shape
        self._layers: list[Layer] = []

    def layer(
        self,
        width: int,
        reads: Sequence[Read | Term],
        *,
        op: Literal["linear", "lstm"] = "linear",
        dropout: float = 0.0,
    ) -> Read:
        """A hidden layer on the concatenation of `reads`; an `lstm` also reads its own last value."""
        name = f"layer{len(self._layers) + 1}"
        inputs = [read if isinstance(read, Term) else Term((read,)) for read in reads]
        if op == "lstm":
            inputs.append(Term((Read(name, recurrent=True),)))
        activation: Literal["relu", "none"] = "relu" if op == "linear" else "none"
        self._layers.append(Layer(name, op, width, activation, tuple(inputs), dropout))
        return Read(name)

    def convolution(
        self,
        channels: int,
        reads: Sequence[Read | Term],
        convolution: Convolution,
        *,
        activation: Literal["relu", "none"] = "relu",
        rectifies: bool = False,
        pool: Convolution | None = None,
        residual: Read | None = None,
    ) -> Read:
        """A hidden convolution on images of equal height and width, joined along their channels.

        `residual`: what is added to it, of the shape that it gives. ValueError where shapes do not fit.
        """
        inputs = tuple(read if isinstance(read, Term) else Term((read,)) for read in reads)
        shapes = [self._so_far().term_shape(term) for term in inputs]
        sizes = {shape[:2] if shape else None for shape in shapes}
        image = sizes.pop()
        if sizes or image is None:
            raise ValueError(f"a convolution reads images of equal height and width, not {shapes}")
        found = [(pool.size(size) if pool else size) for size in map(convolution.size, image)]
        shape = (found[0], found[1], channels)
        if min(shape) < 1:
            raise ValueError(f"nothing is left of a {image[0]} by {image[1]} image after {convolution}")
        if residual is not None:
            if self._so_far().source_shape(residual) != shape:
                raise ValueError(f"{residual.source} is added to an image of {shape} and does not have its shape")
            inputs = (*inputs, Term((residual,)))
        name = f"layer{len(self._layers) + 1}"
        self._layers.append(
            Layer(
                name,
                "conv",
                prod(shape),
                activation,
                inputs,
                convolution=convolution,
                image=image,
                shape=shape,
                rectifies=rectifies,
                pool=pool,
                residual=residual is not None,
            )
        )
        return Read(name)

    def pooled(self, read: Read, like: Read) -> Term:
        """An image max-pooled to the height and width of another one."""
        mine, other = (self._so_far().source_shape(each) for each in (read, like))
        if not mine or not other:
            raise ValueError(f"only images are pooled: {read.source} has shape {mine}, {like.source} {other}")
        return Term((read,), pool=None if mine[:2] == other[:2] else other[:2])

    def _so_far(self) -> LayerGraph:
        return LayerGraph(tuple(self._layers), *self._sizes, observation_shape=self._observation_shape)

    def head(self, width: int, reads: Sequence[Read | Term], *, augmented_actions: int = 0) -> LayerGraph:
        """The output layer (no activation), and with it the graph."""
        inputs = tuple(read if isinstance(read, Term) else Term((read,)) for read in reads)
        layers = (*self._layers, Layer("head", "linear", width, "none", inputs))
        return LayerGraph(layers, *self._sizes, augmented_actions, self._observation_shape)
