"""What runs would cost on a class of machines, on so many runners, at a price: by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from helpers.samples import hand_row, install_parts, write_suite
from hypothesis import given
from hypothesis import strategies as st

from rtbench import plugins
from rtbench.cli.costs import clock, core_hours, priced
from rtbench.errors import SuiteError
from rtbench.executors import estimates
from rtbench.executors.estimates import Estimate, estimate
from rtbench.executors.planning import parse_only, plan_runs
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite

SLOW, FAST = "Old CPU, 2 cores, Linux", "New CPU, 64 cores, Linux"


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_parts(tmp_path / "site", monkeypatch)
    return expand(load_suite(write_suite(tmp_path)))


def row(cell, machine, wall_s):
    return {**hand_row(cell.cell), "machine_class": machine, "wall_s": wall_s}


def of(cells, architecture, environment):
    conditions = [f"architecture={architecture}", f"environment.id={environment}"]
    return plan_runs(cells, {}, match=parse_only(conditions, cells))


def test_hours_on_runners_by_hand():
    """3, 3, 2, 2, 2 hours on two: 3+2+2 and 3+2."""
    found = Estimate(12.0, "", ((3 * 3600.0, 2), (2 * 3600.0, 3)))
    assert [found.hours(runners) for runners in (1, 2, 3, 5, 200)] == [12.0, 7.0, 5.0, 3.0, 3.0]
    assert Estimate(0.0, "").hours(4) == 0.0


@given(st.lists(st.tuples(st.floats(1, 1e5), st.integers(1, 9)), min_size=1), st.integers(1, 40))
def test_hours_lie_between_the_bounds_of_any_schedule(runs, runners):
    """Not below the work shared equally nor the longest run, not above twice that (Graham 1966)."""
    seconds = [each for each, count in runs for _ in range(count)]
    least = max(sum(seconds) / runners, max(seconds)) / 3600
    found = Estimate(0.0, "", tuple(runs)).hours(runners)
    assert least * (1 - 1e-9) <= found <= 2 * least * (1 + 1e-9)


def test_only_what_was_measured_on_the_machine_counts(cells):
    planned = of(cells, "net", "A-v0")
    cell = next(run.cell for run in planned if run.starts)
    starts, rows = sum(run.starts for run in planned), [row(cell, SLOW, 100.0), row(cell, FAST, 10.0)]
    for machine, seconds in (("old cpu", 100.0), (FAST, 10.0)):
        found = estimate(planned, rows, machine)
        assert found.core_hours == pytest.approx(starts * seconds / 3600)
        assert found.basis == f"{starts} from measured speed"


def test_the_length_of_an_episode_is_not_guessed(cells, monkeypatch, request):
    """A learner of 10 units a second: 1000 ticks are 100 s; 1000 episodes are unknown until some were measured."""
    (run, *_) = (run for run in of(cells, "net", "A-v0") if run.starts)
    part = plugins.part_class("learners", run.cell.cell.learner.name)
    monkeypatch.setattr(part, "reference_units_per_s", 10.0)
    estimates._reference.cache_clear()
    request.addfinalizer(estimates._reference.cache_clear)
    assert estimate([run], []).runs == ((100.0, 1),)
    counted = dataclasses.replace(run.cell.cell, budget=dataclasses.replace(run.cell.cell.budget, unit="episodes"))
    run = dataclasses.replace(run, cell=dataclasses.replace(run.cell, cell=counted))
    assert estimate([run], []).basis == "1 of unknown cost, left out"
    measured = {**hand_row(counted), "machine_class": FAST, "wall_s": 20.0}
    assert estimate([run], [measured]).runs == ((20.0, 1),)


def test_what_was_measured_elsewhere_is_scaled_by_what_both_ran(cells):
    """Both ran one network, the fast one in a tenth of the time; of the other network only the slow one is known."""
    planned = [run for run in of(cells, "net", "A-v0") if run.starts]
    new = planned[0].cell
    planned = [run for run in planned if run.cell == new]
    other = {"architecture_params_json": '{"layers":99}'}
    rows = [row(new, SLOW, 100.0) | other, row(new, FAST, 10.0) | other, row(new, SLOW, 700.0)]
    worlds = [{**each, "environment_params_json": f'{{"id":"{number}"}}'} for number, each in enumerate(rows)]
    found = estimate(planned, worlds, "New")
    assert found.core_hours == pytest.approx(len(planned) * 70.0 / 3600)
    assert found.basis == f"{len(planned)} from another machine's, scaled by what both ran"


def test_a_class_that_no_row_names_is_told_with_those_there_are(cells):
    planned = of(cells, "net", "A-v0")
    rows = [row(planned[0].cell, SLOW, 100.0), row(planned[0].cell, FAST, 10.0)]
    for given_, words in (("abacus", "no measured row"), ("linux", "2 classes")):
        with pytest.raises(SuiteError, match=words) as caught:
            estimate(planned, rows, given_)
        assert set(caught.value.allowed) == {SLOW, FAST}


def test_what_plan_says(cells):
    planned = of(cells, "net", "A-v0")
    starts = sum(run.starts for run in planned)
    rows = [row(planned[0].cell, SLOW, 3600.0)]
    cost = priced(planned, rows, None, 2, 0.05)
    assert cost.data() == {
        "core_hours": starts,
        "basis": f"{starts} from measured speed",
        "machine": None,
        "runners": 2,
        "hours": -(-starts // 2),
        "price": round(0.05 * starts, 2),
    }
    assert f"{-(-starts // 2):.1f} hours with 2 at a time; {0.05 * starts:,.2f} at 0.05 per core-hour" in cost.words()
    assert json.loads(json.dumps(cost.data()))["price"] == round(0.05 * starts, 2)
    for wrong in ({"runners": 0, "price": None}, {"runners": 1, "price": -1.0}, {"runners": 1, "price": float("nan")}):
        with pytest.raises(SuiteError):
            priced(planned, rows, None, **wrong)


def test_hours_in_words():
    assert [clock(hours) for hours in (0.5, 3.0, 72.0)] == ["30.0 minutes", "3.0 hours", "3.0 days"]
    assert [core_hours(hours) for hours in (0.01, 3.0, 2000.0)] == [
        "36 core-seconds",
        "3.0 core-hours",
        "2,000 core-hours",
    ]
