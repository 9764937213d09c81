"""`rtbench regret`: counterfactual runs through the ordinary executor, terms that add up, what is told and stored."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from helpers.command_line import printed, printed_json
from helpers.cycle_suite import cycle_suite

from rtbench.cli.main import run_command_line

IN_TURN = '{ use = "one-process", label = "in turn" }'
CELLS = f"""
    {{ execution = "instant", default_policy = "noop" }},
    {{ execution = "sequential", default_policy = "noop", latency = "25ms", scheduler = {IN_TURN} }},
    {{ execution = "sequential", default_policy = "noop", latency = "25ms", counterfactual = "age-0" }},
"""


@pytest.fixture
def where(tmp_path: Path) -> dict[str, str]:
    suite = tmp_path / "mine.toml"
    suite.write_text(cycle_suite(CELLS))
    return {"suite": str(suite), "state": str(tmp_path / "state"), "results": str(tmp_path / "results")}


def arguments(where: dict[str, str], *more: str) -> list[str]:
    return ["regret", where["suite"], "--state", where["state"], "--results", where["results"], *more]


def test_a_suites_regret_is_taken_apart(
    where: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Inference takes three steps: an action at steps 3, 6, …, 57; all else are β's, which never earns."""
    table = tmp_path / "regret.csv"
    told = printed_json(capsys, *arguments(where, "-o", str(table)))
    instant, in_turn, counterfactual = told["cells"]
    assert instant["total"]["value"] == 0
    assert instant["returns"] == {"best": 60, "instant": 60, "age-0": 60, "actual": 60}
    assert in_turn["scheduler"] == "in turn"
    assert in_turn["returns"]["age-0"] == 19
    assert in_turn["inaction"] == {"value": 41, "low": 41, "high": 41}
    assert in_turn["delay"]["value"] == pytest.approx(19 - in_turn["returns"]["actual"])
    assert 0 < in_turn["delay"]["value"] < 19
    assert in_turn["learning"]["value"] == 0
    terms = [in_turn[name]["value"] for name in ("inaction", "delay", "learning")]
    assert sum(terms) == pytest.approx(in_turn["total"]["value"])
    assert (in_turn["return_agent"], in_turn["return_default"]) == (in_turn["returns"]["actual"], 0)
    assert counterfactual["why"] == "it is a counterfactual itself"
    with table.open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["scheduler"] for row in written] == ["one-process", "in turn"]
    assert float(written[1]["inaction"]) == 41


def test_runs_are_the_ordinary_ones_and_made_once(where: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The counterfactual that the suite has as a cell is the same run; nothing is run twice."""
    without = printed_json(capsys, *arguments(where, "--no-run"))
    assert without["cells"][1]["why"] == "no seed has a result in all three worlds"
    printed(capsys, *arguments(where, "--only", "interaction.scheduler_label=in turn"))
    rows = sorted(Path(where["state"], "rows").iterdir())
    assert len(rows) == 6, "three worlds, two seeds"
    assert {json.loads(row.read_text())["suite"] for row in rows} == {"mine-counterfactuals"}
    plan = printed_json(capsys, "plan", where["suite"], "--state", where["state"], "--results", where["results"])
    assert plan["starts"] == 0
    text = printed(capsys, *arguments(where))
    assert "runs to do" not in text
    assert "Estimates with 95 % intervals" in text
    assert sorted(Path(where["state"], "rows").iterdir()) == rows


def test_measured_beside_exact(where: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no row tells an exact regret" in printed(capsys, *arguments(where, "--exact"))
    printed(capsys, "run", where["suite"], "--state", where["state"], "--results", where["results"])
    told = printed_json(capsys, *arguments(where, "--exact", "-o", str(tmp_path / "exact.csv")))
    instant, in_turn, counterfactual = told["cells"]
    assert (instant["measured"], instant["exact"], instant["in_se"]) == (0, 0, 0)
    assert in_turn["theorem"] == pytest.approx(1 - 1 / 3 * 0.7**3)
    assert in_turn["exact"] == pytest.approx(1 - 19 / 60 * 0.7**3)
    assert abs(in_turn["in_se"]) < 4
    assert counterfactual["measured"] == counterfactual["exact"] == pytest.approx(41 / 60)
    assert "in turn" in printed(capsys, *arguments(where, "--exact"))
    with (tmp_path / "exact.csv").open(newline="") as file:
        assert [row["runs"] for row in csv.DictReader(file)] == ["2", "2", "2"]


def test_a_number_of_jobs_below_zero(where: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(arguments(where, "--jobs", "-1")) == 2
    assert "--jobs must be at least 0" in capsys.readouterr().err
