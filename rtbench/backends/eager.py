"""Plain eager torch: the baseline every other backend is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtbench.graph import LayerGraph
from rtbench.parts import Backend

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from rtbench.backends.base import ActingMany, Refreshable


class Eager(Backend):
    """One framework call per operation, no compilation, float32."""

    requires = ("torch",)
    extra = "torch"

    def make(
        self,
        graph: LayerGraph,
        parameters: Mapping[str, Any],
        execution: str,
        delta: float,
        start: str = "zero",
        seed: int = 0,
        *,
        batch: int = 1,
        fixed: bool = False,
    ) -> Refreshable:
        """Acting on tensors that share memory with the parameters."""
        import torch

        from rtbench.backends.base import GraphActing
        from rtbench.backends.torch_arithmetic import TorchArithmetic

        shared, rows = _shared(parameters), (batch, -1) if batch > 1 else (-1,)

        def load(value: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(value).reshape(1, batch, -1)

        def unload(value: Tensor) -> NDArray[np.float32]:
            result: NDArray[np.float32] = value.detach().reshape(rows).numpy()
            return result

        return GraphActing(graph, TorchArithmetic(shared), execution, delta, start, load, unload, seed, batch)

    def make_many(
        self,
        graph: LayerGraph,
        parameters: Mapping[str, Any],
        execution: str,
        delta: float,
        start: str = "zero",
        *,
        count: int,
        observation_dtype: str = "float32",
        observation_scale: float = 1.0,
    ) -> ActingMany:
        """One call per layer for all environments that step; RtbenchError for graphs with dropout."""
        from rtbench.backends.eager_many import EagerMany

        shared = _shared(parameters)
        return EagerMany(graph, shared, execution, delta, start, count, observation_dtype, observation_scale)


def _shared(parameters: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The parameters as tensors with a run axis that share their memory."""
    import torch

    return {
        name: {
            "weight": torch.as_tensor(layer["weight"]).unsqueeze(0),
            "bias": torch.as_tensor(layer["bias"]).reshape(1, 1, -1),
        }
        for name, layer in parameters.items()
    }
