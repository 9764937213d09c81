"""Acting is the same on every backend, and the same as an independent continuous-time simulation."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import SHAPE, variants
from naive_graph import ContinuousTime

from rtbench.backends.measure import random_parameters
from rtbench.graph import ActingSpec
from rtbench.plugins import build, use

GRAPHS = dict(variants())
EXECUTIONS = [("instant", 1.0), ("sequential", 1.0), *(("pipelined", delta) for delta in (0.4, 1.0, 2.0))]
CASES = [(execution, delta, start) for execution, delta in EXECUTIONS for start in ("zero", "hold")]
EPISODES = (7, 1, 6)
"""Ticks of consecutive episodes on one acting object."""
TOLERANCE = {"rtol": 0, "atol": 1e-5}


def acting(backend, graph, execution, delta, start, seed=0):
    return build(use("backends", backend)).make(
        ActingSpec(graph, execution, delta, start), random_parameters(graph, seed)
    )


def episode(seed, ticks):
    """Observations, and actions by the tick on whose observation they are applied."""
    rng = np.random.default_rng(seed)
    observations = rng.normal(size=(ticks, SHAPE.observation_size)).astype(np.float32)
    return observations, rng.uniform(-1, 1, size=(ticks, SHAPE.action_size)).astype(np.float32)


def fed(execution, actions, tick):
    """The action that `tick` is told of: the one being applied; under instant, where it is being decided, the last."""
    if execution != "instant":
        return actions[tick]
    return actions[tick - 1] if tick else np.zeros(SHAPE.action_size, np.float32)


def play(policy, execution, observations, actions, first_tick=0):
    """The head's value at every tick."""
    values = [
        policy.tick(observations[tick], fed(execution, actions, tick)).copy()
        for tick in range(first_tick, len(observations))
    ]
    return np.array(values)


@pytest.mark.parametrize(("execution", "delta", "start"), CASES)
def test_backends_agree_across_episodes(execution, delta, start):
    for name, graph in GRAPHS.items():
        eager, plain = (acting(backend, graph, execution, delta, start) for backend in ("eager", "numpy"))
        for number, ticks in enumerate(EPISODES):
            observations, actions = episode(number, ticks)
            begun = [policy.restart(observations[0]).copy() for policy in (eager, plain)]
            np.testing.assert_allclose(*begun, **TOLERANCE, err_msg=f"{name}, restart {number}")
            ours, theirs = (play(policy, execution, observations, actions) for policy in (eager, plain))
            assert ours.shape == (ticks, SHAPE.output_size)
            assert ours.dtype == theirs.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, **TOLERANCE, err_msg=f"{name}, episode {number}")


@pytest.mark.parametrize(("execution", "delta", "start"), CASES)
def test_acting_equals_continuous_time(execution, delta, start):
    """What a tick answers is what the head holds when that tick's head is ready; before it, the start rule's."""
    for name, graph in GRAPHS.items():
        parameters = random_parameters(graph, 0)
        table = {layer: (values["weight"], values["bias"]) for layer, values in parameters.items()}
        head_lag = graph.lags(execution, delta).head
        policy = acting("numpy", graph, execution, delta, start)
        for number, ticks in enumerate(EPISODES):
            observations, actions = episode(number, ticks)
            # the simulation looks as far ahead as the head takes, and what it finds there must not matter
            longer = [
                np.concatenate([values, np.full((3, values.shape[1]), 9.0)]) for values in (observations, actions)
            ]
            truth = ContinuousTime(graph, table, execution, delta, *longer, start)
            before = policy.restart(observations[0])
            np.testing.assert_allclose(before, truth.value("head", -1), **TOLERANCE, err_msg=name)
            found = play(policy, execution, observations, actions)
            expected = np.array([truth.head_at(tick + head_lag) for tick in range(ticks)])
            np.testing.assert_allclose(found, expected, **TOLERANCE, err_msg=f"{name}, episode {number}")


@pytest.mark.parametrize("backend", ["eager", "numpy"])
@pytest.mark.parametrize(("execution", "delta", "start"), CASES)
def test_restoring_a_state_goes_on_as_if_nothing_had_happened(backend, execution, delta, start):
    for name, graph in GRAPHS.items():
        observations, actions = episode(5, 7)
        for played in (0, 1, 3):  # soon after the start earlier values are still the start rule's
            policy = acting(backend, graph, execution, delta, start)
            policy.restart(observations[0])
            for tick in range(played):
                policy.tick(observations[tick], fed(execution, actions, tick))
            state = policy.state()
            went_on = play(policy, execution, observations, actions, first_tick=played)

            fresh = acting(backend, graph, execution, delta, start)
            fresh.restart(-observations[4])
            fresh.tick(-observations[4], -actions[4])
            for other in (fresh, policy):  # another object in the midst of something else, and the same one set back
                other.restore(state)
                again = play(other, execution, observations, actions, first_tick=played)
                np.testing.assert_array_equal(again, went_on, err_msg=f"{name}, after {played} ticks")


@pytest.mark.parametrize("backend", ["eager", "numpy"])
def test_parameters_are_read_at_every_tick(backend):
    """A learner changes its arrays in place, and acting follows."""
    graph = GRAPHS["3-from-obs-relu-none"]
    parameters = random_parameters(graph, 0)
    policy = build(use("backends", backend)).make(ActingSpec(graph, "instant", 0.0), parameters)
    observations, actions = episode(0, 1)
    policy.restart(observations[0])
    before = policy.tick(observations[0], actions[0]).copy()
    parameters["head"]["bias"] += 1
    policy.restart(observations[0])
    np.testing.assert_allclose(policy.tick(observations[0], actions[0]), before + 1, **TOLERANCE)
