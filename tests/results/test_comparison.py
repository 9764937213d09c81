"""Methods over tasks, ranks of lines, differences from printed figures: worked out by hand from a tiny suite's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.samples import hand_row, install_parts, write_suite

from rtbench.results.comparison import compare, label_of, labels, ranked
from rtbench.results.leaderboard import build
from rtbench.results.ranks import Rank
from rtbench.results.reproduced import Difference, difference, published_error
from rtbench.suites.expand import expand
from rtbench.suites.model import Suite, load_suite
from rtbench.suites.published import NORMALISED, Published


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install_parts(tmp_path / "site", monkeypatch)
    return tmp_path / "suites"


SCORES: dict[tuple[str, float, str], list[float]] = {
    ("base", 0.0, "A-v0"): [90.0, 100.0, 110.0],
    ("base", 0.0, "B-v0"): [9.0, 10.0, 11.0],
    ("net", 1.0, "A-v0"): [40.0, 50.0, 60.0],
    ("net", 1.0, "B-v0"): [7.0, 7.0, 7.0],
    ("net", 2.0, "A-v0"): [10.0, 10.0, 10.0],
    ("deep", 1.0, "A-v0"): [1.0, 2.0, 3.0],
}


def rows(suite: Suite, scores: dict[tuple[str, float, str], list[float]] = SCORES, **columns: Any) -> list[Any]:
    cells = {(c.method, c.cell.interaction.delta, c.environment): c.cell for c in expand(suite, support=False)}
    return [
        hand_row(cells[key], seed, eval_return_final=value, **columns)
        for key, values in scores.items()
        for seed, value in enumerate(values)
    ]


def test_methods_over_all_tasks_by_hand(folder: Path) -> None:
    suite = load_suite(write_suite(folder))
    (found,) = compare(suite, build(suite, rows(suite)))
    assert found.tasks == ("A-v0", "B-v0")
    assert [method.label for method in found.methods] == ["base, δ = 0", "net, δ = 1"]
    base, net = found.methods
    assert base.statistics["iqm"].value == 1.0
    # A: 0.4, 0.5, 0.6; B: 0.7 three times; a quarter of six is one at each end
    assert net.statistics["iqm"].value == pytest.approx((0.5 + 0.6 + 0.7 + 0.7) / 4)
    assert net.statistics["mean"].value == pytest.approx(0.6)
    assert net.statistics["optimality_gap"].value == pytest.approx(0.4)
    assert (net.runs, str(net.rank), str(base.rank)) == (6, "2", "1")
    assert found.improvement[0, 1].value == 1.0
    assert found.improvement[1, 0].value == 0.0
    assert found.left_out == {
        "net, δ = 2": "0 of 3 runs on B-v0",
        "deep, δ = 1": "not run on B-v0: too deep for B",
        "deep, δ = 2": "0 of 3 runs on A-v0",
    }
    assert net.profile[0].value == 1.0  # every run is above 0
    assert net.profile[-1].value == 0.0


def test_incomplete_methods_enter_no_comparison_and_are_named(folder: Path) -> None:
    suite = load_suite(write_suite(folder))
    some = {**SCORES, ("net", 1.0, "B-v0"): [7.0, 7.0]}
    assert compare(suite, build(suite, rows(suite, some))) == []  # nobody is left to compare the base with
    missing = {key: values for key, values in SCORES.items() if key != ("base", 0.0, "B-v0")}
    assert compare(suite, build(suite, rows(suite, missing))) == []


def test_without_a_base_nothing_is_compared(folder: Path) -> None:
    plain = ('normalise = { against = { interaction = { execution = "instant" } } }', "")
    suite = load_suite(write_suite(folder, plain))
    assert compare(suite, build(suite, rows(suite))) == []


def test_a_floor_is_zero_and_the_base_one(folder: Path) -> None:
    base = 'normalise = { against = { interaction = { execution = "instant" } }'
    floored = (base, base + ', floor = { architecture = { label = "deep" }, interaction = { delta = 1 } }')
    suite = load_suite(write_suite(folder, floored))
    board = build(suite, rows(suite))
    line = {(each["architecture"], each["interaction.delta"], each["environment.id"]): each for each in board.lines}
    # on A the floor is 2, the base 100: (50 − 2) / 98
    assert line["net", 1.0, "A-v0"]["normalised"] == pytest.approx(48 / 98, abs=1e-6)
    assert line["deep", 1.0, "A-v0"]["normalised"] == pytest.approx(0.0)
    assert line["net", 1.0, "B-v0"]["normalised"] is None  # no floor there, so no scale


def test_a_base_below_the_floor_normalises_nothing(folder: Path) -> None:
    base = 'normalise = { against = { interaction = { execution = "instant" } }'
    floored = (base, base + ', floor = { architecture = { label = "net" }, interaction = { delta = 1 } }')
    suite = load_suite(write_suite(folder, floored))
    worse = {**SCORES, ("base", 0.0, "A-v0"): [1.0, 2.0, 3.0]}
    lines = build(suite, rows(suite, worse)).lines
    assert {line["normalised"] for line in lines if line["environment.id"] == "A-v0"} == {None}


def test_lines_are_ranked_among_those_of_their_task_and_delay_only(folder: Path) -> None:
    suite = load_suite(write_suite(folder))
    board = build(suite, rows(suite))
    found = {
        (line["architecture"], line["interaction.delta"], line["environment.id"]): rank
        for line, rank in zip(board.lines, ranked(suite, board), strict=True)
    }
    assert found["net", 1.0, "A-v0"] == Rank(1, 1, 2)
    assert found["deep", 1.0, "A-v0"] == Rank(2, 2, 2)
    assert found["net", 2.0, "A-v0"] is None  # alone at its delay
    assert found["base", 0.0, "A-v0"] is None
    lower = load_suite(write_suite(folder, ("[leaderboard]", '[leaderboard]\nbetter = "lower"')))
    turned = [rank for rank in ranked(lower, build(lower, rows(lower))) if rank]
    assert turned == [Rank(1, 1, 2), Rank(2, 2, 2)]  # lines come by architecture: deep, net


def test_clocks_are_never_ranked_together(folder: Path) -> None:
    suite = load_suite(write_suite(folder))
    virtual = build(suite, rows(suite))
    blocks = {key.block[2] for key, _ in virtual.made_of}
    assert blocks == {"virtual"}
    one = '{ execution = "pipelined", delta = 1 },'
    walled = write_suite(folder / "wall", (one, one + ' { execution = "pipelined", delta = 1, clock = "wall" },'))
    both = load_suite(walled)
    cells = [c.cell for c in expand(both, support=False) if c.method == "net" and c.environment == "A-v0"]
    given = [
        hand_row(cell, seed, eval_return_final=10.0 * seed + place)
        for place, cell in enumerate(cells)
        if cell.interaction.delta == 1
        for seed in range(3)
    ]
    board = build(both, given)
    done = [line for line in board.lines if line["status"] == "complete"]
    assert {line["clock"] for line in done} == {"virtual", "wall"}
    assert ranked(both, board) == [None] * len(board.lines)  # each is alone in its block


def test_methods_are_called_by_what_tells_them_apart() -> None:
    fields = ("architecture", "interaction.execution", "interaction.delta")
    methods = [("net", "pipelined", 1.0), ("net", "pipelined", 2.0), ("base", "instant", 0.0)]
    assert list(labels(fields, methods).values()) == ["net, δ = 1", "net, δ = 2", "base, δ = 0"]
    assert list(labels(fields, methods[1:]).values()) == ["net", "base"]
    assert list(labels(fields, methods[:1]).values()) == ["net"]
    assert label_of(("learner", "interaction.latency_s"), ("sac", None)) == "sac"


def printed(**changes: Any) -> Published:
    given = {"family": "f", "environment": "e", "method": "m", "delta": 1.0, "mean": 50.0, "spread": 3.0,
             "spread_kind": "se", "metric": "return", "ticks": 1000, "seeds": 4, "source": "Table 1"}  # fmt: skip
    return Published(**{**given, **changes})


def test_differences_are_in_standard_errors_of_both_sides() -> None:
    assert difference(printed(), 60.0, 4.0) == Difference(10.0, 2.0, False)  # √(3² + 4²) = 5
    assert published_error(printed(spread_kind="sd")) == 1.5  # 3 / √4
    assert difference(printed(spread=None), 60.0, 4.0) == Difference(10.0, 2.5, True)
    assert difference(printed(), 60.0, None) == Difference(10.0, None, False)
    assert difference(printed(spread=0.0), 60.0, 0.0) == Difference(10.0, None, False)
    assert difference(printed(), None, None) is None
    assert difference(printed(metric=NORMALISED), 0.5, 0.1) is None
