"""LayerGraph: lags, ages, plans, and equality of every way of running with a naive continuous-time simulation."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import DELTAS, SHAPE, variants, weights
from helpers.exactness import check_rollout, check_steps, check_unroll, episode, unrolled
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_graph import ContinuousTime

from rtbench.architectures.mlp import MLP, Params
from rtbench.graph import GraphBuilder, Read, Term

TICKS = 14
EXECUTIONS = [("instant", 1), ("sequential", 1), *(("pipelined", delta) for delta in DELTAS)]
GRAPHS = dict(variants())


@pytest.mark.parametrize("execution_delta", EXECUTIONS, ids=str)
@pytest.mark.parametrize("start", ["zero", "hold"])
def test_unroll_equals_continuous_time(execution_delta, start):
    for name, graph in GRAPHS.items():
        check_unroll(name, graph, *execution_delta, start, TICKS)


@pytest.mark.parametrize("execution_delta", EXECUTIONS, ids=str)
@pytest.mark.parametrize("start", ["zero", "hold"])
def test_steps_equal_continuous_time(execution_delta, start):
    for name, graph in GRAPHS.items():
        check_steps(name, graph, *execution_delta, start, TICKS)


@pytest.mark.parametrize("execution_delta", EXECUTIONS, ids=str)
@pytest.mark.parametrize("start", ["zero", "hold"])
def test_rollout_equals_continuous_time_across_episodes(execution_delta, start):
    """Two runs, two environments, episodes that begin at different ticks; one call per layer."""
    for name, graph in GRAPHS.items():
        check_rollout(name, graph, *execution_delta, start)


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
    observations, actions = episode(mlp(layers=3), 3, TICKS)
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
    observations, actions = episode(graph, 4, TICKS)
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
    observations, actions = episode(graph, 5, TICKS)
    table = weights(graph)
    truth = ContinuousTime(graph, table, execution, delta, observations, actions, start)
    if execution == "pipelined":
        assert graph.violations(delta) == []
    for tick in (0, 1, 4, TICKS - 2):
        ours = unrolled(graph, table, execution, delta, observations, actions, tick, start, burn_in=TICKS)
        theirs = truth.head_at(tick + graph.lags(execution, delta).head)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_an_lstm_has_no_dropout():
    """However it is made: its cell would lose what it is to remember."""
    builder = GraphBuilder(3, 2)
    with pytest.raises(ValueError, match=r"layer .+: an LSTM with dropout"):
        builder.layer(4, [builder.observation], op="lstm", dropout=0.5)
