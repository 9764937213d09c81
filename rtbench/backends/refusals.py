"""What a backend refuses: by the graph, or by the cell that the graph comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec
from rtbench.interaction.timing import graph_execution
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.parts import Backend


def check(backend: Backend, name: str, spec: ActingSpec) -> None:
    """RtbenchError with the reason if the backend refuses a graph."""
    if reason := backend.refuses(spec):
        raise RtbenchError(reason, place=f"backend {name}", hint="backend 'native' or 'numpy' executes every graph")


def refusal_of_cell(backend: type[Backend], cell: Cell) -> str | None:
    """Why the backend cannot execute the cell's graph, at the widths its architecture is described with.

    None also where the architecture itself cannot be built: it says so.
    """
    try:
        architecture = build(cell.architecture)
        graph = architecture.make(architecture.example)
        part = build(cell.backend)
    except RtbenchError:
        return None
    reason: str | None = part.refuses(ActingSpec(graph, graph_execution(cell.interaction), cell.interaction.delta or 1))
    return reason
