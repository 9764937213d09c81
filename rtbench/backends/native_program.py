"""A graph's layout as the tables that `native_layers.h` reads: layers, blocks, sources, who computes what and when.

Every table is an array of 64-bit numbers, one row per C structure; addresses and the bits of a double among them.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtbench.backends.frames import Array
from rtbench.backends.layout import Block, Layout, Place
from rtbench.layers import places

LANES, ROWS = 16, 4
"""As in native_layers.h."""
GRAIN = {"linear": 64, "lstm": 16, "conv": 1}
"""The least share of a layer that a thread gets: columns, neurons, rows of an image."""
_OPS = {"linear": 0, "lstm": 1, "conv": 2}
_HUGE = 2**21
Table = NDArray[np.int64]


@dataclass(frozen=True)
class Unit:
    """A share of a layer, as `struct unit` has it."""

    place: Place
    begin: int
    end: int

    @property
    def cost(self) -> int:
        """Multiplications."""
        layer, inputs = self.place.layer, self.place.inputs
        if layer.op == "conv" and layer.shape:
            return (self.end - self.begin) * places(layer) // layer.shape[0] * inputs * self.place.columns
        return (self.end - self.begin) * inputs * (4 if layer.op == "lstm" else 1)


def shares(layout: Layout, threads: int) -> list[list[list[Unit]]]:
    """[threads][stages] units: every stage's work in equal parts, neighbours together."""
    found: list[list[list[Unit]]] = [[] for _ in range(threads)]
    for stage in layout.stages:
        grains = [grain for place in stage for grain in _grains(place, threads)]
        total, done = sum(grain.cost for grain in grains), 0
        for parts in found:
            parts.append([])
        for grain in grains:
            thread = min(threads - 1, (2 * done + grain.cost) * threads // (2 * total))
            done += grain.cost
            _joined(found[thread][-1], grain)
    return found


def _grains(place: Place, threads: int) -> Iterator[Unit]:
    layer = place.layer
    length = layer.shape[0] if layer.op == "conv" and layer.shape else layer.width
    step = GRAIN[layer.op] if threads > 1 else length
    for begin in range(0, length, step):
        yield Unit(place, begin, min(length, begin + step))


def _joined(units: list[Unit], grain: Unit) -> None:
    last = units[-1] if units else None
    if last and last.place is grain.place and last.end == grain.begin:
        units[-1] = Unit(grain.place, last.begin, grain.end)
    else:
        units.append(grain)


class Program:
    """The tables for one acting; `address` is what `rtbench_open` takes. It must outlive what was opened.

    `arrays(layer)` gives a layer's weight and bias, which must stay where they are. With an `arena` (`half` or not)
    weights are packed in the order of use and `pack` packs them anew; without, they are read where they lie.
    """

    def __init__(
        self,
        layout: Layout,
        arrays: Callable[[str], tuple[Array, Array]],
        frames: Array,
        kept: Array | None,
        *,
        threads: int,
        arena: bool,
        half: bool,
        spin_ns: int,
        pin: bool,
    ) -> None:
        self._arrays, self._half, self._shares = arrays, half, shares(layout, threads)
        batch = len(frames)
        blocks = [block for place in layout.places for block in place.blocks]
        sources = [source for block in blocks for source in block.sources]
        self._layers = _table(_layer_rows(layout.places))
        self._blocks = _table(_block_rows(blocks))
        self._sources = _table([[source.offset, source.ticks] for source in sources])
        self._index = {place.layer.name: index for index, place in enumerate(layout.places)}
        self._held: list[Any] = [frames, kept]
        self._units = _table([[0] * 8 for _ in self._every()])
        counts = [len(units) for parts in self._shares for units in parts]
        ends = np.cumsum(counts)
        self._spans = np.ascontiguousarray(np.stack([ends - counts, ends], axis=1), np.int64)
        room = max(_room(place, batch) for place in layout.places)
        self._scratch = np.zeros((threads, room), np.float32)
        self._arena = self._reserve() if arena else None
        self.pack()
        tables = (self._layers, self._blocks, self._sources, self._units, self._spans, frames, kept, self._scratch)
        depth, size = frames.shape[1:]
        numbers = [len(layout.stages), threads, batch, depth, size, room, int(half), spin_ns, int(pin)]
        self._program = np.array([*(0 if t is None else t.ctypes.data for t in tables), *numbers], np.int64)

    @property
    def address(self) -> int:
        """Of `struct program`."""
        return int(self._program.ctypes.data)

    def _every(self) -> Iterator[Unit]:
        return (unit for parts in self._shares for units in parts for unit in units)

    def pack(self) -> None:
        """Weights and biases as they are now into the arena, or where they lie into the table."""
        at = 0
        self._held = self._held[:2]
        for row, unit in zip(self._units, self._every(), strict=True):
            weight, bias = self._arrays(unit.place.layer.name)
            self._held += [weight, bias]
            begin = 0 if unit.place.layer.op == "conv" else unit.begin
            if self._arena is None:
                given = weight.ctypes.data + 4 * begin, weight.shape[1], weight.size - begin, unit.place.layer.width
            else:
                packed = self._packed(unit, weight)
                into = self._arena[at : at + packed.size]
                into[:] = packed.reshape(-1)
                at += packed.size
                given = into.ctypes.data, packed.shape[2], packed.size, packed.shape[1] * packed.shape[2]
            address, stride, numbers, gate = given
            index = self._index[unit.place.layer.name]
            row[:] = index, unit.begin, unit.end, stride, numbers, gate, address, bias.ctypes.data + 4 * begin

    def _packed(self, unit: Unit, weight: Array) -> NDArray[Any]:
        packed = packed_columns(unit, weight)
        return paired(packed) if self._half else packed

    def _reserve(self) -> NDArray[Any]:
        """Memory for all packed weights, in huge pages where the system has them: a tick streams through all of it."""
        kind = np.dtype(np.uint32 if self._half else np.float32)
        count = sum(self._packed(unit, self._arrays(unit.place.layer.name)[0]).size for unit in self._every())
        length = count * kind.itemsize + _HUGE
        if not hasattr(mmap, "MADV_HUGEPAGE"):
            memory = np.zeros(length, np.uint8)
        else:
            pages = mmap.mmap(-1, length, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            pages.madvise(mmap.MADV_HUGEPAGE)
            memory = np.frombuffer(pages, np.uint8)
        skipped = -memory.ctypes.data % _HUGE
        return memory[skipped : skipped + count * kind.itemsize].view(kind)


def packed_columns(unit: Unit, weight: Array) -> Array:
    """A unit's columns [gates, inputs, columns], rounded up to whole vectors; one gate but for an LSTM."""
    place = unit.place
    begin, end = (0, place.columns) if place.layer.op == "conv" else (unit.begin, unit.end)
    gates = 4 if place.layer.op == "lstm" else 1
    by_gate = weight.reshape(place.inputs, gates, -1)[:, :, begin:end].transpose(1, 0, 2)
    rounded = -(-(end - begin) // LANES) * LANES
    packed = np.zeros((gates, place.inputs, rounded), np.float32)
    packed[:, :, : end - begin] = by_gate
    return packed


def paired(packed: Array) -> NDArray[np.uint32]:
    """Weights [gates, inputs, columns] as bfloat16, two rows in a word, the first one low: [gates, pairs, columns]."""
    bits = bfloat16(packed).astype(np.uint32).reshape(packed.shape)
    if packed.shape[1] % 2:
        bits = np.concatenate([bits, np.zeros_like(bits[:, :1])], axis=1)
    words: NDArray[np.uint32] = bits[:, ::2] | bits[:, 1::2] << np.uint32(16)
    return words


def bfloat16(values: Array) -> NDArray[np.uint16]:
    """The nearest bfloat16's bits, ties to even; what is not a number stays so."""
    bits = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values.reshape(-1)), 0x7FC0, rounded).astype(np.uint16)


def _table(rows: list[list[int]]) -> Table:
    return np.array(rows, np.int64)


def _layer_rows(placed: tuple[Place, ...]) -> list[list[int]]:
    rows, first = [], 0
    for place in placed:
        layer = place.layer
        cell = [place.cell.offset, place.cell.ticks] if place.cell else [0, 0]
        relu, dropout = int(layer.activation == "relu"), int(layer.dropout > 0)
        row = [_OPS[layer.op], relu, dropout, place.offset, layer.width, place.inputs, place.columns]
        rows.append([*row, first, len(place.blocks), *cell, *_convolution_row(place)])
        first += len(place.blocks)
    return rows


def _convolution_row(place: Place) -> list[int]:
    layer, how = place.layer, place.layer.convolution
    if not (how and layer.image and layer.shape):
        return [0] * 15
    image = [*layer.image, place.inputs // how.kernel**2]
    pool = [layer.pool.kernel, layer.pool.stride] if layer.pool else [0, 0]
    given = [*map(how.size, layer.image), int(layer.rectifies), int(layer.residual), *pool, *layer.shape]
    return [how.kernel, how.stride, how.padding, *image, *given]


def _block_rows(blocks: list[Block]) -> list[list[int]]:
    rows, first = [], 0
    for block in blocks:
        # the image a convolution reads is the pooled one, whose channels are the same
        image, pool = block.shape or (0, 0, 0), block.pool or (0, 0)
        bits = int(np.float64(block.scale).view(np.int64))
        rows.append([first, len(block.sources), block.width, *image, *pool, bits])
        first += len(block.sources)
    return rows


def _room(place: Place, batch: int) -> int:
    """Numbers of scratch that a thread may need for a layer, rounded to whole vectors."""
    layer = place.layer
    largest = max(max(prod(block.shape) if block.shape else 0, block.width) for block in place.blocks)
    if layer.convolution and layer.image:
        image = prod(layer.image) * place.inputs // layer.convolution.kernel**2
        room = image + ROWS * place.inputs + places(layer) * place.columns + 2 * largest
    else:
        room = batch * place.inputs + largest + (4 * (layer.width + LANES) if layer.op == "lstm" else 0)
    return -(-room // LANES) * LANES
