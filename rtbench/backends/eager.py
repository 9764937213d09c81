"""Plain eager torch: the baseline every other backend is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtbench.graph import ActingSpec
from rtbench.parts import Backend

if TYPE_CHECKING:
    from torch import Tensor

    from rtbench.backends.base import ActingMany, Refreshable


class Eager(Backend):
    """One framework call per operation, no compilation, float32: what an ordinary PyTorch network costs."""

    threads_from = "torch"
    requires = ("torch",)
    extra = "torch"

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting on tensors that share memory with the parameters."""
        from rtbench.backends.eager_acting import EagerActing

        return EagerActing(spec, parameters)

    def make_many(
        self,
        spec: ActingSpec,
        parameters: Mapping[str, Any],
        *,
        count: int,
        observation_dtype: str = "float32",
        observation_scale: float = 1.0,
    ) -> ActingMany:
        """One call per layer for all environments that step; RtbenchError for graphs with dropout."""
        from rtbench.backends.eager_many import EagerMany

        return EagerMany(spec, _shared(parameters), count, observation_dtype, observation_scale)


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
