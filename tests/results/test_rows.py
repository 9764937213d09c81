"""Rows of local state: which are opened, what is kept of them, and what is set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.samples import hand_row

from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore


@pytest.fixture
def rows(tmp_path: Path) -> RowStore:
    return RowStore(FolderStore(tmp_path))


def file_of(rows: RowStore, row: dict[str, object]) -> Path:
    """The file of a row in the folder of the fixture."""
    assert isinstance(rows.store, FolderStore)
    return rows.store.path / "rows" / f"{row['run_id']}.{row['attempt']}.json"


def test_only_wanted_runs_are_opened(rows: RowStore) -> None:
    mine, other = hand_row(seed=0), hand_row(seed=1)
    for row in (mine, other):
        rows.write(row)
    file_of(rows, other).write_text("{")
    scan = rows.scan(wanted={mine["run_id"]}.__contains__)
    assert (scan.rows, scan.problems) == ([mine], [])
    assert len(rows.scan().problems) == 1


def test_some_columns_are_kept_of_rows_that_are_checked_whole(rows: RowStore) -> None:
    good, bad = hand_row(seed=0), hand_row(seed=1)
    for row in (good, bad):
        rows.write(row)
    path = file_of(rows, bad)
    path.write_text(json.dumps({**json.loads(path.read_text()), "ticks": "many"}))
    scan = rows.scan(columns=("run_id", "gpu", "seed"))
    assert scan.rows == [{"run_id": good["run_id"], "gpu": None, "seed": 0}]
    assert scan.problems == [f"rows/{bad['run_id']}.1.json: column 'ticks' must be an integer, got 'many'"]


def test_the_newest_attempt_is_the_last_that_can_be_read(rows: RowStore) -> None:
    attempts = [hand_row(attempt=number, status="failed", reason="x") for number in (1, 2, 9, 10)]
    for row in attempts:
        rows.write(row)
    assert rows.latest() == {attempts[0]["run_id"]: attempts[3]}
    file_of(rows, attempts[3]).write_bytes(b"\xff")
    file_of(rows, attempts[0]).write_bytes(b"")
    scan = rows.scan(newest=True)
    assert scan.rows == [attempts[2]]
    assert [line.partition(":")[0] for line in scan.problems] == [f"rows/{attempts[0]['run_id']}.10.json"]
    assert [row["attempt"] for row in rows.rows()] == [2, 9]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"seed": NaN}', b'{"run_id": "x"}', b"PAR1" * 9],
    ids=["empty", "half", "list", "null", "no text", "deep", "nan", "short", "parquet"],
)
def test_whatever_is_in_a_file_it_is_named_and_left_alone(rows: RowStore, content: bytes) -> None:
    row, good = hand_row(seed=0), hand_row(seed=1)
    for each in (row, good):
        rows.write(each)
    file_of(rows, row).write_bytes(content)
    scan = rows.scan()
    assert scan.rows == [good]
    assert [line.partition(":")[0] for line in scan.problems] == [f"rows/{row['run_id']}.1.json"]
    assert file_of(rows, row).read_bytes() == content
    assert rows.attempt(row["run_id"], 1) is None


@pytest.mark.parametrize("name", ["notes.txt", "a b.json", "x.1.json", "sub/x.json", "é.json", f"{'0' * 64}.0.json"])
def test_foreign_files_are_named_and_not_opened(rows: RowStore, tmp_path: Path, name: str) -> None:
    rows.write(hand_row())
    path = tmp_path / "rows" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    scan = rows.scan(wanted=lambda _: True, newest=True)
    assert (scan.rows, scan.problems) == ([hand_row()], [f"rows/{name}: no row has such a name"])


def test_a_row_under_another_name_is_not_believed(rows: RowStore) -> None:
    row = hand_row()
    rows.write(row)
    path = file_of(rows, row)
    path.rename(path.with_name(f"{'0' * 64}.1.json"))
    assert "not that of the row" in rows.scan().problems[0]
    assert rows.rows() == []
