"""ONNX Runtime: one tick as a model in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtbench.parts import Backend

if TYPE_CHECKING:
    from rtbench.backends.base import Refreshable
    from rtbench.cell import Cell
    from rtbench.graph import ActingSpec

DROPOUT = "backend onnx: the model of a tick draws nothing, so there is no dropout"
POOLED = "backend onnx: max-pooling over uneven shares is no operator of ONNX"
RESIDUAL = "backend onnx: convolutions that pool, add or rectify what they read are not written as a model"


class Onnx(Backend):
    """A tick as an ONNX model, run by ONNX Runtime on the CPU with as many threads as torch has.

    Earlier frames go in, the values of all layers come out. Weights are constants of the model, which ONNX Runtime lays
    out as it likes; it is built anew when they change.
    """

    threads_from = "torch"
    requires = ("onnx", "onnxruntime", "torch")
    extra = "rtbench[onnx]"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """No dropout, no uneven pooling."""
        from rtbench.backends.refusals import refusal_of_cell

        return refusal_of_cell(cls, cell)

    def refuses(self, spec: ActingSpec) -> str | None:
        """Dropout, uneven pooling, convolutions with more than weights, bias and rectifier."""
        graph = spec.graph
        if graph.random:
            return DROPOUT
        if any(layer.rectifies or layer.pool or layer.residual for layer in graph.layers):
            return RESIDUAL
        for layer in graph.layers:
            for term in layer.inputs:
                shape = graph.source_shape(term.reads[0])
                if term.pool and shape and (shape[0] % term.pool[0] or shape[1] % term.pool[1]):
                    return POOLED
        return None

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting by a session of ONNX Runtime; RtbenchError with the reason if it refuses."""
        from rtbench.backends.onnx_acting import OnnxActing
        from rtbench.backends.refusals import check

        check(self, "onnx", spec)
        return OnnxActing(spec, parameters)
