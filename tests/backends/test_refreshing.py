"""What a learner changes is seen at the next tick; what is said to be fixed, when it is refreshed. Checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
from backends.playing import CASES, TOLERANCE, inputs, made, played, refused
from graphs import images, variants

from rtbench.backends.measure import random_parameters
from rtbench.backends.weights import Weights
from rtbench.graph import GraphBuilder

ALL = ("block", "eager", "native", "numpy", "onnx", "sparse", "stacked", "threads")
PACKED = ("block", "native", "onnx", "sparse", "stacked", "threads")
GRAPHS = dict(variants()) | dict(images())
CHOSEN = ["3-to-action-relu-in-flight", "4-all-lstm-observation", "cnn-from-obs-relu-3-none"]


def change(parameters):
    """In place, as a learner does."""
    for layer in parameters.values():
        layer["weight"] *= np.float32(1.5)
        layer["bias"] += np.float32(0.25)


@pytest.mark.parametrize("backend", ALL)
def test_every_change_is_seen_at_the_next_tick(backend):
    graph = GRAPHS["3-to-action-relu-in-flight"]
    parameters, twins = random_parameters(graph, 0), random_parameters(graph, 0)
    policies = [made(backend, graph, parameters=parameters), made("numpy", graph, parameters=twins)]
    given = inputs(graph, 3)
    for turn in range(3):
        found, expected = (played(policy, *given, restart=turn == 0) for policy in policies)
        np.testing.assert_allclose(found, expected, **TOLERANCE, err_msg=f"turn {turn}")
        change(parameters)
        change(twins)
    parameters["head"]["bias"][-1] += 1  # a single number
    twins["head"]["bias"][-1] += 1
    found, expected = (played(policy, *given, restart=False) for policy in policies)
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize("params", [{}, {"dtype": "bf16"}])
@pytest.mark.parametrize("backend", PACKED)
def test_fixed_parameters_are_taken_when_refreshed(backend, params):
    if params and backend not in ("native", "threads"):
        params = {}
    graph, case = GRAPHS["3-to-action-relu-in-flight"], ("instant", 1.0, "zero")
    parameters = random_parameters(graph, 0)
    policy = made(backend, graph, case, parameters, params, fixed=True)
    given = inputs(graph, 2)
    before = played(policy, *given)
    change(parameters)
    np.testing.assert_array_equal(played(policy, *given), before)
    policy.refresh()
    expected = played(made(backend, graph, case, parameters, params), *given)
    assert not np.allclose(expected, before)
    np.testing.assert_array_equal(played(policy, *given), expected)


def test_arrays_that_c_cannot_read_are_followed_too():
    """Transposed views, double precision."""
    graph, case = GRAPHS["3-to-action-relu-in-flight"], ("instant", 1.0, "zero")
    plain = random_parameters(graph, 0)
    turned = {
        name: {"weight": np.asfortranarray(v["weight"]), "bias": v["bias"].astype(float)} for name, v in plain.items()
    }
    policy = made("native", graph, case, turned)
    given = inputs(graph, 2)
    for _ in range(2):
        expected = played(made("numpy", graph, case, plain), *given)
        np.testing.assert_allclose(played(policy, *given), expected, **TOLERANCE)
        change(plain)
        change(turned)


@pytest.mark.parametrize("backend", [name for name in ALL if name not in ("eager", "numpy")])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_restoring_a_state_goes_on_as_if_nothing_had_happened(backend, case):
    for name in CHOSEN:
        graph = GRAPHS[name]
        if refused(backend, graph, case):
            continue
        observations, actions = inputs(graph, 8)
        others = inputs(graph, 3, seed=9)
        for done in (0, 1, 4):  # soon after the start earlier values are still the start rule's
            policy = made(backend, graph, case)
            played(policy, observations[: max(done, 1)], actions[:done], restart=True) if done else policy.restart(
                observations[0]
            )
            state = policy.state()
            went_on = played(policy, observations[done:], actions[done:], restart=False)
            fresh = made(backend, graph, case)
            played(fresh, *others)
            for other in (fresh, policy):
                other.restore(state)
                again = played(other, observations[done:], actions[done:], restart=False)
                np.testing.assert_array_equal(again, went_on, err_msg=f"{name}, after {done} ticks")


def dropping(batch_free_width=20):
    builder = GraphBuilder(4, 2)
    first = builder.layer(batch_free_width, [builder.observation], dropout=0.4)
    second = builder.layer(batch_free_width, [first], dropout=0.3)
    return builder.head(3, [second, builder.observation])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("backend", [name for name in ALL if name != "onnx"])
def test_dropout_draws_the_same_everywhere(backend, batch):
    graph, case = dropping(), ("pipelined", 1.0, "hold")
    policies = [made(name, graph, case, batch=batch, seed=5) for name in ("numpy", backend)]
    expected, found = (played(policy, *inputs(graph, batch=batch)) for policy in policies)
    np.testing.assert_allclose(found, expected, **TOLERANCE)
    state = policies[1].state()
    went_on = played(policies[1], *inputs(graph, batch=batch), restart=False)
    policies[1].restore(state)
    np.testing.assert_array_equal(played(policies[1], *inputs(graph, batch=batch), restart=False), went_on)


@pytest.mark.parametrize("backend", ALL)
def test_other_arrays_in_the_place_of_the_first_are_taken_when_refreshed(backend):
    graph, case = GRAPHS["3-to-action-relu-in-flight"], ("instant", 1.0, "zero")
    parameters, others, given = random_parameters(graph, 0), random_parameters(graph, 1), inputs(graph, 2)
    policy = made(backend, graph, case, parameters)
    played(policy, *given)
    for name, layer in others.items():
        parameters[name] = layer
    policy.refresh()
    np.testing.assert_allclose(played(policy, *given), played(made("numpy", graph, case, others), *given), **TOLERANCE)


def test_eager_follows_double_precision():
    graph, case = GRAPHS["3-to-action-relu-in-flight"], ("instant", 1.0, "zero")
    plain = random_parameters(graph, 0)
    double = {name: {kind: array.astype(float) for kind, array in layer.items()} for name, layer in plain.items()}
    policy, given = made("eager", graph, case, double), inputs(graph, 2)
    for _ in range(2):
        expected = played(made("numpy", graph, case, plain), *given)
        found = played(policy, *given)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, **TOLERANCE)
        change(plain)
        change(double)


def test_what_is_no_number_is_not_taken_for_a_change():
    """Weights that hold NaN and stay as they are are packed once."""
    parameters = random_parameters(GRAPHS["3-to-action-relu-in-flight"], 0)
    parameters["head"]["bias"][0] = np.nan
    weights = Weights(parameters, fixed=False)
    assert not weights.changed()
    parameters["head"]["bias"][0] = 1.0
    assert weights.changed()
    assert not weights.changed()
    parameters["head"]["bias"][0] = np.nan
    assert weights.changed()
