"""LayerGraph: lags, ages, plans, and equality of every way of running with a naive continuous-time simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graphs import DELTAS, SHAPE, variants, weights
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_graph import ContinuousTime

from rtbench.architectures.mlp import MLP, Params
from rtbench.backends.numpy_backend import NumPyArithmetic
from rtbench.backends.torch_arithmetic import TorchArithmetic, TorchRollout
from rtbench.graph import GraphBuilder, Read, Term
from rtbench.unrolling import instant, rollout, step, unroll

TICKS = 14
EXECUTIONS = [("instant", 1), ("sequential", 1), *(("pipelined", delta) for delta in DELTAS)]
GRAPHS = dict(variants())


def episode(seed, ticks=TICKS):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ticks, SHAPE.observation_size)), rng.normal(size=(ticks, SHAPE.action_size))


def numpy_parameters(table):
    return {name: {"weight": w, "bias": b} for name, (w, b) in table.items()}


def unrolled(graph, table, execution, delta, observations, actions, head_tick, start, burn_in=0):
    """The graph's own answer for the head of one tick, from a window that ends there."""
    lags = graph.lags(execution, delta)
    plan = graph.plan(execution, delta, burn_in)
    arithmetic = NumPyArithmetic(numpy_parameters(table))
    no_action = np.zeros(SHAPE.action_size)
    if start == "hold":
        before = instant(graph, arithmetic, observations[0], no_action, lambda v: np.zeros(v.state_width))
    else:
        before = {v.name: np.zeros(v.state_width) for v in graph.layers}
    return unroll(
        graph,
        lags,
        plan,
        arithmetic,
        observation=lambda k: observations[max(0, head_tick - k)],
        action=lambda k: actions[head_tick - k] if head_tick >= k else no_action,
        started=lambda node, k, value: value if k <= head_tick else before[node],
        before=lambda layer, k: before[layer.name],
    )


@pytest.mark.parametrize("execution_delta", EXECUTIONS, ids=str)
@pytest.mark.parametrize("start", ["zero", "hold"])
def test_unroll_equals_continuous_time(execution_delta, start):
    execution, delta = execution_delta
    observations, actions = episode(1)
    for name, graph in GRAPHS.items():
        table = weights(graph)
        truth = ContinuousTime(graph, table, execution, delta, observations, actions, start)
        lags = graph.lags(execution, delta)
        for tick in (0, 1, 2, 3, 5, TICKS - 2):
            ours = unrolled(graph, table, execution, delta, observations, actions, tick, start, burn_in=TICKS)
            theirs = truth.head_at(tick + lags.head)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12, err_msg=f"{name}, tick {tick}")


@pytest.mark.parametrize("execution_delta", EXECUTIONS, ids=str)
@pytest.mark.parametrize("start", ["zero", "hold"])
def test_steps_equal_continuous_time(execution_delta, start):
    execution, delta = execution_delta
    observations, actions = episode(2)
    for name, graph in GRAPHS.items():
        table = weights(graph)
        truth = ContinuousTime(graph, table, execution, delta, observations, actions, start)
        lags = graph.lags(execution, delta)
        arithmetic = NumPyArithmetic(numpy_parameters(table))
        no_action = np.zeros(SHAPE.action_size)
        before = {v.name: np.zeros(v.state_width) for v in graph.layers}
        if start == "hold":
            before = instant(graph, arithmetic, observations[0], no_action, lambda v: np.zeros(v.state_width))
        before |= {"observation": observations[0], "action": no_action}
        held = []
        for tick in range(TICKS - 1):
            values = step(
                graph,
                lags,
                arithmetic,
                lambda node, k, held=held, before=before: held[-k][node] if k <= len(held) else before[node],
                observations[tick],
                actions[tick],
            )
            held.append(values)
            np.testing.assert_allclose(
                values["head"], truth.head_at(tick + lags.head), rtol=0, atol=1e-12, err_msg=f"{name}, tick {tick}"
            )


