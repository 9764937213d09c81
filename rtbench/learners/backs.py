"""How far back the observations behind an action lie, in ticks of the process that computed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtbench.interaction.timing import graph_execution

if TYPE_CHECKING:
    from rtbench.cell import Interaction
    from rtbench.graph import LayerGraph


@dataclass(frozen=True)
class Backs:
    """How many ticks back the newest and the oldest observation behind an action lie; `blind`: a `zero` start, under
    which a process's first actions of an episode rest on no observation yet."""

    newest: int
    oldest: int
    blind: bool

    @classmethod
    def of(cls, graph: LayerGraph, interaction: Interaction, start: str) -> Backs:
        """Those of a graph under an interaction."""
        execution, delta = graph_execution(interaction), interaction.delta or 1
        head = graph.lags(execution, delta).head
        ages = [age - head for age, _ in graph.ages(execution, delta)]
        return cls(min(ages), max(ages), start == "zero")
