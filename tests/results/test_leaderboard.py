"""Leaderboards from rows: what is averaged, what is not, and that the same rows give the same digest."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from helpers.boards import board_cell, board_line, board_rows, complete_rows
from helpers.samples import hand_row, write_suite

from rtbench.cell import Latency
from rtbench.errors import InvalidResults, SuiteError
from rtbench.plugins import use
from rtbench.results import pages
from rtbench.results.groups import NO_PROFILE, choose, row_view
from rtbench.results.leaderboard import build, build_all
from rtbench.results.schema import row_digest
from rtbench.suites.expand import expand
from rtbench.suites.match import view
from rtbench.suites.model import Suite, load_suite


def test_a_complete_line_by_hand(suite: Suite) -> None:
    line = board_line(build(suite, complete_rows(suite)), "net", 1.0)
    assert (line["profile"], line["budget"], line["status"]) == ("paper", "1000 ticks", "complete")
    assert (line["seeds_done"], line["seeds_wanted"], line["failed"]) == (3, 3, 0)
    assert (line["mean"], line["iqm"]) == (52.0, 52.0)
    assert line["standard_error"] == 7.57188
    assert 40.0 <= line["low"] < 52.0 < line["high"] <= 66.0
    assert line["normalised"] == 0.52
    assert (line["published_mean"], line["published_spread"], line["difference"]) == (50.0, None, 2.0)
    assert (line["observation_age_p50_steps"], line["oldest_age_p50_steps"]) == (1.0, 3.0)


@pytest.mark.parametrize(("how", "shown"), [("iqm", "6 ["), ("mean", "22.2 [")])
def test_a_page_shows_what_its_interval_is_of(suite: Suite, tmp_path: Path, how: str, shown: str) -> None:
    """Of 0, 5, 6, 7 and 93 the mean without the lowest and the highest is 6."""
    reduced = ("[leaderboard]", f'[leaderboard]\nreduce = "{how}"')
    suite = load_suite(write_suite(tmp_path / how, ("count = 3", "count = 5"), reduced))
    board = build(suite, board_rows(board_cell(suite, "net", 1.0), 0.0, 5.0, 6.0, 7.0, 93.0))
    assert f"| {shown}" in pages.to_page(board)


def test_cells_without_runs_are_shown_as_missing_and_excluded_ones_with_the_reason(suite: Suite) -> None:
    board = build(suite, complete_rows(suite))
    assert len(board.lines) == 10
    assert board_line(board, "net", 2.0)["status"] == "missing"
    deep = board_line(board, "deep", 1.0, "B-v0")
    assert (deep["status"], deep["seeds_wanted"], deep["reason"]) == ("excluded", 0, "too deep for B")


def test_runs_that_are_over_without_the_metric_are_not_called_missing(suite: Suite) -> None:
    cell = board_cell(suite, "net", 1.0)
    rows = [hand_row(cell.cell, seed, eval_return_final=None) for seed in range(3)]
    line = board_line(build(suite, rows), "net", 1.0)
    assert (line["status"], line["seeds_done"], line["mean"]) == ("no value", 0, None)


def test_an_incomplete_base_normalises_nothing(suite: Suite) -> None:
    rows = [
        *board_rows(board_cell(suite, "base", 0.0), 90.0, 100.0),
        *board_rows(board_cell(suite, "net", 1.0), 40.0, 50.0, 66.0),
    ]
    board = build(suite, rows)
    assert board_line(board, "base", 0.0)["status"] == "incomplete"
    assert board_line(board, "net", 1.0)["normalised"] is None


def test_failed_runs_are_counted_and_not_averaged(suite: Suite) -> None:
    cell = board_cell(suite, "net", 1.0)
    rows = board_rows(cell, 40.0, 50.0)
    rows.append(hand_row(cell.cell, 2, status="failed", reason="diverged", eval_return_final=None))
    line = board_line(build(suite, rows), "net", 1.0)
    assert (line["status"], line["seeds_done"], line["failed"], line["mean"]) == ("incomplete", 2, 1, 45.0)
    assert line["reason"] == "diverged"
    assert line["normalised"] is None


def test_seeds_the_suite_does_not_enumerate_are_not_picked(suite: Suite) -> None:
    cell = board_cell(suite, "net", 1.0)
    rows = [*board_rows(cell, 40.0, 50.0, 66.0), *board_rows(cell, 1e6, first=50)]
    assert board_line(build(suite, rows), "net", 1.0)["mean"] == 52.0


PROFILES = {
    "some": '[profiles.some]\nsteps = 700\nseeds = { count = 2 }\nonly = [{ architecture = { label = "net" } }]\n',
    "all": "[profiles.all]\nsteps = 700\nseeds = { count = 2 }\n",
    "more": '[profiles.more]\nsteps = 700\nseeds = { count = 3 }\nonly = [{ architecture = { label = "net" } }]\n',
}


def _shown(rows: list[dict[str, Any]], suite: Suite) -> list[tuple[str, int, int]]:
    """(profile, runs there, runs asked for) of every block."""
    blocks: dict[str, list[int]] = {}
    for line in build(suite, rows).lines:
        block = blocks.setdefault(line["profile"], [0, 0])
        block[0] += line["seeds_done"]
        block[1] += line["seeds_wanted"]
    return sorted((profile, done, wanted) for profile, (done, wanted) in blocks.items())


@pytest.mark.parametrize("order", [("some", "all", "more"), ("more", "all", "some"), ("all", "more", "some")])
def test_a_row_counts_for_every_profile_that_asks_for_it(tmp_path: Path, suite: Suite, order: tuple[str, ...]) -> None:
    """`some` is four cells of `all`, `more` the same with another seed: whichever stands first in the file."""
    text = "".join(PROFILES[name] for name in order)
    overlapping = load_suite(write_suite(tmp_path / "overlapping", ("[profiles.short]", text + "[profiles.short]")))

    def rows(profile: str, leaving: int = 0) -> list[dict[str, Any]]:
        cells = [
            cell for cell in expand(load_suite(str(overlapping.path), profile), support=False) if not cell.excluded
        ]
        found = [row for cell in cells for row in board_rows(cell, *(float(seed) for seed in cell.seeds))]
        return found[: len(found) - leaving]

    some, everything, more = rows("some"), rows("all"), rows("more")
    assert (len(some), len(everything), len(more)) == (8, 16, 12)
    assert _shown(some, overlapping) == [("some", 8, 8)]
    assert _shown(some[:3], overlapping) == [("some", 3, 8)]
    assert _shown(everything, overlapping) == [("all", 16, 16)], "with it `some` is complete, and said by it"
    assert _shown(rows("all", 1), overlapping) == [("all", 15, 16), ("some", 8, 8)]
    assert _shown(more, overlapping) == [("more", 12, 12)]
    assert _shown(more[:1] + everything[-1:], overlapping) == [("all", 2, 16)]
    known = {row["run_id"] for row in everything}
    both = everything + [row for row in more if row["run_id"] not in known]
    assert _shown(both, overlapping) == [("all", 16, 16), ("more", 12, 12)]


def test_budgets_are_never_mixed(suite: Suite) -> None:
    short = board_rows(board_cell(suite, "net", 1.0, profile="short"), 10.0, 12.0)
    board = build(suite, [*complete_rows(suite), *short])
    told = {line["profile"]: line for line in board.lines if line["architecture"] == "net" and line["seeds_done"]}
    assert {name: (line["budget"], line["mean"]) for name, line in told.items()} == {
        "paper": ("1000 ticks", 52.0),
        "short": ("500 ticks", 11.0),
    }
    assert [line["profile"] for line in board.lines] == ["paper"] * 10 + ["short"] * 10


def test_another_budget_has_a_section_of_its_own_with_the_suites_labels(suite: Suite) -> None:
    longer = load_suite(write_suite(suite.path.parent / "other", ("steps = 1_000", "steps = 7_000")))
    rows = [{**row, "architecture_label": "stale label"} for row in board_rows(board_cell(longer, "net", 1.0), 5.0)]
    board = build(suite, rows)
    assert len(board.lines) == 1
    line = board_line(board, "net", 1.0)
    assert (line["profile"], line["budget"], line["status"], line["seeds_wanted"]) == (
        NO_PROFILE, "7000 ticks", "incomplete", 3,
    )  # fmt: skip


def test_cells_that_no_profile_asks_for_are_not_thrown_together(suite: Suite) -> None:
    """A parameter that was added since makes two cells of one label; each keeps its line, and neither is a base."""
    import dataclasses

    cell = board_cell(suite, "base", 0.0).cell
    learners = [dataclasses.replace(cell.learner, params={"rate": rate}) for rate in (0.1, 0.2)]
    rows = [
        hand_row(dataclasses.replace(cell, learner=learner), seed, eval_return_final=value)
        for learner, value in zip(learners, (1.0, 3.0), strict=True)
        for seed in range(3)
    ]
    lines = build(suite, rows).lines
    assert [(line["profile"], line["seeds_done"]) for line in lines] == [(NO_PROFILE, 3), (NO_PROFILE, 3)]
    assert sorted(line["mean"] for line in lines) == [1.0, 3.0]
    assert [line["normalised"] for line in lines] == [None, None]


def test_rows_of_other_suites_count_where_the_run_is_the_same_and_only_there(suite: Suite) -> None:
    shared = [{**row, "suite": "another"} for row in complete_rows(suite)]
    assert build(suite, shared).digest == build(suite, complete_rows(suite)).digest
    assert build(suite, [{**hand_row(), "suite": "another"}]).lines == ()


def test_rows_of_an_earlier_revision_of_a_part_are_left_out_and_counted(suite: Suite) -> None:
    import dataclasses

    cell = board_cell(suite, "net", 1.0).cell
    old = dataclasses.replace(cell, architecture=dataclasses.replace(cell.architecture, revision=0))
    board = build(suite, [*complete_rows(suite), hand_row(old, 0, eval_return_final=-5.0)])
    assert board.superseded == 1
    assert board.lines == build(suite, complete_rows(suite)).lines


def test_one_row_per_run_a_finished_one_first_then_the_earliest() -> None:
    failed = hand_row(status="failed", reason="x", started_utc="2026-01-01T00:00:00+00:00")
    late = hand_row(started_utc="2026-03-01T00:00:00+00:00")
    early = hand_row(started_utc="2026-02-01T00:00:00+00:00")
    newer = hand_row(started_utc="2026-04-01T00:00:00+00:00", suite_revision=2)
    assert choose([failed, late, early]) == [early]
    assert choose([newer, late, early]) == [newer]
    assert choose([failed]) == [failed]


def test_machines_share_a_line_on_the_virtual_clock_only() -> None:
    here, there = hand_row(), hand_row(machine_class="other")
    assert len(choose([here, there])) == 1
    assert len(choose([{**here, "clock": "wall"}, {**there, "clock": "wall"}])) == 2


def test_the_digest_depends_on_the_rows_and_not_on_their_order(suite: Suite) -> None:
    rows = complete_rows(suite)
    digest = build(suite, rows).digest
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert build(suite, rows).digest == digest
    assert build(suite, rows[:-1]).digest != digest


def test_the_last_bits_of_a_float_do_not_change_the_digest(suite: Suite) -> None:
    rows = complete_rows(suite)
    nudged = [{**row, "eval_return_final": row["eval_return_final"] * (1 + 1e-13)} for row in rows]
    assert build(suite, nudged).digest == build(suite, rows).digest


def test_several_cells_in_a_line_are_averaged_only_when_all_are_complete(suite: Suite) -> None:
    path = write_suite(
        suite.path.parent / "by_method",
        ('["architecture", "environment.id", "interaction.delta"]', '["architecture", "interaction.delta"]'),
        ('{ use = "fake/net", layers = 9, label = "deep" },', ""),
        (
            'architecture = { layers = 9 }, environment = { id = "B-v0" }',
            'architecture = { label = "net" }, interaction = { delta = 2 }',
        ),
    )  # fmt: skip
    both = load_suite(path)
    rows = [
        *board_rows(board_cell(both, "base", 0.0), 100.0, 100.0, 100.0),
        *board_rows(board_cell(both, "base", 0.0, "B-v0"), 10.0, 10.0, 10.0),
        *board_rows(board_cell(both, "net", 1.0), 50.0, 50.0, 50.0),
        *board_rows(board_cell(both, "net", 1.0, "B-v0"), 7.0, 7.0),
    ]
    partial = next(line for line in build(both, rows).lines if line["interaction.delta"] == 1.0)
    assert (partial["status"], partial["mean"], partial["normalised"]) == ("incomplete", None, None)
    rows += board_rows(board_cell(both, "net", 1.0, "B-v0"), 7.0, first=2)
    whole = next(line for line in build(both, rows).lines if line["interaction.delta"] == 1.0)
    assert (whole["status"], whole["normalised"]) == ("complete", 0.6)  # 0.5 and 0.7
    assert whole["mean"] is None  # returns of two environments have no common unit


def test_an_ambiguous_base_is_an_error(suite: Suite) -> None:
    path = write_suite(suite.path.parent / "two", ('against = { interaction = { execution = "instant" } }',
                                                   'against = { architecture = { label = "net" } }'))  # fmt: skip
    two = load_suite(path)
    with pytest.raises(InvalidResults, match="two cells of one environment"):
        build(two, board_rows(board_cell(two, "net", 1.0), 1.0))


def test_without_the_suites_plugin_the_rows_alone_give_their_lines(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = complete_rows(suite)
    with_plugin = build(suite, rows)
    monkeypatch.setenv("RTBENCH_DISABLE_PLUGINS", "all")
    without = build(suite, rows)
    assert {line["architecture"]: line["mean"] for line in without.lines} == {"base": 100.0, "net": 52.0}
    assert len(without.lines) < len(with_plugin.lines)


def test_a_row_is_seen_as_its_cell(suite: Suite) -> None:
    cell = board_cell(suite, "net", 2.0).cell
    assert row_view(hand_row(cell)) == view(cell)
    lognormal = Latency("lognormal", mean_s=0.04, cv=0.1)
    scheduler = use("schedulers", "staggered-slots", {"guard_s": 0.002}, label="slots")
    changes = {"scheduler": scheduler, "processes": 3, "epsilon": 0.5, "counterfactual": "age-0"}
    changes |= {"execution": "sequential", "delta": 0.0, "latency": lognormal, "lateness": lognormal}
    staggered = dataclasses.replace(cell, interaction=dataclasses.replace(cell.interaction, **changes))
    seen = row_view(hand_row(staggered))
    assert seen == view(staggered)
    told = {name: seen["interaction"][name] for name in ("scheduler_label", "latency_s", "latency_cv", "learning_s")}
    assert told == {"scheduler_label": "slots", "latency_s": 0.04, "latency_cv": 0.1, "learning_s": 0.0}


@pytest.mark.parametrize(("metric", "mean"), [("inaction_share", 0.25), ("acme/x", 2.0), ("eval_return", 52.0)])
def test_a_leaderboard_can_be_about_any_number(suite: Suite, metric: str, mean: float) -> None:
    told = suite.leaderboard.model_copy(update={"metric": metric, "normalise": None})
    rows = [
        dict(row, inaction_share=0.25, extras={"acme/x": float(seed + 1)})
        for seed, row in enumerate(board_rows(board_cell(suite, "net", 1.0), 40.0, 50.0, 66.0))
    ]
    line = board_line(build(dataclasses.replace(suite, leaderboard=told), rows), "net", 1.0)
    assert (line["mean"], line["seeds_done"], line["status"]) == (mean, 3, "complete")


def test_a_number_that_no_row_has_is_named(suite: Suite) -> None:
    told = suite.leaderboard.model_copy(update={"metric": "inaction_shaer", "normalise": None})
    with pytest.raises(SuiteError, match="no row has a number 'inaction_shaer'"):
        build(dataclasses.replace(suite, leaderboard=told), complete_rows(suite))


def test_several_suites_from_the_same_rows_are_what_each_alone_is(suite: Suite) -> None:
    other = load_suite(write_suite(suite.path.parent / "other", ('name = "tiny"', 'name = "other"'), ("1_000", "500")))
    rows = [
        *complete_rows(suite),
        *({**row, "suite": "other"} for row in board_rows(board_cell(other, "net", 2.0), 1.0, 2.0)),
    ]
    together = build_all([suite, other], iter(rows))
    assert [board.digest for board in together] == [build(suite, rows).digest, build(other, rows).digest]
    assert len({board.digest for board in together}) == 2


def test_of_equal_rank_the_smallest_digest_is_taken_in_any_order() -> None:
    rows = [hand_row(cpu=cpu) for cpu in "abcdef"]
    smallest = min(rows, key=row_digest)
    for seed in range(10):
        random.Random(seed).shuffle(rows)
        assert choose([*rows, dict(rows[0])]) == [smallest]
