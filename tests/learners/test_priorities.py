"""The tree of sums: against an array, and in proportion."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.learners.priorities import Priorities

CHANGES = st.lists(st.lists(st.tuples(st.integers(0, 12), st.floats(0, 10)), min_size=1, max_size=6), max_size=12)


@settings(max_examples=80, deadline=None)
@given(CHANGES)
def test_sums_are_what_is_below(changes):
    tree, plain = Priorities(13), np.zeros(13)
    for batch in changes:
        places, values = np.array([p for p, _ in batch]), np.array([v for _, v in batch])
        tree.set(places, values)
        plain[places] = values
        tree.set_one(int(places[0]), 2.5)
        plain[places[0]] = 2.5
    np.testing.assert_array_equal(tree.values(), plain)
    assert abs(tree.total - plain.sum()) < 1e-9
    again = Priorities(13)
    again.restore(tree.values())
    np.testing.assert_array_equal(again._sums, tree._sums)


def test_draws_are_in_proportion():
    tree, rng = Priorities(5), np.random.default_rng(0)
    tree.set(np.arange(5), np.array([0.0, 1.0, 2.0, 0.0, 5.0]))
    drawn = np.concatenate([tree.draw(rng, 64) for _ in range(200)])
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    np.testing.assert_allclose(shares, [0, 0.125, 0.25, 0, 0.625], atol=0.01)


def test_each_share_of_the_total_gives_one():
    tree = Priorities(4)
    tree.set(np.arange(4), np.ones(4))
    assert sorted(tree.draw(np.random.default_rng(1), 4).tolist()) == [0, 1, 2, 3]
