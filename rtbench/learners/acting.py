"""One acting per inference process, each with a memory of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rtbench.graph import ActingSpec
from rtbench.interaction.timing import graph_execution
from rtbench.plugins import build
from rtbench.seeds import derive

if TYPE_CHECKING:
    from rtbench.backends.base import Acting
    from rtbench.cell import Cell
    from rtbench.graph import LayerGraph


def actings(
    cell: Cell, graph: LayerGraph, parameters: Mapping[str, Any], start: str, seed: int, *path: str, fixed: bool = False
) -> list[Acting]:
    """The actings of a cell's inference processes, on its backend; `path` names their random streams.

    A process has the hidden state that it computed itself: what another one has begun is not finished when it reads. A
    graph that remembers nothing between ticks is the same for all of them, and there is one. `fixed`: the parameters
    stay as they are until `take_anew`, so that a backend may pack them once.
    """
    execution, delta = graph_execution(cell.interaction), cell.interaction.delta or 1
    remembers = any(graph.lags(execution, delta).edges.values())
    alone = execution == "instant" or not remembers
    backend = build(cell.backend)

    def made(*process: int) -> Acting:
        own = derive(seed, *path, "acting", *process)
        acting: Acting = backend.make(ActingSpec(graph, execution, delta, start, own, fixed=fixed), parameters)
        return acting

    return [made(), *(made(process) for process in range(1, 1 if alone else cell.interaction.processes))]


@runtime_checkable
class _Refreshable(Protocol):
    def refresh(self) -> None: ...


def take_anew(made: Iterable[Acting]) -> None:
    """Let actings whose parameters were said to be fixed take them as they are now."""
    for acting in made:
        if isinstance(acting, _Refreshable):
            acting.refresh()
