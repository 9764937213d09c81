"""Acting as an ordinary PyTorch network does: a product with its bias, and a rectifier in place, for every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtbench.backends.base import GraphActing
from rtbench.backends.torch_arithmetic import LARGE, lstm_value, product
from rtbench.backends.torch_images import convolved, pooled
from rtbench.backends.torch_shared import Shared
from rtbench.graph import ActingSpec, Layer, Shape


class EagerArithmetic:
    """Arithmetic of `rtbench.unrolling` on tensors [batch, width], not differentiable: no run axis, no autograd."""

    def __init__(self, shared: Shared, batch: int) -> None:
        self._shared, self._batch = shared, batch
        self.take()

    def take(self) -> None:
        """The tensors as `shared` has them now."""
        self._layers = {
            name: (weight, bias, weight.numel() * self._batch >= LARGE)
            for name, (weight, bias) in self._shared.layers.items()
        }

    def apply(self, layer: Layer, blocks: Sequence[Tensor]) -> Tensor:
        """relu(x W + b), x W + b, the same of patches, or an LSTM step whose value is [output, cell]."""
        weight, bias, large = self._layers[layer.name]
        if layer.op == "linear":
            inputs = blocks[0] if len(blocks) == 1 else torch.cat(list(blocks), 1)
            if large:
                return product(inputs, weight, bias.view(1, -1), relu=layer.activation == "relu")
            value = torch.addmm(bias, inputs, weight)
            return value.relu_() if layer.activation == "relu" else value
        if layer.op == "conv":
            return convolved(layer, [block.unsqueeze(0) for block in blocks], weight.unsqueeze(0), bias.view(1, 1, -1))[
                0
            ]
        state, width = blocks[-1], layer.width
        inputs = torch.cat([*blocks[:-1], state[:, :width]], 1)
        return lstm_value(torch.addmm(bias, inputs, weight), state[:, width:])

    def total(self, values: Sequence[Tensor], scale: float) -> Tensor:
        """The scaled sum of blocks."""
        value = values[0]
        for other in values[1:]:
            value = value + other
        return value * scale

    def visible(self, layer: Layer, value: Tensor) -> Tensor:
        """What other layers read: an LSTM's output without its cell."""
        return value[:, : layer.width] if layer.op == "lstm" else value

    def pool(self, value: Tensor, shape: Shape, size: tuple[int, int]) -> Tensor:
        """Images max-pooled."""
        return pooled(value, shape, size)


class EagerActing(GraphActing[Tensor]):
    """Acting on tensors that share memory with the parameters."""

    def __init__(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> None:
        self._shared = Shared(parameters)
        self._plain = EagerArithmetic(self._shared, spec.batch)
        batch = spec.batch
        rows = (batch, -1) if batch > 1 else (-1,)

        def load(value: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(value).view(batch, -1)

        def unload(value: Tensor) -> NDArray[np.float32]:
            result: NDArray[np.float32] = value.reshape(rows).numpy()
            return result

        super().__init__(spec, self._plain, load, unload)

    def refresh(self) -> None:
        """Take the arrays anew."""
        self._shared.take()
        self._plain.take()

    @torch.no_grad()
    def restart(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Forget everything; the head's value before the first tick, by the start rule."""
        self._shared.follow()
        return super().restart(observation)

    @torch.no_grad()
    def tick(self, observation: NDArray[np.float32], action: NDArray[np.float32]) -> NDArray[np.float32]:
        """One tick; earlier ticks' values are read at the lags of the graph."""
        self._shared.follow()
        return super().tick(observation, action)
