"""What inference time the processes of a scheduler share: the longest so far, or a statistic of the last ones."""

from __future__ import annotations

from collections.abc import MutableSequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from rtbench.errors import SuiteError
from rtbench.units import exact


@dataclass(frozen=True)
class Estimate:
    """`maximum` of all inference times; the longest of the last `inferences` (`window`); their nearest-rank `quantile`.

    Kept as `size` integers of a scheduler's state from `base` on: the estimate, and for the latter two the number of
    times seen and a ring of them.
    """

    kind: Literal["maximum", "window", "quantile"]
    inferences: int
    quantile: float

    def __post_init__(self) -> None:
        if self.inferences < 1:
            raise SuiteError(f"an estimate takes at least one inference, not {self.inferences}", place="inferences")
        if not 0 < self.quantile <= 1:
            raise SuiteError(f"a quantile is above 0 and at most 1, not {self.quantile}", place="quantile")

    @property
    def size(self) -> int:
        """Integers of state it takes."""
        return 1 if self.kind == "maximum" else 2 + self.inferences

    def take(self, state: MutableSequence[int], base: int, took_ns: int) -> int:
        """Count one more inference; by how much the estimate has moved."""
        before = state[base]
        if self.kind == "maximum":
            state[base] = max(before, took_ns)
            return state[base] - before
        seen = state[base + 1]
        state[base + 2 + seen % self.inferences] = took_ns
        state[base + 1] = seen + 1
        ordered = sorted(state[base + 2 : base + 2 + min(seen + 1, self.inferences)])
        rank = len(ordered) if self.kind == "window" else ceil(exact(self.quantile) * len(ordered))
        state[base] = ordered[rank - 1]
        return state[base] - before

    def bounds(self, state: MutableSequence[int], base: int) -> tuple[int, int] | None:
        """The shortest and the longest inference that leave the estimate as it is, or None if hardly any does."""
        estimate = state[base]
        if not estimate:
            return None
        if self.kind == "maximum":
            return 1, estimate
        seen = state[base + 1 : base + self.size]
        even = seen[0] >= self.inferences and all(took == estimate for took in seen[1:])
        return (estimate, estimate) if even else None


MAXIMUM = Estimate("maximum", 1, 1.0)
"""Of all inferences, as Algorithm 1 has it."""
