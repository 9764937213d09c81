"""Parameters for backends that keep a copy of their own: whether what a learner trains has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Weights:
    """Every layer's weight [inputs, outputs] and bias [outputs]; the copies `taken` are those of the last `take`.

    Unless they are `fixed`, every array is compared with its copy when `changed` is asked: sound whoever changes them
    and however, and about as costly as reading all weights twice.
    """

    def __init__(self, parameters: Mapping[str, Any], *, fixed: bool) -> None:
        self._parameters, self._fixed = parameters, fixed
        self.taken: dict[str, tuple[Array, Array]] = {}
        self.take()

    def now(self, layer: str) -> tuple[Array, Array]:
        """A layer's arrays as they are, sharing memory where they are float32."""
        found = self._parameters[layer]
        return np.asarray(found["weight"], np.float32), np.asarray(found["bias"], np.float32)

    def take(self) -> None:
        """Copy all."""
        now = {name: self.now(name) for name in self._parameters}
        self.taken = {name: (weight.copy(), bias.copy()) for name, (weight, bias) in now.items()}

    def changed(self) -> bool:
        """Whether anything differs from the copies; then they are taken anew."""
        if self._fixed:
            return False
        if all(_same(self.now(name), taken) for name, taken in self.taken.items()):
            return False
        self.take()
        return True


def _same(now: tuple[Array, Array], taken: tuple[Array, Array]) -> bool:
    """Bit by bit: what is no number equals itself, and −0 is not 0."""
    return all(
        np.array_equal(one.view(np.uint32), other.view(np.uint32)) for one, other in zip(now, taken, strict=True)
    )
