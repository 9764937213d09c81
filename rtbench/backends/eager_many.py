"""Acting in many environments at once with torch: one call per layer for all that step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtbench.backends.torch_arithmetic import TorchArithmetic, TorchParameters
from rtbench.backends.torch_rollout import start_values
from rtbench.errors import RtbenchError
from rtbench.graph import ACTION, OBSERVATION, SOURCES, ActingSpec, LayerGraph
from rtbench.unrolling import step


class EagerMany:
    """`rtbench.backends.base.ActingMany` by `rtbench.unrolling.step`; parameters are read afresh at every tick.

    Every environment has a ring of earlier values for each node that is read at a later tick. A restart fills it with
    the start rule's, so that no tick is masked.
    """

    def __init__(
        self,
        spec: ActingSpec,
        parameters: TorchParameters,
        count: int,
        observation_dtype: str = "float32",
        observation_scale: float = 1.0,
    ) -> None:
        graph = spec.graph
        if graph.random:
            raise RtbenchError("layers with dropout act one environment at a time", place="backend eager")
        self._graph, self._parameters, self._start, self._scale = graph, parameters, spec.start, observation_scale
        self._arithmetic = TorchArithmetic(parameters, observation_scale)
        self._lags, self._instant = spec.lags, spec.execution == "instant"
        self._position = torch.zeros(count, dtype=torch.int64)
        self._fresh = torch.ones(count, dtype=torch.bool)
        self._past = {
            node: torch.zeros(ticks, count, self._width(node), dtype=self._type(node, observation_dtype))
            for node, ticks in _depths(graph, self._lags.edges).items()
        }

    def _width(self, node: str) -> int:
        if node in SOURCES:
            return self._graph.observation_size if node == OBSERVATION else self._graph.action_size
        return self._graph.by_name[node].state_width

    @staticmethod
    def _type(node: str, observations: str) -> torch.dtype:
        return torch.from_numpy(np.empty(0, observations)).dtype if node == OBSERVATION else torch.float32

    @torch.no_grad()
    def restart(self, rows: NDArray[np.intp], observations: NDArray[Any]) -> NDArray[np.float32]:
        """Forget everything in some environments; the head's values before the first tick, by the start rule."""
        index, first = torch.from_numpy(rows), torch.from_numpy(observations)
        before = start_values(self._graph, self._parameters, first.unsqueeze(0), self._start, self._scale)
        for node, ring in self._past.items():
            ring[:, index] = before.get(node, 0)
        self._fresh[index] = True
        head = self._graph.head
        given = before.get(head.name)
        output = torch.zeros(len(rows), head.width) if given is None else given[0]
        return self._unload(output)

    @torch.no_grad()
    def tick(
        self, rows: NDArray[np.intp], observations: NDArray[Any], actions: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """One tick of some environments; earlier ticks' values are read at the lags of the graph."""
        index, observed, acted = torch.from_numpy(rows), torch.from_numpy(observations), torch.from_numpy(actions)
        position = self._position[index]
        if self._instant and ACTION in self._past:
            # What is being decided stands there later; the action applied before belongs to the tick before.
            told = torch.where(self._fresh[index].unsqueeze(1), 0.0, acted)
            self._past[ACTION][(position - 1) % len(self._past[ACTION]), index] = told
            acted = torch.zeros_like(acted)

        def earlier(node: str, ticks: int) -> Tensor:
            ring = self._past[node]
            return ring[(position - ticks) % len(ring), index].unsqueeze(0)

        arithmetic, graph = self._arithmetic, self._graph
        values = step(graph, self._lags, arithmetic, earlier, observed.unsqueeze(0), acted.unsqueeze(0))
        for node, ring in self._past.items():
            ring[position % len(ring), index] = values[node][0]
        self._position[index] += 1
        self._fresh[index] = False
        return self._unload(values[graph.head.name][0])

    def newest(self, node: str) -> NDArray[np.float32]:
        """What a layer finished in every environment's newest tick, or the start rule's: [environments, width]."""
        ring = self._past[node]
        found: NDArray[np.float32] = ring[(self._position - 1) % len(ring), torch.arange(ring.shape[1])].numpy()
        return found

    def remember(self, node: str, values: NDArray[np.float32]) -> None:
        """Replace what a layer held in every environment's newest ticks: [ticks, environments, width], newest last."""
        ring = self._past.get(node)
        if ring is None:
            return
        every = torch.arange(ring.shape[1])
        for ago, value in enumerate(values[::-1][: len(ring)], start=1):
            ring[(self._position - ago) % len(ring), every] = torch.from_numpy(value)

    def state(self) -> dict[str, Any]:
        """Earlier values of all environments, and where they stand in their rings."""
        past = {node: ring.numpy().copy() for node, ring in self._past.items()}
        return {"past": past, "position": self._position.numpy().copy(), "fresh": self._fresh.numpy().copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back to a state."""
        for node, ring in self._past.items():
            ring.copy_(torch.from_numpy(state["past"][node]))
        self._position.copy_(torch.from_numpy(state["position"]))
        self._fresh.copy_(torch.from_numpy(state["fresh"]))

    @staticmethod
    def _unload(value: Tensor) -> NDArray[np.float32]:
        # a copy: what a caller keeps must not be what the next restart overwrites
        found: NDArray[np.float32] = value.detach().float().numpy().copy()
        return found


def _depths(graph: LayerGraph, edges: Mapping[tuple[str, int], int]) -> dict[str, int]:
    """How many ticks back each node is read at most, where that is any."""
    found: dict[str, int] = {}
    for layer in graph.layers:
        for index, read in enumerate(layer.reads):
            ticks = edges[layer.name, index]
            if ticks:
                found[read.source] = max(ticks, found.get(read.source, 0))
    return found
