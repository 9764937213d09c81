"""All weights of a stage in one block matrix: dense, as the paper measured it, or sparse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtbench.parts import Backend, param

if TYPE_CHECKING:
    from rtbench.backends.base import Refreshable
    from rtbench.cell import Cell
    from rtbench.graph import ActingSpec, LayerGraph

IMAGES = "a convolution uses its weights at many places and pooling is no product: neither stands in a block matrix"


@dataclass(frozen=True)
class Params:
    """How large a matrix may be."""

    limit_gib: float = param(4.0, unit="GiB", doc="largest dense matrix; larger graphs are refused")


class Block(Backend):
    """One dense matrix per stage: pipelined, all weights in one, with zeros where a layer does not read another.

    Nearly all of it is zeros with many layers: width 256 and 100 layers fill 1 % of 2.6 GB. As in Handling Delay,
    Section 5.4 and Figure 1a. Sequentially every layer is its own matrix.
    """

    threads_from = "torch"
    Params = Params
    requires = ("torch",)
    extra = "torch"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Graphs without images, up to a size."""
        from rtbench.backends.refusals import refusal_of_cell

        return refusal_of_cell(cls, cell)

    def refuses(self, spec: ActingSpec) -> str | None:
        """Images, and matrices above `limit_gib`."""
        if reason := _images(self, spec.graph):
            return reason
        from rtbench.backends.layout import layout
        from rtbench.backends.matrices import matrix_shape

        shapes = [matrix_shape(stage) for stage in layout(spec.graph, spec.execution, spec.delta).stages]
        largest = max(4 * rows * columns for rows, columns in shapes) / 2**30
        limit = self.params.limit_gib
        if largest <= limit:
            return None
        return f"backend block: a dense matrix of {largest:.3g} GiB is above limit_gib = {limit:g}"

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting on a matrix of copies; RtbenchError for images and for what is too large."""
        from rtbench.backends.matrices import MatrixActing, dense
        from rtbench.backends.refusals import check

        check(self, "block", spec)
        return MatrixActing(spec, parameters, form=dense)


class Sparse(Backend):
    """The matrix of `block` without its zeros, in compressed rows (SciPy), on one thread."""

    threads_from = "one"
    requires = ("torch", "scipy")
    extra = "torch"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Graphs without images."""
        from rtbench.backends.refusals import refusal_of_cell

        return refusal_of_cell(cls, cell)

    def refuses(self, spec: ActingSpec) -> str | None:
        """Images."""
        return _images(self, spec.graph)

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting on a sparse matrix of copies; RtbenchError for images."""
        from rtbench.backends.matrices import MatrixActing, sparse
        from rtbench.backends.refusals import check

        check(self, "sparse", spec)
        return MatrixActing(spec, parameters, form=sparse)


def _images(backend: Backend, graph: LayerGraph) -> str | None:
    pooling = any(term.pool for layer in graph.layers for term in layer.inputs)
    if pooling or any(layer.op == "conv" for layer in graph.layers):
        return f"backend {type(backend).__name__.lower()}: {IMAGES}"
    return None