@pytest.mark.parametrize("execution_delta", EXECUTIONS, ids=str)
@pytest.mark.parametrize("start", ["zero", "hold"])
def test_rollout_equals_continuous_time_across_episodes(execution_delta, start):
    """Two runs, two environments, episodes that begin at different ticks; one call per layer."""
    execution, delta = execution_delta
    lengths = {(0, 0): (5, 7), (0, 1): (12,), (1, 0): (1, 1, 10), (1, 1): (3, 9)}
    for name, graph in GRAPHS.items():
        tables = [weights(graph, seed) for seed in (0, 1)]
        parameters = {
            v.name: {
                "weight": torch.tensor(np.stack([t[v.name][0] for t in tables])),
                "bias": torch.tensor(np.stack([t[v.name][1][None] for t in tables])),
            }
            for v in graph.layers
        }
        observations = torch.zeros(2, 12, 2, SHAPE.observation_size, dtype=torch.float64)
        actions = torch.zeros(2, 12, 2, SHAPE.action_size, dtype=torch.float64)
        first = torch.zeros_like(observations)
        since = torch.zeros(2, 12, 2, dtype=torch.int64)
        truths = torch.zeros(2, 12, 2, SHAPE.output_size, dtype=torch.float64)
        lags = graph.lags(execution, delta)
        for (run, env), parts in lengths.items():
            at = 0
            for index, length in enumerate(parts):
                seen, acted = episode(100 * run + 10 * env + index, length + 2)
                truth = ContinuousTime(graph, tables[run], execution, delta, seen, acted, start)
                span = slice(at, at + length)
                observations[run, span, env] = torch.tensor(seen[:length])
                actions[run, span, env] = torch.tensor(acted[:length])
                first[run, span, env] = torch.tensor(seen[0])
                since[run, span, env] = torch.arange(length)
                for tick in range(length):
                    truths[run, at + tick, env] = torch.tensor(truth.head_at(tick + lags.head))
                at += length
        no_action = torch.zeros(1, 1, 1, SHAPE.action_size, dtype=torch.float64)
        before = {v.name: torch.zeros(1, 1, 1, v.state_width, dtype=torch.float64) for v in graph.layers}
        if start == "hold":
            flat = TorchArithmetic(parameters)
            held = instant(
                graph,
                flat,
                first.reshape(2, 24, -1),
                torch.zeros(2, 24, SHAPE.action_size, dtype=torch.float64),
                lambda v: torch.zeros(2, 24, v.state_width, dtype=torch.float64),
            )
            before = {node: value.reshape(2, 12, 2, -1) for node, value in held.items()}
        heads = rollout(graph, lags, TorchRollout(parameters, since, first, before, no_action), observations, actions)[
            "head"
        ]
        torch.testing.assert_close(heads, truths, rtol=0, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("delta", DELTAS)
def test_no_path_is_faster_than_its_layers(delta):
    for name, graph in GRAPHS.items():
        assert graph.violations(delta) == [], name


def test_a_violation_is_reported():
    graph = GraphBuilder(3, 1)
    hidden = graph.layer(4, [graph.observation])
    whole = graph.head(2, [hidden])
    faster = whole.__class__(whole.layers, 3, 1)
    object.__setattr__(
        faster, "lags", lambda execution, delta: type(whole.lags("pipelined", 1))({("layer1", 0): 0, ("head", 0): 0}, 1)
    )
    assert faster.violations(1) == ["2 layers on an observation 1 steps old, allowed 1"]


def mlp(**params):
    return MLP(Params(width=6, **params)).make(SHAPE)


@pytest.mark.parametrize(
    ("params", "delta", "ages"),
    [
        ({"layers": 1}, 1, {(1, 1)}),
        ({"layers": 3}, 1, {(3, 3)}),
        ({"layers": 3}, 4, {(3, 3)}),  # three ticks of four steps
        ({"layers": 3}, 0.4, {(2, 3)}),  # 1.2 steps of computing: two steps old
        ({"layers": 3}, 0.5, {(2, 3)}),  # 1.5 steps
        ({"layers": 2}, 0.5, {(1, 2)}),  # exactly one step
        ({"layers": 5}, 0.4, {(2, 5)}),  # exactly two steps
        ({"layers": 3}, 0.7, {(3, 3)}),  # 2.1 steps
        ({"layers": 3, "skips": "from-obs"}, 1, {(1, 1), (2, 2), (3, 3)}),
        ({"layers": 3, "skips": "to-action"}, 2, {(1, 1), (2, 2), (3, 3)}),
        ({"layers": 3, "skips": "to-action-res"}, 1, {(1, 1), (2, 2), (3, 3)}),
        ({"layers": 3, "skips": "from-obs"}, 0.4, {(1, 1), (1, 2), (2, 3)}),
        ({"layers": 3, "lstm": True}, 1, {(3, 3)}),
    ],
)
def test_ages_by_hand(params, delta, ages):
    """(age in ticks, layers passed) of every path."""
    assert mlp(**params).ages("pipelined", delta) == ages


def test_ages_of_an_instant_pass_are_zero():
    assert {age for age, _ in mlp(layers=4, skips="all").ages("instant", 0)} == {0}


@pytest.mark.parametrize(
    ("params", "needed"),
    [
        ({"layers": 3}, 3),
        ({"layers": 5}, 5),
        ({"layers": 3, "skips": "from-obs"}, 3),
        ({"layers": 3, "skips": "to-action"}, 1 + 3 * 2 // 2),
        ({"layers": 5, "skips": "to-action"}, 1 + 5 * 4 // 2),
    ],
)
def test_layer_evaluations_per_action(params, needed):
    """N, or 1 + N(N−1)/2 where every layer projects to the action."""
    assert len(mlp(**params).plan("pipelined", 1).nodes) == needed


def test_windows_by_hand():
    plan = mlp(layers=3).plan("pipelined", 1)
    assert plan.nodes == (("layer1", 2), ("layer2", 1), ("head", 0))
    assert plan.observation_ticks == (2,)
    skips = mlp(layers=3, skips="from-obs", augmentation="observation").plan("pipelined", 1)
    assert skips.observation_ticks == (0, 1, 2)
    assert skips.action_ticks == (1, 2, 3, 4)
    flight = mlp(layers=3, skips="from-obs", augmentation="in-flight").plan("pipelined", 1)
    assert flight.action_ticks[0] == 0  # the action being applied while the head computes: a_{t−1} for a_t
    assert mlp(layers=3, augmentation="in-flight").plan("instant", 0).action_ticks[0] == 1
    assert mlp(layers=3, skips="from-obs").plan("pipelined", 1).window_ticks == 3


def test_published_recurrences_by_hand():
    """proj-from-obs: W3[o_{t−1}; R(W2[o_{t−2}; R(W1 o_{t−3})])]; proj-to-action & res: s² = (r² + r¹)/√2."""
    observations, actions = episode(3)
    relu = lambda x: np.maximum(x, 0)  # noqa: E731
    t = 6  # the action applied at tick 6 is the head computed at tick 5
    graph = mlp(layers=3, skips="from-obs")
    table = weights(graph)
    (w1, b1), (w2, b2), (w3, b3) = (table[v.name] for v in graph.layers)
    z1 = relu(observations[t - 3] @ w1 + b1)
    z2 = relu(np.concatenate([observations[t - 2], z1]) @ w2 + b2)
    expected = np.concatenate([observations[t - 1], z2]) @ w3 + b3
    ours = unrolled(graph, table, "pipelined", 1, observations, actions, t - 1, "zero")
    np.testing.assert_allclose(ours, expected, atol=1e-12)

    graph = mlp(layers=3, skips="to-action-res")
    table = weights(graph)
    (w1, b1), (w2, b2), (w3, b3) = (table[v.name] for v in graph.layers)
    r1 = lambda tick: relu(observations[tick] @ w1 + b1)  # noqa: E731
    r2 = relu((r1(t - 3) / np.sqrt(2)) @ w2 + b2)
    expected = np.concatenate([observations[t - 1], r1(t - 2) / np.sqrt(2), (r2 + r1(t - 2)) / np.sqrt(2)]) @ w3 + b3
    ours = unrolled(graph, table, "pipelined", 1, observations, actions, t - 1, "zero")
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_augmentation_reads_the_published_actions():
    """The observation of tick t−1 comes with a_{t−2}, a_{t−3}: the newest action a_t can see is a_{t−2}."""
    graph = mlp(layers=1, augmentation="observation")
    observations, actions = episode(4)
    table = weights(graph)
    w, b = table["head"]
    expected = np.concatenate([observations[5], actions[4], actions[3]]) @ w + b
    np.testing.assert_allclose(
        unrolled(graph, table, "pipelined", 1, observations, actions, 5, "zero"), expected, atol=1e-12
    )


def test_parameters_and_flops_by_hand():
    graph = mlp(layers=3, skips="from-obs")
    assert graph.parameter_count() == (5 + 1) * 6 + (5 + 6 + 1) * 6 + (5 + 6 + 1) * 4
    assert graph.flops() == 2 * (5 * 6 + 11 * 6 + 11 * 4)
    lstm = mlp(layers=3, lstm=True)
    assert lstm.parameter_count() == (5 + 1) * 6 + 4 * 6 * (6 + 6 + 1) + (6 + 1) * 4


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_graphs_equal_continuous_time(data):
    """Graphs nobody thought of: random edges, history, residual sums, recurrence."""
    builder = GraphBuilder(SHAPE.observation_size, SHAPE.action_size)
    known: list[Read] = []
    for _ in range(data.draw(st.integers(0, 4), label="hidden layers")):
        choice = st.sampled_from([builder.observation, builder.action, *known])
        reads = data.draw(st.lists(choice, min_size=1, max_size=3, unique=True))
        ago = data.draw(st.lists(st.integers(0, 2), min_size=len(reads), max_size=len(reads)))
        if all(read.source == "action" for read in reads):
            reads, ago = [*reads, builder.observation], [*ago, 0]
        inputs: list[Read | Term] = [read.ago(k) for read, k in zip(reads, ago, strict=True)]
        if len(known) > 1 and data.draw(st.booleans()):
            inputs.append(Term((known[-1], known[-2]), 0.5))
        known.append(builder.layer(6, inputs, op=data.draw(st.sampled_from(["linear", "linear", "lstm"]))))
    last = [known[-1]] if known else []
    extra = data.draw(st.lists(st.sampled_from([builder.observation, builder.action, *known]), max_size=2))
    graph = builder.head(SHAPE.output_size, [*last, builder.observation, *extra])
    reachable = {graph.layers[-1].name} | {r.source for v in graph.layers for r in v.reads if not r.recurrent}
    if any(v.name not in reachable for v in graph.layers):
        return  # a layer that leads nowhere has no place on a path to the action
    execution, delta = data.draw(st.sampled_from(EXECUTIONS))
    start = data.draw(st.sampled_from(["zero", "hold"]))
    observations, actions = episode(5)
    table = weights(graph)
    truth = ContinuousTime(graph, table, execution, delta, observations, actions, start)
    if execution == "pipelined":
        assert graph.violations(delta) == []
    for tick in (0, 1, 4, TICKS - 2):
        ours = unrolled(graph, table, execution, delta, observations, actions, tick, start, burn_in=TICKS)
        theirs = truth.head_at(tick + graph.lags(execution, delta).head)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
