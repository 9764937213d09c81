"""All rows as one table: what is counted once, what is chosen, as a data frame and by SQL."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pandas as pd
import pytest
from helpers.samples import hand_cell, hand_row

from rtbench.errors import InvalidResults, SuiteError
from rtbench.results import query, to_pandas
from rtbench.results.columns import COLUMNS
from rtbench.results.export import export
from rtbench.results.query import gather
from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore

CELLS = (hand_cell(delta=1.0), hand_cell(delta=2.0), hand_cell(environment="B-v0", layers=5))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four rows in a submission, three in the state: one of them is in both, one is a later attempt that failed."""
    monkeypatch.chdir(tmp_path)
    submitted = [hand_row(CELLS[0], seed, extras={"x/speed": 2.0 + seed}) for seed in range(2)]
    submitted += [hand_row(CELLS[1], seed) for seed in range(2)]
    export(submitted, "results/submissions", suite="mine")
    local = RowStore(FolderStore(".rtbench"))
    local.write(submitted[0])
    local.write(hand_row(CELLS[0], 1, attempt=2, status="failed", reason="no memory", eval_return_final=None))
    local.write(hand_row(CELLS[2], 7, eval_return_final=-3.0))
    return tmp_path


def test_equal_rows_are_one_and_the_better_of_two_is_the_runs(places: Path) -> None:
    every, runs = to_pandas(every=True), to_pandas()
    assert len(every) == 6
    assert len(runs) == 5
    assert set(runs["status"]) == {"ok"}
    assert every["run_id"].is_monotonic_increasing
    assert runs["found_in"].value_counts().drop("state").to_list() == [4]
    assert sorted(every["found_in"].value_counts().to_list()) == [2, 4]


def test_columns_have_their_types_and_parameters_their_own(places: Path) -> None:
    runs = to_pandas().set_index(["environment.id", "delta", "seed"])
    assert set(to_pandas(parameters=False)) == {column.name for column in COLUMNS} | {"found_in"}
    first = runs.loc[("A-v0", 1.0, 1)]
    assert (first["architecture.layers"], first["interaction.execution"]) == (3, "pipelined")
    assert (first["budget.steps"], first["eval_return_final"], first["extras"]) == (1000, 51.0, {"x/speed": 3.0})
    assert list(first["eval_return"]) == [30.0, 51.0]
    assert runs["attempt"].dtype == pd.Int64Dtype()
    assert runs["dirty"].dtype == pd.BooleanDtype()
    assert runs.loc[("B-v0", 1.0, 7), "architecture.layers"] == 5
    assert not [name for name in runs if name.startswith("interaction.scheduler")]  # these are columns already


def test_without_rows_it_is_empty(tmp_path: Path) -> None:
    nothing = to_pandas(tmp_path / "state", tmp_path / "results")
    assert (len(nothing), "run_id" in nothing) == (0, True)
    assert query("SELECT count(*) AS n FROM runs", tmp_path / "state", tmp_path / "results")["n"].to_pylist() == [0]


def test_what_cannot_be_read_is_an_error_in_code_and_a_line_on_the_command_line(places: Path) -> None:
    Path(".rtbench/rows/half.1.json").write_text("{")
    with pytest.raises(InvalidResults, match="1 files of rows cannot be read"):
        to_pandas()
    found = gather()
    assert len(found.rows) == 6
    assert "half.1.json" in found.problems[0]


def test_sql_agrees_with_python(places: Path) -> None:
    found = query(
        "SELECT environment_params_json->>'id' AS world, delta, avg(eval_return_final) AS mean, count(*) AS n "
        "FROM runs GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    by: dict[tuple[str, float], list[float]] = {}
    for row in gather().rows:
        if row["status"] == "ok":
            world = json.loads(row["environment_params_json"])["id"]
            by.setdefault((world, row["delta"]), []).append(row["eval_return_final"])
    assert found == [
        {"world": world, "delta": delta, "mean": statistics.fmean(values), "n": len(values)}
        for (world, delta), values in sorted(by.items())
    ]
    assert query("SELECT max(extras['x/speed']) AS m FROM rows")["m"].to_pylist() == [3.0]


def test_committed_leaderboards_stand_below_one_another() -> None:
    root = Path(__file__).resolve().parents[2]
    found = query("SELECT suite, count(*) AS n FROM leaderboards GROUP BY ALL", "nowhere", root / "results").to_pylist()
    lines = {path.stem: len(pd.read_csv(path)) for path in sorted((root / "results" / "leaderboards").glob("*.csv"))}
    assert {row["suite"]: row["n"] for row in found} == lines


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT eval_retrun FROM runs", "eval_return"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled by configuration"),
        ("COPY runs TO 'here.csv'", "disabled by configuration"),
        ("SET enable_external_access = true", "Cannot enable external access"),
    ],
)
def test_what_sql_may_not_is_said(places: Path, sql: str, words: str) -> None:
    with pytest.raises(SuiteError, match=words) as caught:
        query(sql)
    assert "DESCRIBE runs" in caught.value.hint
    assert not Path("here.csv").exists()


def test_statements_that_answer_nothing_change_nothing(places: Path) -> None:
    query("DELETE FROM runs")
    assert query("SELECT count(*) AS n FROM runs")["n"].to_pylist() == [5]
