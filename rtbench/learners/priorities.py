"""Drawing in proportion to priorities: a binary tree of sums over the places of a ring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


class Priorities:
    """Non-negative priorities of `places`; drawing and changing cost the tree's depth, for a whole batch at once."""

    def __init__(self, places: int) -> None:
        self._leaves = 1 << max(1, (places - 1).bit_length())
        self._sums = np.zeros(2 * self._leaves)
        self._places = places

    @property
    def total(self) -> float:
        """The sum of all."""
        return float(self._sums[1])

    def of(self, places: Places) -> NDArray[np.float64]:
        """The priorities of some places."""
        found: NDArray[np.float64] = self._sums[self._leaves + places]
        return found

    def set(self, places: Places, values: NDArray[np.float64]) -> None:
        """Change some; of equal places the last counts."""
        nodes = self._leaves + places
        self._sums[nodes] = values
        while nodes[0] > 1:
            nodes = np.unique(nodes >> 1)
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def set_one(self, place: int, value: float) -> None:
        """Change one."""
        sums, node = self._sums, self._leaves + place
        sums[node] = value
        while node > 1:
            node >>= 1
            sums[node] = sums[2 * node] + sums[2 * node + 1]

    def draw(self, rng: np.random.Generator, count: int) -> Places:
        """Places, one from each of `count` equal shares of the total (Schaul et al. 2016, Appendix B.2.1).

        Rounding may rarely give a place of priority 0: look before using one.
        """
        wanted = (np.arange(count) + rng.random(count)) * (self.total / count)
        nodes = np.ones(count, np.int64)
        while nodes[0] < self._leaves:
            nodes *= 2
            left = self._sums[nodes]
            right = wanted >= left
            wanted -= np.where(right, left, 0.0)
            nodes += right
        return np.minimum(nodes - self._leaves, self._places - 1)

    def values(self) -> NDArray[np.float64]:
        """All of them, for a checkpoint."""
        return self._sums[self._leaves : self._leaves + self._places].copy()

    def restore(self, values: NDArray[np.float64]) -> None:
        """All of them anew; sums are what changing them one by one would have made."""
        self._sums[:] = 0
        self._sums[self._leaves : self._leaves + len(values)] = values
        nodes = self._leaves
        while nodes > 1:
            half = nodes // 2
            self._sums[half:nodes] = self._sums[nodes : 2 * nodes : 2] + self._sums[nodes + 1 : 2 * nodes : 2]
            nodes = half
