"""What would start and why, and what it is expected to cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.samples import hand_row, install_parts, write_suite

from rtbench.errors import SuiteError
from rtbench.executors.estimates import SPEED_COLUMNS, estimate
from rtbench.executors.planning import COLUMNS, counts, make_jobs, parse_only, plan_runs
from rtbench.suites.expand import expand
from rtbench.suites.identity import cell_id
from rtbench.suites.model import load_suite


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_parts(tmp_path / "site", monkeypatch)
    suite = load_suite(write_suite(tmp_path))
    return suite, expand(suite)


def rows_for(cells, *statuses):
    """Rows for the first seeds of the first cell, with these statuses."""
    rows = {}
    for seed, status in enumerate(statuses):
        changes = {"status": status} if status == "ok" else {"status": status, "reason": "why not"}
        row = hand_row(cells[0].cell, seed, **changes)
        rows[row["run_id"]] = row
    return rows


def test_missing_runs_start_and_excluded_ones_do_not(tiny):
    _, cells = tiny
    planned = plan_runs(cells, {})
    assert counts(planned) == {"missing": 18, "unsupported": 6, "excluded": 6}
    assert not any(run.starts for run in planned if run.state == "unsupported")
    assert {run.starts for run in planned if run.state == "missing"} == {True}
    assert {(run.starts, run.why) for run in planned if run.state == "excluded"} == {(False, "too deep for B")}


@pytest.mark.parametrize(
    ("rerun", "starting"),
    [
        ("never", {"interrupted"}),
        ("failed", {"interrupted", "failed"}),
        ("stale", {"interrupted", "failed"}),
        ("all", {"done", "interrupted", "failed"}),
    ],
)
def test_rerun_decides_about_runs_with_a_row(tiny, rerun, starting):
    _, cells = tiny
    rows = rows_for(cells, "ok", "failed", "interrupted")
    planned = [run for run in plan_runs(cells, rows, rerun=rerun) if run.run_id in rows]
    assert [run.state for run in planned] == ["done", "failed", "interrupted"]
    assert {run.state for run in planned if run.starts} == starting
    assert [run.attempt for run in planned] == [2, 2, 2]
    assert all(run.why for run in planned)


def test_a_changed_part_makes_a_run_stale(tiny):
    _, cells = tiny
    rows = rows_for(cells, "ok")
    (row,) = rows.values()
    row["learner_source_digest"] = "of another day"
    for rerun, starts in (("failed", False), ("stale", True)):
        run = plan_runs(cells, rows, rerun=rerun)[0]
        assert (run.state, run.starts) == ("stale", starts)
        assert "learner fake/learner" in run.why


def test_only_and_seeds_keep_what_they_name(tiny):
    _, cells = tiny
    match = parse_only(["architecture=net", "interaction.delta=2"], cells)
    planned = plan_runs(cells, {}, match=match, seeds=[1])
    assert [(run.cell.environment, run.seed) for run in planned] == [("A-v0", 1), ("B-v0", 1)]
    for wrong in ("architecture", "planet=x", "architecture.lairs=3", "environment.id=C-v0"):
        with pytest.raises(SuiteError):
            parse_only([wrong], cells)


def test_costs_by_hand(tiny):
    """The very cell at 0.02 s a unit; the same network elsewhere for the others of its kind; the rest is unknown."""
    _, cells = tiny
    rows = rows_for(cells, "ok")
    (row,) = rows.values()
    row["wall_s"] = 0.02 * row["ticks"]
    planned = plan_runs(cells, rows, match=parse_only(["architecture=net"], cells))
    found = estimate(planned, rows.values())
    assert len([run for run in planned if run.starts]) == 11
    assert found.core_hours == pytest.approx(11 * 0.02 * 1000 / 3600)
    assert found.basis == "11 from measured speed"
    nothing = estimate(planned, [])
    assert nothing.core_hours == 0
    assert "unknown cost" in nothing.basis


def test_batches_hold_seeds_of_one_cell(tiny):
    suite, cells = tiny
    jobs = make_jobs(suite, plan_runs(cells, rows_for(cells, "ok")), batch=2)
    assert [job.seeds for job in jobs[:3]] == [(1, 2), (0, 1), (2,)]
    assert len({job.key for job in jobs}) == len(jobs)
    again = type(jobs[0]).from_json(jobs[0].to_json())
    assert again == jobs[0]
    assert again.cell.architecture.label == jobs[0].cell.architecture.label


def test_titles_tell_apart_what_the_suite_has_several_of(tiny):
    suite, cells = tiny
    (planned, *_) = [run for run in plan_runs(cells, {}) if run.starts]
    assert [job.beside for job in make_jobs(suite, [planned])] == [()]

    def with_parts(backend, rate, label=""):
        cell = planned.cell.cell
        parts = {"backend": replace(cell.backend, name=backend)}
        parts["learner"] = replace(cell.learner, params={**cell.learner.params, "rate": rate}, label=label)
        other = replace(cell, **parts)
        return replace(planned, cell=replace(planned.cell, cell=other, cell_id=cell_id(other)))

    several = [with_parts("a", 0.1), with_parts("b", 0.1), with_parts("a", 0.2), with_parts("a", 0.3, "quick")]
    jobs = make_jobs(suite, several)
    assert [job.beside for job in jobs] == [
        ("fake/learner(rate=0.1)", "a"),
        ("fake/learner(rate=0.1)", "b"),
        ("fake/learner(rate=0.2)", "a"),
        ("quick", "a"),
    ]
    assert jobs[1].title.endswith("fake/learner(rate=0.1) · b · seed 0")
    assert type(jobs[0]).from_json(jobs[0].to_json()) == jobs[0]
    older = {key: value for key, value in jobs[0].to_json().items() if key != "beside"}
    assert type(jobs[0]).from_json(older).beside == ()


def test_the_columns_that_are_kept_of_rows_are_enough(tiny):
    _, cells = tiny
    rows = rows_for(cells, "ok", "failed", "interrupted")
    next(iter(rows.values()))["wall_s"] = 20.0
    kept = {run_id: {name: row[name] for name in COLUMNS} for run_id, row in rows.items()}
    speeds = [{name: row[name] for name in SPEED_COLUMNS} for row in rows.values()]
    planned = plan_runs(cells, rows)
    assert plan_runs(cells, kept) == planned
    assert estimate(planned, speeds) == estimate(planned, rows.values())
    assert estimate(planned, speeds).core_hours > 0


def test_nothing_is_read_for_the_cost_of_nothing(tiny):
    _, cells = tiny
    rows = iter([hand_row()])
    assert estimate([run for run in plan_runs(cells, {}) if not run.starts], rows).core_hours == 0
    assert list(rows) == [hand_row()]


def test_no_more_rows_are_read_than_an_estimate_needs(tiny):
    """Ten of the very kind are enough, however many follow; rows of another kind or too short do not count."""
    _, cells = tiny
    planned = plan_runs(cells[:1], {})
    like = {**hand_row(cells[0].cell), "wall_s": 20.0}
    other = {**hand_row(cells[-1].cell), "wall_s": 500.0}
    short = {**like, "wall_s": 1.0}
    rows = iter([other, short, *[like] * 9, short, other, like, {**like, "wall_s": 9e9}])
    found = estimate(planned, rows)
    assert found.core_hours == pytest.approx(3 * 20.0 / 3600)
    assert [row["wall_s"] for row in rows] == [9e9]
