"""Running a `LayerGraph`: one tick, an exact unrolling of a window, a whole rollout, an instantaneous pass.

The arithmetic is a backend's; here is only who reads what, and when. Standard library only, as `rtbench.graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from rtbench.graph import ACTION, OBSERVATION, SOURCES, Lags, Layer, LayerGraph, Plan, Read

A = TypeVar("A")


class Arithmetic(Protocol[A]):
    """What a backend knows: the value of a layer from its input blocks, sums of blocks, an LSTM's visible half."""

    def apply(self, layer: Layer, blocks: Sequence[A]) -> A: ...
    def total(self, values: Sequence[A], scale: float) -> A: ...
    def visible(self, layer: Layer, value: A) -> A: ...


def evaluate(graph: LayerGraph, layer: Layer, arithmetic: Arithmetic[A], value: Callable[[int, Read], A]) -> A:
    """A layer's value, given `value(index among its reads, read)` for what it reads."""
    blocks: list[A] = []
    index = 0
    for term in layer.inputs:
        values = []
        for read in term.reads:
            found = value(index, read)
            index += 1
            # A reader sees an LSTM's output; only its own back edge carries the cell state.
            whole = read.source in SOURCES or read.recurrent
            values.append(found if whole else arithmetic.visible(graph.by_name[read.source], found))
        plain = len(values) == 1 and term.scale == 1.0
        blocks.append(values[0] if plain else arithmetic.total(values, term.scale))
    return arithmetic.apply(layer, blocks)


def instant(
    graph: LayerGraph,
    arithmetic: Arithmetic[A],
    observation: A,
    no_action: A,
    zero: Callable[[Layer], A],
) -> dict[str, A]:
    """Every layer's value on one observation, no time passing, recurrence from zero: the `hold` start."""
    values: dict[str, A] = {}
    for layer in graph.layers:

        def value(_: int, read: Read) -> A:
            if read.source == OBSERVATION:
                return observation
            if read.source == ACTION:
                return no_action
            return zero(graph.by_name[read.source]) if read.recurrent else values[read.source]

        values[layer.name] = evaluate(graph, layer, arithmetic, value)
    return values


def step(
    graph: LayerGraph,
    lags: Lags,
    arithmetic: Arithmetic[A],
    past: Callable[[str, int], A],
    observation: A,
    action: A,
) -> dict[str, A]:
    """One tick: the value of every layer, `past(node, ticks ago ≥ 1)` giving what earlier ticks held.

    The caller restarts `past` at every episode start: older nodes are the start rule's.
    """
    values: dict[str, A] = {OBSERVATION: observation, ACTION: action}
    for layer in graph.layers:

        def value(index: int, read: Read) -> A:
            ticks = lags.edges[layer.name, index]
            return values[read.source] if ticks == 0 else past(read.source, ticks)

        values[layer.name] = evaluate(graph, layer, arithmetic, value)
    return values


def unroll(
    graph: LayerGraph,
    lags: Lags,
    plan: Plan,
    arithmetic: Arithmetic[A],
    observation: Callable[[int], A],
    action: Callable[[int], A],
    started: Callable[[str, int, A], A],
    before: Callable[[Layer, int], A],
) -> A:
    """The head's value at the last tick of a window, by the plan's nodes only.

    `observation(k)`, `action(k)`: what stood k ticks before the head. `started(node, k, value)` replaces the value of
    samples whose episode began later than k ticks before the head by the start rule's. `before(layer, k)`: the start
    rule's value for a node outside the plan (a recurrent edge where the burn-in ends).
    """
    values: dict[tuple[str, int], A] = {}
    for name, ticks in plan.nodes:
        layer = graph.by_name[name]

        def value(index: int, read: Read) -> A:
            back = ticks + lags.edges[name, index]
            if read.source == OBSERVATION:
                return observation(back)
            if read.source == ACTION:
                return action(back)
            if (read.source, back) not in values:
                return before(graph.by_name[read.source], back)
            return values[read.source, back]

        found = evaluate(graph, layer, arithmetic, value)
        values[name, ticks] = started(name, ticks, found) if ticks else found
    return values[graph.head.name, 0]


class RolloutArithmetic(Arithmetic[A], Protocol[A]):
    """Arithmetic over whole rollouts: values hold all ticks at once."""

    def shift(self, node: str, value: A, ticks: int) -> A:
        """The value `ticks` earlier at every tick; before the episode's first tick the start rule's."""
        ...

    def ticks(self) -> int: ...
    def at(self, value: A, tick: int) -> A: ...
    def stack(self, values: Sequence[A]) -> A: ...
    def earlier(self, node: str, values: Sequence[A], tick: int, ticks: int) -> A:
        """What a recurrent node held `ticks` before `tick`, given its values so far."""
        ...


def rollout(
    graph: LayerGraph, lags: Lags, arithmetic: RolloutArithmetic[A], observations: A, actions: A
) -> dict[str, A]:
    """Every layer's value at every tick of a rollout: one call per layer; only recurrent layers loop over time."""
    values: dict[str, A] = {OBSERVATION: observations, ACTION: actions}
    for layer in graph.layers:

        def fixed(index: int, read: Read) -> A:
            return arithmetic.shift(read.source, values[read.source], lags.edges[layer.name, index])

        if not layer.recurrent:
            values[layer.name] = evaluate(graph, layer, arithmetic, fixed)
            continue
        given = {i: fixed(i, read) for i, read in enumerate(layer.reads) if not read.recurrent}
        rows: list[A] = []
        for tick in range(arithmetic.ticks()):

            def now(index: int, read: Read) -> A:
                if read.recurrent:
                    return arithmetic.earlier(read.source, rows, tick, lags.edges[layer.name, index])
                return arithmetic.at(given[index], tick)

            rows.append(evaluate(graph, layer, arithmetic, now))
        values[layer.name] = arithmetic.stack(rows)
    return values
