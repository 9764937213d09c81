"""Adam on given gradients (Kingma and Ba 2015, Algorithm 1, torch's defaults), without an optimiser's bookkeeping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Moments of some tensors, which it changes in place: one fused call for all of them."""

    def __init__(self, tensors: Sequence[Tensor], learning_rate: float) -> None:
        self._tensors = [tensor.detach() for tensor in tensors]
        self._learning_rate = learning_rate
        self._moments = {
            "first": [torch.zeros_like(tensor) for tensor in self._tensors],
            "second": [torch.zeros_like(tensor) for tensor in self._tensors],
            "steps": [torch.zeros((), dtype=torch.float32) for _ in self._tensors],
        }

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step down the gradients, one for each tensor and of its shape."""
        adam(
            self._tensors,
            list(gradients),
            self._moments["first"],
            self._moments["second"],
            [],
            self._moments["steps"],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def state(self) -> dict[str, Any]:
        """The moments and the numbers of steps."""
        return {name: list(tensors) for name, tensors in self._moments.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, in place."""
        for name, tensors in self._moments.items():
            for tensor, saved in zip(tensors, state[name], strict=True):
                tensor.copy_(saved)
