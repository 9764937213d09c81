"""What every layer reads at a tick, worked out once: acting at batch 1 has no time to look a graph up at every tick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rtbench.graph import ACTION, OBSERVATION, SOURCES, Layer, LayerGraph, Read, Shape, Term

if TYPE_CHECKING:
    from rtbench.unrolling import Arithmetic

A = TypeVar("A")

Seen = tuple[str, int, Layer | None]
"""A node, how many ticks ago, and the layer whose visible part is meant (an LSTM's, but by its own back edge)."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a layer's input: the sum of what is seen, scaled; `pool`: an image's shape and the size wanted."""

    seen: tuple[Seen, ...]
    scale: float
    pool: tuple[Shape, tuple[int, int]] | None

    @property
    def plain(self) -> bool:
        """Whether it is one node's value, unchanged."""
        return len(self.seen) == 1 and self.scale == 1.0 and not self.pool and self.seen[0][2] is None


Plan = tuple[tuple[Layer, tuple[tuple[Seen | None, Block], ...]], ...]
"""Layers in order with their blocks; of a plain block, what is seen stands beside it."""


def planned(graph: LayerGraph, edges: Mapping[tuple[str, int], int]) -> Plan:
    """The plan of a tick, `edges[layer, index]` being the lag of a layer's read."""
    found = []
    for layer in graph.layers:
        index, blocks = 0, []
        for term in layer.inputs:
            ticks = [edges[layer.name, index + number] for number in range(len(term.reads))]
            index += len(term.reads)
            block = _block(graph, term, ticks)
            blocks.append((block.seen[0] if block.plain else None, block))
        found.append((layer, tuple(blocks)))
    return tuple(found)


def _block(graph: LayerGraph, term: Term, ticks: list[int]) -> Block:
    seen = tuple((read.source, lag, _cut(graph, read)) for read, lag in zip(term.reads, ticks, strict=True))
    shape = graph.source_shape(term.reads[0]) if term.pool else None
    return Block(seen, term.scale, (shape, term.pool) if shape and term.pool else None)


def _cut(graph: LayerGraph, read: Read) -> Layer | None:
    if read.source in SOURCES or read.recurrent:
        return None
    layer = graph.by_name[read.source]
    return layer if layer.op == "lstm" else None


def tick(
    plan: Plan, arithmetic: Arithmetic[A], past: Callable[[str, int], A], observation: A, action: A
) -> dict[str, A]:
    """One tick as `rtbench.unrolling.step`, by a plan: the value of every node."""
    values: dict[str, A] = {OBSERVATION: observation, ACTION: action}
    for layer, blocks in plan:
        read = []
        for plain, block in blocks:
            if plain is None:
                read.append(_value(block, arithmetic, past, values))
            elif plain[1]:
                read.append(past(plain[0], plain[1]))
            else:
                read.append(values[plain[0]])
        values[layer.name] = arithmetic.apply(layer, read)
    return values


def _value(block: Block, arithmetic: Arithmetic[A], past: Callable[[str, int], A], values: Mapping[str, A]) -> A:
    """A block that is a sum, scaled, pooled or a part of a value."""
    found = []
    for source, ticks, cut in block.seen:
        value = past(source, ticks) if ticks else values[source]
        value = arithmetic.visible(cut, value) if cut else value
        found.append(arithmetic.pool(value, *block.pool) if block.pool else value)
    return found[0] if len(found) == 1 and block.scale == 1.0 else arithmetic.total(found, block.scale)
