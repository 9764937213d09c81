"""Multi-layer perceptrons of Handling Delay: plain, temporal skip connections, LSTM, augmented by past actions."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Literal

from rtbench.graph import GraphBuilder, LayerGraph, Read, Term
from rtbench.parts import Architecture, PolicyShape, param

if TYPE_CHECKING:
    from rtbench.cell import Cell


@dataclass(frozen=True)
class Params:
    """Layers, width, skip connections, recurrence, augmentation."""

    layers: int = param(3, unit="layers", doc="layers with the head, N; each takes delta environment steps")
    width: int = param(256, unit="neurons", doc="neurons of every hidden layer")
    skips: Literal["none", "from-obs", "to-action", "to-action-res", "all"] = param(
        "none", doc="temporal skip connections (Handling Delay, Section 5.2, Figure 4)"
    )
    lstm: bool = param(False, doc="an LSTM cell in place of the second last layer")
    augmentation: Literal["none", "observation", "in-flight"] = param(
        "none", doc="past actions as input: as published beside every observation, or all since the oldest observation"
    )
    actions: int = param(2, unit="actions", doc="past actions that augmentation 'observation' appends")
    dropout: float = param(
        0.0, unit="probability", doc="that a hidden neuron is 0 at a tick, in training and in acting", added=True
    )


class MLP(Architecture):
    """A perceptron of N layers whose skip connections also skip time (Handling Delay, Sections 4.1 and 5.2).

    z^i is what hidden layer i finishes in a tick. `from-obs`: every layer also reads the newest observation.
    `to-action`: the head also reads the observation and every hidden layer. `to-action-res`: the same with residual
    sums s^i = (z^i + z^(i−1))/√2. `all`: every later layer reads the observation and every earlier layer. Augmentation
    `observation` puts a_{t−1} … a_{t−k} beside every observation that is read; `in-flight` lets every layer that reads
    an observation, and the head, read the last N actions including the one being applied (Proposition 2). `dropout`
    stands for neurons that do not finish in time (Appendix D).
    """

    Params = Params

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Recurrence and skips need layers to stand on."""
        layers = int(cell.architecture.params["layers"])
        for name in ("layers", "width", "actions"):
            if cell.architecture.params[name] < 1:
                return f"architecture mlp: {name} must be at least 1, got {cell.architecture.params[name]}"
        for wanted, given in (
            ("skips", cell.architecture.params["skips"] != "none"),
            ("lstm", cell.architecture.params["lstm"]),
        ):
            if given and layers < 2:
                return f"architecture mlp: {wanted} needs at least two layers, got {layers}"
        dropout = cell.architecture.params.get("dropout", 0.0)
        if not 0 <= dropout < 1:
            return f"architecture mlp: dropout must be at least 0 and below 1, got {dropout}"
        if dropout and cell.architecture.params["lstm"]:
            return "architecture mlp: dropout is for linear layers, and there is an LSTM"
        return None

    def make(self, shape: PolicyShape) -> LayerGraph:
        """The graph; widths of observation, action and output from `shape`."""
        p: Params = self.params
        graph = GraphBuilder(shape.observation_size, shape.action_size)
        first = {"none": 1, "observation": 1, "in-flight": 0}[p.augmentation]
        count = {"none": 0, "observation": p.actions, "in-flight": p.layers}[p.augmentation]
        past = [graph.action.ago(first + k) for k in range(count)]
        fresh: list[Read] = [graph.observation, *past]

        hidden: list[Read] = []
        for i in range(p.layers - 1):
            op: Literal["linear", "lstm"] = "lstm" if p.lstm and i == p.layers - 2 else "linear"
            hidden.append(graph.layer(p.width, _reads(p.skips, fresh, hidden), op=op, dropout=p.dropout))

        if p.skips in ("to-action", "to-action-res") and hidden:
            reads: list[Read | Term] = [*fresh, *(_carried(p.skips, hidden[: i + 1]) for i in range(len(hidden)))]
        else:
            reads = _reads(p.skips, fresh, hidden)
            if p.augmentation == "in-flight" and past[0] not in reads:
                reads = [*reads, *past]
        return graph.head(
            shape.output_size, reads, augmented_actions=p.actions if p.augmentation == "observation" else 0
        )


def _reads(skips: str, fresh: list[Read], hidden: list[Read]) -> list[Read | Term]:
    """What the next layer reads, given the layers below it (lowest first)."""
    if not hidden:
        return [*fresh]
    if skips == "from-obs":
        return [*fresh, hidden[-1]]
    if skips == "all":
        return [*fresh, *hidden]
    return [_carried(skips, hidden)]


def _carried(skips: str, hidden: list[Read]) -> Read | Term:
    """What the topmost of these layers hands on: itself, or the residual sum with the one below, scaled by 1/√2."""
    if skips != "to-action-res":
        return hidden[-1]
    return Term(tuple(reversed(hidden[-2:])), scale=1 / sqrt(2))
