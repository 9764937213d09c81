"""Printed figures beside ours: averages over tasks, normalised scores, rows that stand for cells of another name."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.samples import hand_row

from rtbench.results.leaderboard import build
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite


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
