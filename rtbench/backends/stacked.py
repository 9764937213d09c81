"""Layers of equal shape as one batched matrix product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtbench.parts import Backend

if TYPE_CHECKING:
    from rtbench.backends.base import Refreshable
    from rtbench.graph import ActingSpec


class Stacked(Backend):
    """What may be computed at once and is of equal shape is one batched product in torch: pipelined, all hidden layers.

    Layers that stand one after the other are read and written in place, without a copy. Sequentially every layer is a
    stack of one; convolutions and pooled inputs are computed alone.
    """

    threads_from = "torch"
    requires = ("torch",)
    extra = "torch"

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting on stacked copies of the weights."""
        from rtbench.backends.stacked_acting import StackedActing

        return StackedActing(spec, parameters)
