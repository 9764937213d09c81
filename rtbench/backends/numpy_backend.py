"""Acting with NumPy: at batch 1 a framework's overhead is larger than the arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rtbench.backends.numpy_images import convolved, pooled
from rtbench.graph import ActingSpec, Layer, Shape
from rtbench.parts import Backend

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtbench.backends.base import Refreshable


class NumPyArithmetic:
    """Layers on float vectors [width] or rows of them [rows, width]; weights [inputs, outputs]."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def apply(self, layer: Layer, blocks: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """relu(x W + b), x W + b, the same of patches, or an LSTM step whose value is [output, cell]."""
        import numpy as np

        weights = self._parameters[layer.name]
        if layer.op == "lstm":
            return self._lstm(layer, blocks)
        if layer.op == "conv":
            return convolved(layer, blocks, weights["weight"], weights["bias"])
        inputs = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=-1)
        value = inputs.dot(weights["weight"])  # the same product as @, called with less ado
        value += weights["bias"]
        if layer.activation == "relu":
            np.maximum(value, 0, out=value)
        result: NDArray[Any] = value
        return result

    def _lstm(self, layer: Layer, blocks: Sequence[NDArray[Any]]) -> NDArray[Any]:
        import numpy as np

        weights = self._parameters[layer.name]
        state, width = blocks[-1], layer.width
        gates = np.concatenate([*blocks[:-1], state[..., :width]], axis=-1) @ weights["weight"] + weights["bias"]
        admit, forget, emit = (1 / (1 + np.exp(-gates[..., k * width : (k + 1) * width])) for k in (0, 1, 3))
        cell = forget * state[..., width:] + admit * np.tanh(gates[..., 2 * width : 3 * width])
        return np.concatenate([emit * np.tanh(cell), cell], axis=-1)

    def total(self, values: Sequence[NDArray[Any]], scale: float) -> NDArray[Any]:
        """The scaled sum of blocks."""
        # The array's own scalar type, so that float32 stays float32.
        factor = values[0].dtype.type(scale)
        value: NDArray[Any] = values[0] * factor
        for other in values[1:]:
            value += other * factor
        return value

    def visible(self, layer: Layer, value: NDArray[Any]) -> NDArray[Any]:
        """What other layers read: an LSTM's output without its cell."""
        shown: NDArray[Any] = value[..., : layer.width] if layer.op == "lstm" else value
        return shown

    def pool(self, value: NDArray[Any], shape: Shape, size: tuple[int, int]) -> NDArray[Any]:
        """An image max-pooled."""
        return pooled(value, shape, size)


class NumPy(Backend):
    """Plain NumPy; the default for acting while training."""

    threads_from = "blas"

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting that reads NumPy views of the parameters at every tick."""
        from rtbench.backends.base import GraphActing

        def same(value: NDArray[np.float32]) -> NDArray[np.float32]:
            return value

        return GraphActing(spec, NumPyArithmetic(parameters), same, same)
