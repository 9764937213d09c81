"""`rtbench schema`: the same schema as is committed, every column of a row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command_line import printed, printed_json

from rtbench.cli.main import run_command_line
from rtbench.files import CannotWrite
from rtbench.results.columns import COLUMNS

COMMITTED = Path(__file__).resolve().parents[2] / "suites" / "suite.schema.json"


def test_the_suites_schema_is_the_committed_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert printed(capsys, "schema", "suite") == COMMITTED.read_text(encoding="utf-8")
    assert printed_json(capsys, "schema", "suite")["title"] == "SuiteDocument"
    file = tmp_path / "suite.schema.json"
    assert printed(capsys, "schema", "suite", "-o", str(file)) == ""
    assert file.read_bytes() == COMMITTED.read_bytes()


def test_every_column_of_a_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = printed_json(capsys, "schema", "row")
    assert [each["name"] for each in data] == [column.name for column in COLUMNS]
    wall = next(each for each in data if each["name"] == "wall_s")
    assert (wall["type"], wall["unit"], wall["outcome"]) == ("float", "s", False)
    lines = printed(capsys, "schema", "row").splitlines()
    assert len(lines) == 1 + len(COLUMNS)
    assert lines[0].split() == ["column", "type", "unit", "group", "meaning"]
    (seed,) = [line for line in lines if line.startswith("seed ")]
    assert seed.split() == ["seed", "int", "identity", "required", "seed", "of", "the", "run"]
    file = tmp_path / "columns"
    assert printed(capsys, "schema", "row", "-o", str(file)) == ""
    assert file.read_text(encoding="utf-8").splitlines() == lines
    assert printed(capsys, "schema", "row", "--json", "--output", str(file)) == ""
    assert json.loads(file.read_text(encoding="utf-8")) == data


def test_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run_command_line(["schema", "suite", "-o", str(tmp_path / "file" / "schema.json")]) == CannotWrite.exit_code
    assert "cannot write" in capsys.readouterr().err
