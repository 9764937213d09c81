"""`rtbench figures`, and figures in `rtbench leaderboard build` and `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import printed, printed_json
from helpers.samples import suite_with_three_runs

from rtbench.cli import figures as figures_command
from rtbench.cli import results as results_command
from rtbench.cli.main import run_command_line

FIGURE = """
[[figures]]
name = "by-delta"
title = "Return by delta"
about = "What is to be seen."
x = "interaction.delta"
y = "eval_return_final"
series = ["architecture", "environment.id"]
x_label = "δ"
y_label = "return"
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite with a figure and three runs of one cell in the local state of the working folder."""
    return suite_with_three_runs(tmp_path, monkeypatch, FIGURE, suite="tiny")


def test_local_rows_are_drawn(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed_json(capsys, "figures", suite, "-o", "out", "--format", "png", "--format", "svg")
    assert told["figures"] == [{"name": "by-delta", "points": 1, "drawn": 1}]
    assert [Path(path).name for path in told["written"]] == ["by-delta.csv", "by-delta.svg", "by-delta.png"]
    assert all(Path(path).stat().st_size for path in told["written"])
    text = Path("out/tiny/by-delta.csv").read_text(encoding="utf-8")
    assert 'rows,paper,1000 ticks,virtual,,,"net, A-v0",,1,52,' in text
    assert "by-delta: 1 points; suite tiny, profile paper" in printed(capsys, "figures", suite, "-o", "out")


def test_without_rows_the_next_step_is_said(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "figures", suite, "-o", "out", "--state", "nothing")
    assert out.splitlines()[-1] == f"next: rtbench run {suite}"


def test_without_matplotlib_there_is_the_data(
    suite: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_command, "can_draw", lambda: False)
    assert run_command_line(["figures", suite, "-o", "out"]) == 0
    assert "rtbench[figures]" in capsys.readouterr().err
    assert [path.name for path in Path("out/tiny").iterdir()] == ["by-delta.csv"]


def test_a_wrong_format_and_a_suite_without_figures_are_named(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["figures", suite, "--format", "sgv"]) == 2
    assert "did you mean: svg" in capsys.readouterr().err
    Path(suite).write_text(Path(suite).read_text(encoding="utf-8").replace(FIGURE, ""), encoding="utf-8")
    assert run_command_line(["figures", suite]) == 2
    assert "has no figures" in capsys.readouterr().err


def test_a_leaderboard_brings_its_figures_and_checks_their_data(
    suite: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed(capsys, "results", "export", suite, "--allow-dirty")
    told: Any = printed_json(capsys, "leaderboard", "build", suite)
    folder = Path("results/figures/tiny")
    assert {str(folder / "by-delta.csv"), str(folder / "by-delta.svg")} <= set(told["written"])
    printed(capsys, "leaderboard", "check", suite)
    (folder / "by-delta.svg").write_text("drawn elsewhere, by another version", encoding="utf-8")
    printed(capsys, "leaderboard", "check", suite)
    data = (folder / "by-delta.csv").read_text(encoding="utf-8")
    (folder / "by-delta.csv").write_text(data.replace(",52,", ",53,"), encoding="utf-8")
    assert run_command_line(["leaderboard", "check", suite]) == 4
    assert "by-delta.csv: line 2" in capsys.readouterr().err
    monkeypatch.setattr(results_command, "can_draw", lambda: False)
    assert run_command_line(["leaderboard", "build", suite]) == 0
    assert "no picture is drawn" in capsys.readouterr().err
    printed(capsys, "leaderboard", "check", suite)
