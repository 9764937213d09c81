"""The suites that come with rtbench: every published figure has a cell; mujoco-delta is Tables 8-9, cell by cell."""

from __future__ import annotations

from collections import Counter

import pytest

from rtbench import plugins
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.figures import names_axis
from rtbench.suites.identity import run_ids
from rtbench.suites.match import field_value, holds, view
from rtbench.suites.model import load_suite
from rtbench.suites.published import ALL

SHIPPED = sorted(found.name for found in plugins.registrations("suites") if not found.third_party)
UNSUPPORTED = {"learning-scaling": "does not fit"}
"""Suites that have cells which not every machine can run, and what is said of those."""


@pytest.mark.parametrize("name", SHIPPED)
def test_every_published_figure_has_cells_that_answer_to_it(name: str) -> None:
    suite = load_suite(name)
    cells = expand(suite, support=False)
    keys = {cell.published_key for cell in cells}
    for row in suite.published:
        if row.environment == ALL:
            assert any(method == row.method for _, method, _ in keys), row
        else:
            assert keys & set(row.keys), row


@pytest.mark.parametrize("name", SHIPPED)
def test_every_profile_has_supported_cells_and_smoke_is_short(name: str) -> None:
    profiles = load_suite(name).profiles
    for profile in profiles:
        cells = expand(load_suite(name, profile))
        assert cells
        known = UNSUPPORTED.get(name, "\n")
        assert [cell.unsupported for cell in cells if cell.unsupported and known not in cell.unsupported] == []
    if name != "quickstart":
        smoke = expand(load_suite(name, "smoke"), support=False)
        assert sum(cell.cell.budget.steps * len(cell.seeds) for cell in smoke) <= 7_500


@pytest.mark.parametrize("name", SHIPPED)
def test_a_figure_s_point_is_one_cell(name: str) -> None:
    """In every profile, where a value of the cell stands along x; what rows measured there is known only to them."""
    for profile in load_suite(name).profiles:
        suite = load_suite(name, profile)
        views = [view(cell.cell) for cell in expand(suite, support=False) if not cell.excluded]
        for table in suite.document.figures:
            if table.kind == "scatter" or not names_axis(table.x):
                continue
            fields = ("interaction.clock", *filter(None, [table.panel, *table.series]), table.x)
            found = Counter(
                tuple(str(field_value(seen, name)) for name in fields) for seen in views if holds(table.filter, seen)
            )
            assert {place: count for place, count in found.items() if count > 1} == {}, (profile, table.name)


@pytest.mark.parametrize("name", ["atari-realtime", "atari-realtime-deep", "atari-realtime-rainbow"])
def test_a_line_of_atari_s_leaderboard_is_one_cell(name: str) -> None:
    """Whatever tells two cells apart, the order of inference and learning included."""
    suite = load_suite(name)
    fields = ("interaction.clock", *suite.document.leaderboard.group_by)
    views = [view(cell.cell) for cell in expand(suite, support=False)]
    lines = Counter(tuple(str(field_value(seen, field)) for field in fields) for seen in views)
    assert set(lines.values()) == {1}


def test_suites_share_runs() -> None:
    """The undelayed agent is computed once for all; so are the cells that two suites have."""
    ids = {}
    for name in SHIPPED:
        suite = load_suite(name)
        cells = expand(suite, support=False)
        ids[name] = {run for cell in cells for run in run_ids(cell.cell, suite.seeds)}
    assert ids["mujoco-skips"] <= ids["mujoco-delta"]
    assert len(ids["mujoco-layers"] - ids["mujoco-delta"]) == 3 * 4 * 5
    assert len(ids["mujoco-sequential"] - ids["mujoco-delta"]) == 4 * 5
    assert len(ids["mujoco-dropout"] - ids["mujoco-delta"]) == 10 * 5
    assert len(ids["ant-cut-paths"] & ids["mujoco-delta"]) == 0
    assert len(ids["mujoco-action-repeat"] - ids["mujoco-delta"]) == 2 * 4 * 5


def test_the_published_reading_of_sequential_stands_beside_the_true_one() -> None:
    suite = load_suite("mujoco-sequential")
    row = next(row for row in suite.published if row.method.startswith("sequential") and row.environment == "Ant-v4")
    cells = {cell.published_key: cell.cell.interaction for cell in expand(suite, support=False)}
    met = [(cells[key].execution, cells[key].delta) for key in row.keys]
    assert met == [("sequential", 1.0), ("pipelined", 3.0)]


@pytest.fixture(scope="module")
def cells() -> list[SuiteCell]:
    return expand(load_suite("mujoco-delta"), support=False)


def test_every_published_row_has_one_cell_and_every_cell_a_row(cells: list[SuiteCell]) -> None:
    suite = load_suite("mujoco-delta")
    rows = Counter(row.key for row in suite.published)
    assert rows == Counter(cell.published_key for cell in cells)
    assert set(rows.values()) == {1}
    assert len(cells) == 4 * (1 + 14 * 4)
    assert {row.method for row, _ in suite.ignored} == {"RLRD for delay of 1"}


def test_methods_are_the_networks_their_names_say(cells: list[SuiteCell]) -> None:
    params = {cell.method: cell.cell.architecture.params for cell in cells}
    words = {"one": 1, "two": 2, "three": 3, "LSTM": 3, "SAC": 3}
    skips = {"proj-from-obs": "from-obs", "proj-to-action": "to-action", "res": "to-action-res", "all skips": "all"}
    for method, given in params.items():
        wanted = "none"
        for name, value in skips.items():
            wanted = value if name in method else wanted
        assert given["skips"] == wanted, method
        assert given["layers"] == words[method.split()[0]], method
        assert given["augmentation"] == ("observation" if method.endswith("aug") else "none"), method
        assert given["actions"] == 2
        assert given["width"] == 256
        assert given["lstm"] == method.startswith("LSTM"), method


def test_lstm_cells_learn_slower_and_the_base_is_instant(cells: list[SuiteCell]) -> None:
    rates = {cell.cell.learner.params["policy_learning_rate"] for cell in cells if cell.method.startswith("LSTM")}
    others = {cell.cell.learner.params["policy_learning_rate"] for cell in cells if not cell.method.startswith("LSTM")}
    assert rates == {1e-4}
    assert rates.isdisjoint(others)
    assert {cell.method for cell in cells if cell.cell.interaction.execution == "instant"} == {"SAC"}
    pipelined = [cell.cell.interaction for cell in cells if cell.method != "SAC"]
    assert {(met.execution, met.scheduler.name, met.default_policy.name) for met in pipelined} == {
        ("pipelined", "one-process", "repeat-last")
    }


def test_budgets_and_profiles() -> None:
    paper, short, smoke = (load_suite("mujoco-delta", name) for name in ("paper", "short", "smoke"))
    assert (paper.budget.steps, paper.budget.eval_every, paper.budget.final_eval_episodes) == (1_000_000, 20_000, 100)
    assert (short.budget.steps, len(short.seeds)) == (100_000, 3)
    few = expand(smoke, support=False)
    assert len(few) == 5
    assert all(cell.cell.learner.params["learning_starts"] == 500 for cell in few)
    assert sum(cell.cell.budget.steps for cell in few) == 7_500


def test_quickstart_shows_delay_beside_no_delay() -> None:
    suite = load_suite("quickstart")
    executions = {cell.cell.interaction.execution for cell in expand(suite, support=False)}
    assert executions == {"instant", "pipelined"}
