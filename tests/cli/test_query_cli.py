"""`rtbench results query` as it is typed: on the terminal, as JSON, into a file."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.command_line import printed, printed_json
from helpers.samples import suite_with_three_runs

from rtbench.cli.main import run_command_line

SQL = "SELECT seed, eval_return_final AS score, eval_return, extras FROM runs ORDER BY seed"


@pytest.fixture(autouse=True)
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs in the local state of the working folder."""
    suite_with_three_runs(tmp_path, monkeypatch, extras={"x/y": 0.5})


def test_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(capsys, "results", "query", SQL).splitlines()
    assert told[0].split() == ["seed", "score", "eval_return", "extras"]
    assert told[1].split()[:2] == ["0", "40"]
    assert told[-1] == "(3 rows)"
    data = printed_json(capsys, "results", "query", SQL)
    assert data["columns"] == ["seed", "score", "eval_return", "extras"]
    assert data["rows"][2][:2] == [2, 66.0]
    assert data["rows"][0][3] == {"x/y": 0.5}


def test_files(capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, "results", "query", SQL, "-o", "out.parquet")
    printed(capsys, "results", "query", SQL, "-o", "out.csv")
    assert pq.read_table("out.parquet")["score"].to_pylist() == [40.0, 50.0, 66.0]
    with Path("out.csv").open(encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["score"] for row in read] == ["40", "50", "66"]
    assert read[0]["extras"] == '{"x/y": 0.5}'


def test_without_sql_it_lists_what_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    columns = {(row[0], row[1]) for row in printed_json(capsys, "results", "query")["rows"]}
    assert {("runs", "eval_return_final"), ("runs", "found_in"), ("leaderboards", "suite")} <= columns


def test_mistakes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_command_line(["results", "query", "SELECT nothing FROM runs"]) == 2
    assert "DESCRIBE runs" in capsys.readouterr().err
    assert run_command_line(["results", "query", SQL, "-o", "out.xlsx"]) == 2
    assert ".csv, .parquet" in capsys.readouterr().err
    assert run_command_line(["results", "query", "-o", "out.csv"]) == 2
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    assert run_command_line(["results", "query", SQL]) == 2
    assert "pip install 'rtbench[query]'" in capsys.readouterr().err
