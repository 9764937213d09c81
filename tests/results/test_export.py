"""Submissions: immutable, named by content, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.samples import hand_cell, hand_row

from rtbench.errors import InvalidResults
from rtbench.results.checking import check_submissions
from rtbench.results.export import content_digest, export, final_rows
from rtbench.results.plausible import implausible
from rtbench.results.submissions import read_submissions


def test_rows_survive_parquet_unchanged(tmp_path: Path) -> None:
    rows = [hand_row(seed=0, extras={"acme/a": 1.0, "acme/b": -2.5}), hand_row(seed=1)]
    path = export(rows, tmp_path, suite="tiny")
    assert path.name == f"tiny-{content_digest(rows)[:12]}.parquet"
    assert read_submissions(tmp_path) == sorted(rows, key=lambda row: row["run_id"])
    assert check_submissions(tmp_path).problems == []


def test_the_same_rows_give_the_same_file_in_any_order(tmp_path: Path) -> None:
    rows = [hand_row(seed=seed) for seed in range(3)]
    first = export(rows, tmp_path, suite="tiny")
    content = first.read_bytes()
    assert export(reversed(rows), tmp_path, suite="tiny") == first
    assert first.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


def test_only_the_newest_attempt_of_finished_runs_goes_out() -> None:
    failed = hand_row(seed=0, attempt=1, status="failed", reason="broke")
    good = hand_row(seed=0, attempt=2)
    stopped = hand_row(seed=1, attempt=2, status="interrupted", reason="Ctrl-C")
    assert final_rows([good, failed, stopped, hand_row(seed=1, attempt=1)]) == [good]


def test_rows_of_a_dirty_checkout_are_refused_unless_asked_for(tmp_path: Path) -> None:
    rows = [hand_row(seed=0), hand_row(seed=1, dirty=True)]
    with pytest.raises(InvalidResults, match="1 of 2 rows"):
        export(rows, tmp_path, suite="tiny")
    assert list(tmp_path.iterdir()) == []
    export(rows, tmp_path, suite="tiny", allow_dirty=True)
    assert check_submissions(tmp_path).problems == []


def test_nothing_finished_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InvalidResults) as caught:
        export([], tmp_path, suite="tiny")
    assert caught.value.hint == "rtbench run tiny"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"eval_return": [1.0]}, "eval_step has 2 entries"),
        ({"eval_step": [1000, 500]}, "does not rise"),
        ({"eval_step": [500, 2000]}, "the budget is 1000 ticks"),
        ({"inaction_share": 1.5}, "not between 0 and 1"),
        ({"observation_age_p50_steps": 4.0}, "not rising"),
        ({"eval_return_final": None}, "no eval_return_final"),
        ({"ticks": 900}, "ok after 900 of 1000 ticks"),
        ({"status": "failed"}, "without a reason"),
        ({"started_utc": "yesterday"}, "no ISO date"),
        ({"wall_s": -1.0}, "below 0"),
        ({"seed": 5}, "run_id is not what"),
    ],
)
def test_what_cannot_be_is_neither_exported_nor_accepted(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    bad = {**hand_row(), **changes}
    with pytest.raises(InvalidResults, match=says):
        export([bad], tmp_path, suite="tiny")
    good = export([hand_row()], tmp_path / "made", suite="tiny")
    _rewrite(good, changes)
    assert any(says in problem for problem in check_submissions(tmp_path / "made").problems)


def test_what_learnt_on_the_wall_clock_has_its_return_of_training() -> None:
    bare = {**hand_row(), "eval_return_final": None, "train_return_mean": 2.0}
    assert "no eval_return_final" in (implausible(bare) or "")
    assert implausible({**bare, "clock": "wall"}) is None
    assert "no eval_return_final" in (implausible({**bare, "clock": "wall", "train_return_mean": None}) or "")


def _rewrite(path: Path, changes: dict[str, Any]) -> None:
    table = pq.read_table(path)
    rows = [{**row, **changes} for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_an_older_file_without_new_columns_is_read_with_nulls_and_keeps_its_digest(tmp_path: Path) -> None:
    path = export([hand_row()], tmp_path, suite="tiny")
    table = pq.read_table(path).drop_columns(["lateness_p99_s", "extras", "batch_runs"])
    pq.write_table(table, path)
    assert read_submissions(tmp_path) == [hand_row()]
    assert check_submissions(tmp_path).problems == []


def test_changed_content_foreign_columns_and_broken_files_are_named(tmp_path: Path) -> None:
    path = export([hand_row()], tmp_path, suite="tiny")
    _rewrite(path, {"cpu": "faster"})
    assert check_submissions(tmp_path).problems == [f"{path.name}: the digest in the name is not that of the content"]
    table = pq.read_table(path)
    pq.write_table(table.append_column("mood", pa.array(["good"])), path)
    assert "unknown column 'mood'" in check_submissions(tmp_path).problems[0]
    pq.write_table(table.set_column(table.column_names.index("seed"), "seed", pa.array(["0"])), path)
    assert "column 'seed' has type string" in check_submissions(tmp_path).problems[0]
    path.write_bytes(b"not parquet")
    assert "cannot be read" in check_submissions(tmp_path).problems[0]


def test_a_row_that_is_in_two_submissions_is_named(tmp_path: Path) -> None:
    shared = hand_row(seed=0)
    export([shared], tmp_path, suite="tiny")
    export([shared, hand_row(hand_cell(), 1)], tmp_path, suite="tiny")
    assert ["is also in" in problem for problem in check_submissions(tmp_path).problems] == [True]


def test_a_folder_that_is_not_there_has_no_submissions(tmp_path: Path) -> None:
    assert read_submissions(tmp_path / "none") == []
    assert check_submissions(tmp_path / "none").problems == []


def test_a_damaged_file_of_the_same_name_is_set_aside_and_written_anew(tmp_path: Path) -> None:
    path = export([hand_row()], tmp_path, suite="tiny")
    whole = path.read_bytes()
    swapped = export([hand_row(seed=1)], tmp_path / "other", suite="tiny").read_bytes()
    for count, damage in enumerate((whole[:100], b"", swapped), start=1):
        path.write_bytes(damage)
        assert export([hand_row()], tmp_path, suite="tiny") == path
        assert path.read_bytes() == whole
        ending = ".unreadable" if count == 1 else f".unreadable.{count}"
        assert Path(f"{path}{ending}").read_bytes() == damage
    assert check_submissions(tmp_path).problems == []
    assert len(read_submissions(tmp_path)) == 1


def test_checked_rows_are_those_that_can_be_read(tmp_path: Path) -> None:
    export([hand_row(seed=seed) for seed in range(2)], tmp_path, suite="tiny")
    (tmp_path / "a-000000000000.parquet").write_bytes(b"PAR1")
    checked = check_submissions(tmp_path)
    assert [row["seed"] for row in sorted(checked.rows, key=lambda row: row["seed"])] == [0, 1]
    assert [problem.partition(":")[0] for problem in checked.problems] == ["a-000000000000.parquet"]
