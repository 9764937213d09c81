"""Acting on frames: the ring of earlier values as one array, for backends that compute a tick by a layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtbench.backends.base import Dropping
from rtbench.backends.layout import Layout, layout
from rtbench.backends.numpy_backend import NumPyArithmetic
from rtbench.graph import ACTION, OBSERVATION, ActingSpec, Layer
from rtbench.seeds import generator
from rtbench.unrolling import Arithmetic, instant

Array = NDArray[np.float32]


class FrameActing(ABC):
    """`rtbench.backends.base.Refreshable` for backends that compute one tick into a frame.

    `frames` [batch, depth, size] are laid out by `rtbench.backends.layout`; `kept` [batch, size] is what dropout
    multiplies a tick's values with, None without any. The start rule's one pass is NumPy's, in float32.
    """

    def __init__(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> None:
        graph, batch = spec.graph, spec.batch
        self._graph, self._start, self._batch = graph, spec.start, batch
        self._instant = spec.execution == "instant"
        self.layout: Layout = layout(graph, spec.execution, spec.delta)
        self.frames: Array = np.zeros((batch, self.layout.depth, self.layout.size), np.float32)
        self._rng = generator(spec.seed, "dropout") if graph.random else None
        self.kept: Array | None = np.ones((batch, self.layout.size), np.float32) if graph.random else None
        plain = NumPyArithmetic(parameters)
        self._arithmetic: Arithmetic[Array] = Dropping(plain, self._rng, _same, batch) if self._rng else plain
        self._slot, self._begun = 0, False
        places = self.layout
        self._observations = self._views(places.observation.offset, places.observation.width)
        self._actions = self._views(places.action.offset, places.action.width)
        self._heads = self._views(places.head.offset, places.head.layer.width)

    def _views(self, offset: int, width: int) -> list[Array]:
        """A node in every frame [batch, width], or [width] without a batch: made once, as a tick may take 5 µs."""
        found = [self.frames[:, slot, offset : offset + width] for slot in range(self.layout.depth)]
        return found if self._batch > 1 else [view[0] for view in found]

    @abstractmethod
    def advance(self, slot: int) -> None:
        """Compute every layer's value into frame `slot`, which holds the observation and the action of this tick."""

    @abstractmethod
    def refresh(self) -> None:
        """Take the parameters as they are now."""

    def _zero(self, layer: Layer) -> Array:
        return np.zeros((self._batch, layer.state_width), np.float32)

    def restart(self, observation: Array) -> Array:
        """Forget everything; the head's value before the first tick, by the start rule."""
        places = self.layout
        first = observation.reshape(self._batch, -1)
        self._slot, self._begun = 0, False
        self.frames[:] = 0
        self._written(OBSERVATION, places.observation.offset, first)
        if self._start == "hold":
            no_action = np.zeros((self._batch, places.action.width), np.float32)
            before = instant(self._graph, self._arithmetic, first, no_action, self._zero)
            for place in places.places:
                self._written(place.layer.name, place.offset, before[place.layer.name])
        return self._head(0)

    def _written(self, node: str, offset: int, value: Array) -> None:
        """A value before the first tick, in every frame."""
        if node != ACTION:
            self.frames[:, :, offset : offset + value.shape[-1]] = value[:, None]

    def tick(self, observation: Array, action: Array) -> Array:
        """One tick; the head's value is a copy."""
        before, slot = self._slot, (self._slot + 1) % self.layout.depth
        self._observations[slot][...] = observation
        if not self._instant:
            self._actions[slot][...] = action
        else:  # what is being decided stands there at the next tick
            self._actions[slot][...] = 0
            if self._begun:
                self._actions[before][...] = action
        if self.kept is not None:
            self._drop(self.kept)
        self.advance(slot)
        self._slot, self._begun = slot, True
        return self._head(slot)

    def _drop(self, kept: Array) -> None:
        """Draw which neurons a tick loses, in the order of the layers."""
        assert self._rng is not None
        for place in self.layout.places:
            layer = place.layer
            if layer.dropout:
                drawn = self._rng.random((self._batch, layer.width), dtype=np.float32) >= layer.dropout
                kept[:, place.offset : place.offset + layer.width] = drawn / (1 - layer.dropout)

    def _head(self, slot: int) -> Array:
        return self._heads[slot].copy()

    def state(self) -> dict[str, Any]:
        """Frames, newest first, whether a tick has been since the restart, and dropout's stream."""
        newest_first = (self._slot - np.arange(self.layout.depth)) % self.layout.depth
        state: dict[str, Any] = {"frames": self.frames[:, newest_first].copy(), "begun": self._begun}
        return state | {"rng": self._rng.bit_generator.state} if self._rng else state

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self._slot, self._begun = 0, bool(state["begun"])
        newest_first = (-np.arange(self.layout.depth)) % self.layout.depth
        self.frames[:, newest_first] = state["frames"]
        if self._rng:
            self._rng.bit_generator.state = state["rng"]


def _same(value: Array) -> Array:
    return value
