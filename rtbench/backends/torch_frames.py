"""Inputs and outputs of layers as tensors over frames: views where numbers lie one after the other, else gathered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from rtbench.backends.layout import Block, Layout, Place, Source
from rtbench.backends.torch_images import pooled


class Gather:
    """The joined blocks of several rows alike, for every slot of the ring: [rows, batch, width].

    A view of the frames where every row is one block, as far from the next as the next from that; else an index per
    number, read for each of the sums a block may be.
    """

    def __init__(self, frames: Tensor, layout: Layout, rows: Sequence[Sequence[Block]]) -> None:
        """`frames` [batch, depth, size]; blocks must not be pooled."""
        self._flat, self._rows = frames.flatten(1), len(rows)
        self._views: list[Tensor] = []
        whole = [blocks[0].sources[0] for blocks in rows if len(blocks) == 1 and blocks[0].plain]
        if len(whole) == len(rows) and (step := _step(whole)) is not None:
            self._views = [_strided(frames, whole[0], step, len(rows), slot) for slot in range(layout.depth)]
            return
        terms = max(len(block.sources) for blocks in rows for block in blocks)
        numbers = [_index(layout, blocks, term) for term in range(terms) for blocks in rows]
        index = torch.tensor(numbers, dtype=torch.int64).reshape(terms, -1)
        length = layout.depth * layout.size
        self._indices = [(index + slot * layout.size) % length for slot in range(layout.depth)]
        scales = [block.scale for blocks in rows for block in blocks for _ in range(block.width)]
        self._scales = torch.tensor(scales) if any(scale != 1.0 for scale in scales) else None

    def at(self, slot: int) -> Tensor:
        """What is read at a tick whose frame is `slot`."""
        if self._views:
            return self._views[slot]
        first, *others = self._indices[slot]
        found = self._flat.index_select(1, first)
        for index in others:
            found += self._flat.index_select(1, index)
        if self._scales is not None:
            found *= self._scales
        return found.view(len(found), self._rows, -1).transpose(0, 1)


class Outputs:
    """Where the values of layers of equal width lie, for every slot: a view [rows, batch, width] if they are even."""

    def __init__(self, frames: Tensor, layout: Layout, places: Sequence[Place]) -> None:
        self._frames, self._sources = frames, [Source(place.offset, place.layer.state_width, 0) for place in places]
        step = _step(self._sources)
        self.views: list[Tensor] = []
        if step is not None:
            count = len(places)
            self.views = [_strided(frames, self._sources[0], step, count, slot) for slot in range(layout.depth)]

    def write(self, slot: int, values: Tensor) -> None:
        """Values [rows, batch, width] into a frame."""
        if self.views:
            self.views[slot].copy_(values)
            return
        for source, value in zip(self._sources, values, strict=True):
            self._frames[:, slot, source.offset : source.offset + source.width] = value


def blocks_of(frames: Tensor, place: Place, slot: int) -> list[Tensor]:
    """The blocks of one layer [1, batch, width], summed, scaled and pooled."""
    depth = frames.shape[1]
    found = []
    for block in place.blocks:
        values = []
        for source in block.sources:
            value = frames[:, (slot - source.ticks) % depth, source.offset : source.offset + source.width]
            values.append(pooled(value, block.shape, block.pool) if block.pool and block.shape else value)
        total = values[0] if block.plain or len(values) == 1 else torch.stack(values).sum(0)
        found.append((total if block.scale == 1.0 else total * block.scale).unsqueeze(0))
    return found


def _step(sources: Sequence[Source]) -> int | None:
    """How far equal reads lie apart, if evenly (0 of one alone, or of all the same); None otherwise."""
    if len({(source.width, source.ticks) for source in sources}) > 1:
        return None
    steps = {after.offset - before.offset for before, after in itertools.pairwise(sources)}
    return steps.pop() if len(steps) == 1 else (0 if not steps else None)


def _strided(frames: Tensor, first: Source, step: int, rows: int, slot: int) -> Tensor:
    batch, depth, size = frames.shape
    at = (slot - first.ticks) % depth * size + first.offset
    return frames.as_strided((rows, batch, first.width), (step, depth * size, 1), at)


def _index(layout: Layout, blocks: Sequence[Block], term: int) -> list[int]:
    """Where the numbers of one summand of every block lie, for slot 0; `zero` where there is none."""
    found: list[int] = []
    for block in blocks:
        if term < len(block.sources):
            source = block.sources[term]
            begin = source.offset - source.ticks * layout.size
            found += range(begin, begin + source.width)
        else:
            found += [layout.zero] * block.width
    return found
