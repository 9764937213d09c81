"""Statistics over tasks worked out by hand and by plain loops; intervals, ranks and curves built on them."""

from __future__ import annotations

import itertools
import statistics as plain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtbench.results import aggregates, intervals
from rtbench.results.aggregates import STATISTICS
from rtbench.results.efficiency import curve_of, sample_efficiency
from rtbench.results.intervals import Estimate
from rtbench.results.ranks import Rank, ranks
from rtbench.results.statistics import bootstrap_interval, iqm

scores = st.lists(
    st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=2, max_size=6), min_size=1, max_size=4
)


def value(name: str, given: list[list[float]]) -> float:
    found = intervals.estimate(given, STATISTICS[name], "k", resamples=10)
    assert found is not None
    return found.value


def test_by_hand() -> None:
    tasks = [[0.0, 1.0], [2.0, 4.0], [0.5, 0.5]]  # means ½, 3, ½
    assert value("mean", tasks) == pytest.approx(4 / 3)
    assert value("median", tasks) == 0.5
    assert value("iqm", tasks) == pytest.approx((0.5 + 0.5 + 1.0 + 2.0) / 4)  # one of six is cut at each end
    assert value("optimality_gap", tasks) == pytest.approx((0.5 + 0.0 + 0.5) / 3)  # what exceeds 1 counts as 1
    assert intervals.profile(tasks, [0.5], "k", resamples=10)[0].value == pytest.approx((0.5 + 1 + 0) / 3)


def test_of_missing_runs_there_is_nothing_and_of_single_ones_no_interval() -> None:
    assert intervals.estimate([], aggregates.mean, "k") is None
    assert intervals.estimate([[1.0], []], aggregates.mean, "k") is None
    assert intervals.estimate([[1.0], [2.0, 3.0]], aggregates.mean, "k") == Estimate(1.75)
    assert intervals.improvement([[1.0]], [[]], "k") is None
    assert intervals.improvement([[2.0]], [[1.0]], "k") == Estimate(1.0)
    assert intervals.profile([[1.0], []], [0.0], "k") == ()
    assert intervals.profile([[1.0]], [0.0, 1.0], "k") == (Estimate(1.0), Estimate(0.0))


@given(scores)
def test_means_and_medians_are_those_of_plain_loops(tasks: list[list[float]]) -> None:
    means = [plain.fmean(runs) for runs in tasks]
    assert value("mean", tasks) == pytest.approx(plain.fmean(means), abs=1e-9)
    assert value("median", tasks) == pytest.approx(plain.median(means), abs=1e-9)
    assert value("iqm", tasks) == pytest.approx(iqm([each for runs in tasks for each in runs]), abs=1e-9)
    gaps = [plain.fmean(max(0.0, 1 - each) for each in runs) for runs in tasks]
    assert value("optimality_gap", tasks) == pytest.approx(plain.fmean(gaps), abs=1e-9)


@given(scores, st.randoms(use_true_random=False))
def test_improvement_counts_pairs_and_is_its_own_complement(tasks: list[list[float]], random: object) -> None:
    others = [[each + 0.5 for each in runs[::-1]] + [runs[0]] for runs in tasks]
    pairs = [
        plain.fmean(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(runs, beside))
        for runs, beside in zip(tasks, others, strict=True)
    ]
    found = intervals.improvement(tasks, others, "k", resamples=10)
    back = intervals.improvement(others, tasks, "k", resamples=10)
    assert found is not None
    assert back is not None
    assert found.value == pytest.approx(plain.fmean(pairs), abs=1e-9)
    assert found.value + back.value == pytest.approx(1.0)


def test_the_interval_of_an_iqm_is_the_leaderboards() -> None:
    tasks = [[1.0, 5.0, 2.0, 8.0], [3.0, 9.0, 4.0]]
    found = intervals.estimate(tasks, aggregates.iqm, "key")
    assert found is not None
    assert (found.low, found.high) == bootstrap_interval(tasks, "key")


def test_intervals_depend_on_the_key_alone() -> None:
    tasks = [[1.0, 5.0, 2.0, 8.0, 3.3, 4.1, 0.2, 7.7]]
    np.random.seed(3)
    one = intervals.estimate(tasks, aggregates.mean, "a")
    assert one == intervals.estimate(tasks, aggregates.mean, "a")
    assert one != intervals.estimate(tasks, aggregates.mean, "b")
    assert Estimate(1 / 3).data() == {"value": 0.333333, "low": None, "high": None}


def test_ranks_tie_where_intervals_overlap() -> None:
    best, good, wide, worst = (9.0, 10.0), (5.0, 6.0), (5.5, 9.5), (1.0, 2.0)
    found = ranks([worst, best, None, wide, good])
    assert found == [Rank(4, 4, 4), Rank(1, 2, 4), None, Rank(1, 3, 4), Rank(2, 3, 4)]
    assert [str(rank) for rank in found if rank] == ["4", "1–2", "1–3", "2–3"]
    lower = ranks([worst, best], higher=False)
    assert lower == [Rank(1, 1, 2), Rank(2, 2, 2)]
    assert ranks([(1.0, 2.0), (2.0, 3.0)]) == [Rank(1, 2, 2), Rank(1, 2, 2)]  # touching is overlapping
    assert ranks([best, None]) == [None, None]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=2, max_size=8))
def test_ranks_leave_room_for_everyone(given: list[tuple[int, int]]) -> None:
    """There is an order of the entries that gives each a place within its rank: that of the middles of intervals."""
    bounds = [(float(low), float(low + width)) for low, width in given]
    found = ranks(bounds)
    order = sorted(range(len(bounds)), key=lambda at: -sum(bounds[at]))
    for place, at in enumerate(order, start=1):
        rank = found[at]
        assert rank is not None
        assert rank.best <= place <= rank.worst


def row(steps: list[int], returns: list[float], status: str = "ok") -> dict[str, object]:
    return {"status": status, "eval_step": steps, "eval_return": returns}


def test_a_learning_curve_has_the_points_that_all_runs_have() -> None:
    curves = [curve_of(row([10, 20, 30], [1.0, 2.0, 3.0])), curve_of(row([10, 30], [3.0, 5.0]))]
    found = sample_efficiency([curves], "k", how="mean")
    assert [(point.units, point.return_.value) for point in found] == [(10, 2.0), (30, 4.0)]
    assert all(point.return_.low is not None for point in found)
    assert curve_of(row([10], [1.0], status="failed")) == {}
    assert curve_of({"status": "ok", "eval_step": None, "eval_return": None}) == {}


def test_curves_of_several_tasks_are_normalised_and_none_is_left_out_silently() -> None:
    tasks = [[{10: 50.0, 20: 100.0}], [{10: 1.0, 20: 4.0}]]
    found = sample_efficiency(tasks, "k", how="mean", by=[100.0, 4.0])
    assert [(point.units, point.return_) for point in found] == [(10, Estimate(0.375)), (20, Estimate(1.0))]
    assert sample_efficiency([tasks[0], []], "k") == ()
    assert sample_efficiency([], "k") == ()
