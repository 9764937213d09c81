"""Printed figures beside ours: averages over tasks, normalised scores, rows that stand for cells of another name."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from helpers.samples import hand_row

from rtbench.results.leaderboard import build
from rtbench.results.pages import to_page
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite
from rtbench.suites.shipped import locate


def lines(name: str, score: Any) -> dict[tuple[Any, ...], Any]:
    """The paper profile's lines of a suite whose every run has `score(method, environment id)`."""
    suite = load_suite(name)
    rows = [
        hand_row(cell.cell, seed, suite=name, eval_return_final=score(cell.method, cell.cell.environment.params["id"]))
        for cell in expand(suite, support=False)
        for seed in cell.seeds
    ]
    return {tuple(line[key] for key in suite.leaderboard.group_by): line for line in build(suite, rows).lines}


def test_a_figure_averaged_over_tasks_and_deltas_is_compared_with_the_normalised_line() -> None:
    """Every task's agent has half the return of its undelayed one: 0.5 against 0.79 printed."""
    base = {"HalfCheetah-v4": 1000.0, "Walker2d-v4": 500.0, "Ant-v4": 200.0, "Hopper-v4": 100.0}
    found = lines("mujoco-skips", lambda method, id: base[id] * (1 if method == "SAC" else 0.5))
    line = found[("Projections from Observation",)]
    assert (line["normalised"], line["published_mean"], line["difference"]) == (0.5, 0.79, -0.29)
    assert line["published_metric"] == "normalised return"
    assert line["mean"] is None, "returns of several tasks are never averaged"


def test_a_printed_mean_is_compared_with_a_mean_whatever_the_suite_reduces_by() -> None:
    """Tables 8-9 themselves, as runs: the printed averages of Table 1 come out as printed, though boards tell IQMs."""
    with locate("mujoco-delta").with_name("published").joinpath("mujoco_delta.csv").open(encoding="utf-8") as file:
        table = {(r["method"], r["environment"], float(r["delta"])): float(r["mean"]) for r in csv.DictReader(file)}
    names = {"Projections from Observation": "proj-from-obs", "Projections to Action": "proj-to-action"}
    names |= {"Projections to Action & Residual": "proj-to-action & res", "All Skips": "all skips"}
    suite = load_suite("mujoco-skips")
    rows = []
    for cell in expand(suite, support=False):
        environment, method, delta = cell.published_key
        key = ("SAC" if method == "SAC" else f"three layers w/ {names[method]}", environment, delta)
        rows += [hand_row(cell.cell, seed, suite=suite.name, eval_return_final=table[key]) for seed in cell.seeds]
    for line in build(suite, rows).lines:
        if line["architecture"] != "SAC":
            assert abs(line["difference"]) < 0.01, line["architecture"]


def test_an_average_over_fewer_tasks_has_no_printed_figure_beside_it(tmp_path: Path) -> None:
    text = locate("mujoco-skips").read_text(encoding="utf-8")
    two = text.replace(
        '{ environment = { id = "Hopper-v4" }, interaction',
        '{ environment = { id = ["Hopper-v4", "Ant-v4"] }, interaction',
    )
    path = tmp_path / "mujoco-skips.toml"
    path.write_text(two.replace('"published/', f'"{locate("mujoco-skips").parent}/published/'), encoding="utf-8")
    suite = load_suite(str(path), "smoke")
    rows = [hand_row(cell.cell, seed, suite=suite.name) for cell in expand(suite, support=False) for seed in cell.seeds]
    lines = {line["architecture"]: line for line in build(suite, rows).lines if line["profile"] == "smoke"}
    assert lines["All Skips"]["published_mean"] is None


def test_what_learners_tell_beside_their_score_is_in_the_table_and_on_the_page() -> None:
    suite = load_suite("ant-cut-paths")
    (cell,) = expand(suite, support=False)
    rows = [
        hand_row(cell.cell, seed, suite=suite.name, extras={"rtbench/cut layer1->head": 10.0 * seed, "acme/x": 1.0})
        for seed in cell.seeds
    ]
    board = build(suite, rows)
    assert board.lines[0]["further"] == '{"cut layer1->head":20.0}'
    assert "cut layer1->head 20" in to_page(board)


def test_the_rate_of_observations_does_not_change_what_scores_are_divided_by() -> None:
    found = lines("mujoco-fast-observations", lambda method, _: 200.0 if method == "SAC" else 150.0)
    line = found["three layers w/ skip connections at twice the observation rate", "HalfCheetah-v4", "pipelined", 1.0]
    assert (line["normalised"], line["published_mean"], line["difference"]) == (0.75, 0.87, -0.12)


def test_one_printed_row_stands_beside_both_readings_of_sequential() -> None:
    found = lines("mujoco-sequential", lambda method, _: 100.0 if method == "SAC" else 30.0)
    true = found["sequential three layers w/ aug", "HalfCheetah-v4", "sequential", 1.0]
    reading = found["sequential three layers w/ aug, as published", "HalfCheetah-v4", "pipelined", 3.0]
    assert true["published_mean"] == reading["published_mean"] == 0.246
    assert true["difference"] == pytest.approx(0.3 - 0.246)


def test_returns_are_also_compared_as_they_are() -> None:
    found = lines("mujoco-action-repeat", lambda method, _: 3000.0)
    line = found["SAC-repeat-2", "Hopper-v4", "instant", 0.0]
    assert (line["published_mean"], line["difference"], line["normalised"]) == (3520.0, -520.0, 1.0)
