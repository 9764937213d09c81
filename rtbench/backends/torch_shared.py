"""Parameters as torch tensors that share the memory of the arrays a learner trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Shared:
    """Every layer's weight [inputs, outputs] and bias [outputs] as float32 tensors.

    What is float32 is read where it lies; of another type there are copies, which `follow` brings up to date.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self.layers: dict[str, tuple[Tensor, Tensor]] = {}
        self._copies: list[tuple[Tensor, Tensor]] = []
        self.take()

    def take(self) -> None:
        """Take the arrays anew: others may stand in their place."""
        self._copies.clear()
        for name, layer in self._parameters.items():
            self.layers[name] = self._shared(layer["weight"]), self._shared(layer["bias"]).reshape(-1)

    def _shared(self, array: Any) -> Tensor:
        given = torch.as_tensor(array if isinstance(array, Tensor) else np.asarray(array)).detach()
        if given.dtype == torch.float32:
            return given
        copy = given.float()
        self._copies.append((copy, given))
        return copy

    def follow(self) -> None:
        """Bring the copies up to date, if there are any."""
        for copy, given in self._copies:
            copy.copy_(given)
