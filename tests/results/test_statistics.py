"""Statistics against values worked out by hand and against SciPy and a naive bootstrap."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from rtbench.results.statistics import bootstrap_interval, iqm, mean, reduced, rounded, standard_error

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def test_by_hand() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 100.0]
    assert mean(values) == 22.0
    assert iqm(values) == 3.0  # one of five is cut at each end
    assert iqm([1.0, 5.0, 9.0]) == 5.0  # nothing is cut below four values
    assert iqm([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert standard_error([2.0, 4.0]) == pytest.approx(1.0)  # deviation √2, over √2
    assert standard_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.6454972243679028)
    assert reduced(values, "mean") == 22.0
    assert reduced(values, "iqm") == 3.0


def test_of_nothing_there_is_nothing() -> None:
    assert (mean([]), iqm([]), standard_error([]), standard_error([1.0])) == (None, None, None, None)
    assert bootstrap_interval([], "k") is None
    assert bootstrap_interval([[1.0, 2.0], [3.0]], "k") is None


@given(numbers)
def test_iqm_is_scipys_trimmed_mean(values: list[float]) -> None:
    assert iqm(values) == pytest.approx(float(trim_mean(values, 0.25)), rel=1e-9, abs=1e-6)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_standard_error_is_deviation_over_root_n(values: list[float]) -> None:
    assert standard_error(values) == pytest.approx(statistics.stdev(values) / len(values) ** 0.5, abs=1e-6)


def test_the_interval_depends_on_the_key_and_on_nothing_else() -> None:
    values = [[1.0, 5.0, 2.0, 8.0, 3.0]]
    np.random.seed(1)
    first = bootstrap_interval(values, "a")
    np.random.seed(2)
    assert bootstrap_interval(values, "a") == first
    assert bootstrap_interval(values, "b") != first
    assert bootstrap_interval([[4.0] * 5], "a") == (4.0, 4.0)


@pytest.mark.parametrize("how", ["iqm", "mean"])
def test_the_interval_is_a_naive_bootstraps(how: str) -> None:
    strata = [[1.0, 2.0, 3.0, 9.0, 11.0], [20.0, 21.0, 30.0]]
    source = random.Random(5)
    drawn = sorted(
        reduced([value for stratum in strata for value in source.choices(stratum, k=len(stratum))], how) or 0.0
        for _ in range(20_000)
    )
    interval = bootstrap_interval(strata, "k", how=how, resamples=20_000)
    assert interval is not None
    assert interval[0] == pytest.approx(drawn[500], abs=0.35)
    assert interval[1] == pytest.approx(drawn[19_500], abs=0.35)


def test_strata_are_not_mixed() -> None:
    """Drawn within each stratum, means of constant strata cannot vary; drawn from the pool they would."""
    assert bootstrap_interval([[0.0, 0.0], [10.0, 10.0]], "k", how="mean") == (5.0, 5.0)


def test_rounding_to_significant_digits() -> None:
    assert rounded(1234567.8) == 1234570.0
    assert rounded(0.000123456789) == 0.000123457
    assert rounded(None) is None
