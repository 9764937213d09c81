"""An independent continuous-time simulation of a network, written from the rules and not from the graph's own code.

Every layer computes once per tick of length 1 (one tick = max(1, δ) environment steps). It takes d of a tick, and it
starts so that, walking up the longest path, the head is ready exactly at a tick boundary. At its start it looks for the
newest finished value of everything it reads. Time is exact (Fractions); nothing here knows what a lag is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtbench.graph import Convolution, Layer, LayerGraph, Read, Term

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = Mapping[str, tuple[Array, Array]]
"""Layer -> (weight [inputs, outputs], bias [outputs]); of a convolution, of one patch."""


def height(graph: LayerGraph, name: str) -> int:
    """Layers on the longest path to the action, by brute force over all paths."""
    if name == graph.layers[-1].name:
        return 1
    readers = [v.name for v in graph.layers if any(r.source == name and not r.recurrent for r in v.reads)]
    return 1 + max(height(graph, reader) for reader in readers)


class ContinuousTime:
    """Simulates one episode; `observations[m]`, `actions[m]` stand at tick boundary m, m = 0 is the episode's start."""

    def __init__(
        self,
        graph: LayerGraph,
        weights: Weights,
        execution: str,
        delta: float,
        observations: Array,
        actions: Array,
        start: str = "zero",
    ) -> None:
        self.graph, self.weights, self.start = graph, weights, start
        self.execution = execution
        self.d = Fraction(0) if execution in ("instant", "sequential") else min(Fraction(1), Fraction(str(delta)))
        self.observations, self.actions = observations, actions
        self.layers = {layer.name: layer for layer in graph.layers}
        self.height = {name: height(graph, name) for name in self.layers}
        self.memory: dict[tuple[str, int], Array] = {}
        self.held = self._instant_pass() if start == "hold" else None

    def _starts(self, name: str, cycle: int) -> Fraction:
        return cycle + (-self.height[name] * self.d) % 1

    def head_at(self, boundary: int) -> Array:
        """The newest head finished at a tick boundary."""
        name = self.graph.layers[-1].name
        return self.value(name, self._newest(name, Fraction(boundary)))

    def ages_at(self, boundary: int) -> frozenset[tuple[int, int]]:
        """(age in ticks, layers passed) of every path from an observation to the action of a tick boundary."""
        name = self.graph.layers[-1].name
        below = self._paths(name, self._newest(name, Fraction(boundary)), {})
        return frozenset((boundary - seen, passed) for seen, passed in below)

    def _paths(self, name: str, cycle: int, known: dict[Any, Any]) -> frozenset[tuple[int, int]]:
        """(boundary of the observation, layers passed), recurrence left out."""
        if (name, cycle) not in known:
            paths: set[tuple[int, int]] = set()
            for read in self.layers[name].reads:
                if read.source == "action" or read.recurrent:
                    continue
                at = self._when(read, self._starts(name, cycle), cycle)
                before = [(at, 0)] if read.source == "observation" else self._paths(read.source, at, known)
                paths |= {(seen, passed + 1) for seen, passed in before}
            known[name, cycle] = frozenset(paths)
        found: frozenset[tuple[int, int]] = known[name, cycle]
        return found

    def _newest(self, name: str, now: Fraction, strictly_before_cycle: int | None = None) -> int:
        cycle = floor(now) + 2
        while self._starts(name, cycle) + self.d > now or (
            strictly_before_cycle is not None and cycle >= strictly_before_cycle
        ):
            cycle -= 1
        return cycle

    def value(self, name: str, cycle: int) -> Array:
        """What a layer computed in a cycle; before the first, the start rule's."""
        if cycle < 0:
            return self.held[name] if self.held is not None else np.zeros(self.layers[name].state_width)
        if (name, cycle) not in self.memory:
            layer, now = self.layers[name], self._starts(name, cycle)
            self.memory[name, cycle] = self._evaluated(layer, lambda read: self._seen(read, now, cycle))
        return self.memory[name, cycle]

    def _when(self, read: Read, now: Fraction, cycle: int) -> int:
        """The boundary (of observations and actions) or the cycle (of layers) that a read at a time is from."""
        if read.source == "observation":
            return floor(now) - read.ticks_ago
        if read.source == "action":
            boundary = floor(now) - read.ticks_ago
            # The action of this tick is what is being decided.
            return min(boundary, cycle - 1) if self.execution == "instant" else boundary
        if read.recurrent:
            return self._newest(read.source, now, cycle) - read.ticks_ago
        if read.premature:  # whatever its own tick finishes, however late
            return cycle - read.ticks_ago
        return self._newest(read.source, now) - read.ticks_ago

    def _seen(self, read: Read, now: Fraction, cycle: int) -> Array:
        at = self._when(read, now, cycle)
        if read.source == "observation":
            return np.asarray(self.observations[max(0, at)])
        if read.source == "action":
            return np.asarray(self.actions[at]) if at >= 0 else np.zeros(self.graph.action_size)
        found = self.value(read.source, at)
        return found if read.recurrent else found[: self.layers[read.source].width]

    # ---- arithmetic ------------------------------------------------------------------------------------------------

    def _evaluated(self, layer: Layer, seen: Callable[[Read], Array]) -> Array:
        blocks = []
        for term in layer.inputs:
            parts = [self._pooled(term, read, seen(read)) for read in term.reads]
            blocks.append(np.sum(parts, axis=0) * term.scale)
        return self._arithmetic(layer, blocks)

    def _shape(self, source: str) -> tuple[int, int, int]:
        shape = self.graph.observation_shape if source == "observation" else self.layers[source].shape
        assert shape is not None
        return shape

    def _pooled(self, term: Term, read: Read, value: Array) -> Array:
        """Each cell of the output is the maximum over its share of the image, shares overlapping where they must."""
        if term.pool is None:
            return value
        height, width, channels = self._shape(read.source)
        image, (rows, columns) = value.reshape(height, width, channels), term.pool
        found = np.full((rows, columns, channels), -np.inf)
        for i in range(rows):
            for j in range(columns):
                for y in range(floor(Fraction(i * height, rows)), ceil(Fraction((i + 1) * height, rows))):
                    for x in range(floor(Fraction(j * width, columns)), ceil(Fraction((j + 1) * width, columns))):
                        found[i, j] = np.maximum(found[i, j], image[y, x])
        return found.ravel()

    def _convolution(self, layer: Layer, blocks: list[Array]) -> Array:
        """Pixel by pixel: the sum over kernel rows, kernel columns and channels, zeros outside the image.

        Then the maxima of windows, what is added, the activation.
        """
        how, size = layer.convolution, layer.image
        if how is None or size is None:
            raise ValueError(f"{layer.name} is no convolution")
        image = np.concatenate([block.reshape(*size, -1) for block in blocks[: len(layer.weighted)]], axis=2)
        image = np.maximum(image, 0) if layer.rectifies else image
        weight, bias = self.weights[layer.name]
        kernel = weight.reshape(how.kernel, how.kernel, image.shape[2], -1)
        found = np.zeros((how.size(size[0]), how.size(size[1]), kernel.shape[3]))
        for i, j in np.ndindex(*found.shape[:2]):
            top, left = i * how.stride - how.padding, j * how.stride - how.padding
            seen = image[max(0, top) : top + how.kernel, max(0, left) : left + how.kernel]
            begin = max(0, -top), max(0, -left)
            used = kernel[begin[0] : begin[0] + seen.shape[0], begin[1] : begin[1] + seen.shape[1]]
            found[i, j] = np.tensordot(seen, used, 3) + bias
        value: Array = (_windowed(found, layer.pool) if layer.pool else found).ravel()
        value = value + blocks[-1] if layer.residual else value
        return np.maximum(value, 0) if layer.activation == "relu" else value

    def _arithmetic(self, layer: Layer, blocks: list[Array]) -> Array:
        weight, bias = self.weights[layer.name]
        if layer.op == "conv":
            return self._convolution(layer, blocks)
        if layer.op == "lstm":
            h, c = blocks[-1][: layer.width], blocks[-1][layer.width :]
            gates = np.concatenate([*blocks[:-1], h]) @ weight + bias
            i, f, g, o = np.split(gates, 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            return np.concatenate([_sigmoid(o) * np.tanh(c), c])
        value: Array = np.concatenate(blocks) @ weight + bias
        return np.maximum(value, 0) if layer.activation == "relu" else value

    def _instant_pass(self) -> dict[str, Array]:
        """Every layer's value on the first observation, no time passing, recurrence from zero."""
        done: dict[str, Array] = {}
        for layer in self.graph.layers:

            def seen(read: Read, width: int = layer.state_width) -> Array:
                if read.source == "observation":
                    return np.asarray(self.observations[0])
                if read.source == "action":
                    return np.zeros(self.graph.action_size)
                if read.recurrent:
                    return np.zeros(width)
                return done[read.source][: self.layers[read.source].width]

            done[layer.name] = self._evaluated(layer, seen)
        return done


def _windowed(image: Array, how: Convolution) -> Array:
    """The maximum of every window of an image [height, width, channels]."""
    height, width = how.size(image.shape[0]), how.size(image.shape[1])
    found = np.zeros((height, width, image.shape[2]))
    for i, j in np.ndindex(height, width):
        rows, columns = (slice(at * how.stride, at * how.stride + how.kernel) for at in (i, j))
        found[i, j] = image[rows, columns].max(axis=(0, 1))
    return found


def _sigmoid(x: Array) -> Array:
    value: Array = 1 / (1 + np.exp(-x))
    return value
