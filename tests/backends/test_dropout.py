"""Dropout in acting: masks of their own at every tick, named by the seed, exact after a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest

from rtbench.backends.measure import random_parameters
from rtbench.graph import ActingSpec, GraphBuilder
from rtbench.plugins import build, use


def graph(dropout):
    builder = GraphBuilder(4, 2)
    first = builder.layer(64, [builder.observation], dropout=dropout)
    return builder.head(3, [first])


def acting(backend, dropout, seed=0):
    net = graph(dropout)
    return build(use("backends", backend)).make(
        ActingSpec(net, "instant", 1.0, "zero", seed), random_parameters(net, 0)
    )


def ticks(policy, count, seed=1):
    rng = np.random.default_rng(seed)
    return np.array([policy.tick(rng.normal(size=4).astype(np.float32), np.zeros(2, np.float32)) for _ in range(count)])


def test_the_mask_is_the_inverted_one_computed_by_hand():
    """head = W₂ (relu(W₁ x + b₁) · mask ÷ (1 − p)) + b₂, the mask drawn from the stream of the seed."""
    from rtbench.seeds import generator

    net, policy = graph(0.5), acting("numpy", 0.5, seed=7)
    weights = random_parameters(net, 0)
    policy.restart(np.ones(4, np.float32))
    found = policy.tick(np.ones(4, np.float32), np.zeros(2, np.float32))
    kept = generator(7, "dropout").random(64, dtype=np.float32) >= 0.5
    hidden = np.maximum(np.ones(4, np.float32) @ weights["layer1"]["weight"] + weights["layer1"]["bias"], 0)
    expected = (hidden * kept * 2) @ weights["head"]["weight"] + weights["head"]["bias"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("backend", ["numpy", "eager"])
def test_draws_differ_by_tick_and_by_seed_and_repeat_with_it(backend):
    same = np.ones(4, np.float32), np.zeros(2, np.float32)
    one, again, other = (acting(backend, 0.4, seed) for seed in (1, 1, 2))
    for policy in (one, again, other):
        policy.restart(same[0])
    values = [policy.tick(*same).copy() for policy in (one, again, other)]
    assert np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    assert not np.array_equal(values[0], one.tick(*same))


def test_backends_draw_the_same():
    policies = [acting(backend, 0.4, 3) for backend in ("numpy", "eager")]
    for policy in policies:
        policy.restart(np.zeros(4, np.float32))
    np.testing.assert_allclose(*(ticks(policy, 5) for policy in policies), atol=1e-5)


def test_it_continues_exactly_from_its_state():
    policy, other = acting("numpy", 0.4), acting("numpy", 0.4)
    for one in (policy, other):
        one.restart(np.zeros(4, np.float32))
    ticks(policy, 5)
    other.restore(policy.state())
    assert np.array_equal(ticks(policy, 5, 2), ticks(other, 5, 2))


def test_a_graph_without_dropout_has_no_randomness_in_its_state():
    policy = acting("numpy", 0.0)
    policy.restart(np.zeros(4, np.float32))
    assert "rng" not in policy.state()
