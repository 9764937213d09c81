"""The published tables as if they were our runs: what the suites' leaderboards make of them is what was printed."""

from __future__ import annotations

import csv
from typing import Any

from helpers.samples import hand_row

from rtbench.results.leaderboard import build
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite
from rtbench.suites.shipped import locate

AS_IN_TABLES = {"Projections to Action & Residual": "CNN w/ skip"}


def printed() -> dict[tuple[str, str, float], float]:
    """Tables 8-11 by environment, method and delta."""
    found = {}
    for name in ("mujoco_delta", "minatar_delta", "minigrid_delta"):
        path = locate("mujoco-delta").with_name("published") / f"{name}.csv"
        with path.open(encoding="utf-8") as file:
            found |= {
                (r["environment"], r["method"], float(r["delta"])): float(r["mean"]) for r in csv.DictReader(file)
            }
    return found


def board(name: str) -> dict[tuple[Any, ...], Any]:
    """The leaderboard of a suite whose runs give the printed means, where there are any."""
    suite, table = load_suite(name), printed()
    rows = [
        hand_row(cell.cell, seed, suite=name, eval_return_final=table[key])
        for cell in expand(suite, support=False)
        for environment, method, delta in [cell.published_key]
        if (key := (environment, AS_IN_TABLES.get(method, method), delta)) in table
        if cell.cell.environment.params.get("sticky_action_prob", 0.1) == 0.1
        for seed in cell.seeds
    ]
    return {tuple(line[key] for key in suite.leaderboard.group_by): line for line in build(suite, rows).lines}


def test_the_summary_of_figure_1b() -> None:
    lines = board("handling-delay")
    assert {line["status"] for line in lines.values()} == {"complete"}
    assert len(lines) == 3 * 6
    for (_, method), line in lines.items():
        if method in ("SAC", "PPO"):
            assert line["normalised"] == 1
            assert line["published_mean"] is None
        else:
            assert abs(line["difference"]) < 6e-4, method
    assert lines["mujoco", "three layers w/ proj-from-obs & aug"]["published_mean"] == 0.83
    assert lines["minatar", "CNN w/ skip & aug"]["seeds_wanted"] == 5 * 3


def test_the_discrete_half_of_table_1() -> None:
    """Printed to two digits; the residual networks alone are in Tables 10 and 11."""
    lines = board("discrete-skips")
    for family, wanted in (("minatar", 0.52), ("minigrid", 0.96)):
        line = lines[family, "Projections to Action & Residual"]
        assert line["published_mean"] == wanted
        assert abs(line["difference"]) < 0.006
        assert lines[family, "Projections to Action"]["status"] == "missing"
