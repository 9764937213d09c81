"""Reading submissions by columns: the same rows and the same refusals as row by row, whatever is wrong with a file."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.samples import hand_row

from rtbench.errors import InvalidResults
from rtbench.results.columns import BY_NAME
from rtbench.results.export import export
from rtbench.results.schema import arrow_schema
from rtbench.results.submissions import read_submission, read_submissions, readable_submissions

SOME = ("run_id", "status", "eval_return_final")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as Parquet without any check, columns that may be null."""
    records = [{**row, "extras": list((row["extras"] or {}).items())} for row in rows]
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema()])
    pq.write_table(pa.Table.from_pylist(records, schema=schema), path)
    return path


def test_rows_are_views_that_equal_their_dictionaries(tmp_path: Path) -> None:
    rows = [hand_row(seed=seed, extras={"b/b": 2.0, "a/a": 1.0}) for seed in range(3)]
    read = read_submission(write(tmp_path / "x.parquet", rows))
    assert list(read) == rows
    assert [list(row) for row in read] == [list(BY_NAME)] * 3
    assert rows[0] == read[0] != read[1]
    assert list(read[0]["extras"]) == ["a/a", "b/b"]
    with pytest.raises(KeyError):
        read[0]["mood"]


def test_some_columns_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", [hand_row(seed=seed) for seed in range(2)])
    assert [dict(row) for row in read_submission(path, SOME)] == [
        {name: hand_row(seed=seed)[name] for name in SOME} for seed in range(2)
    ]
    pq.write_table(pq.read_table(path).drop_columns(["eval_return_final"]), path)
    assert [row["eval_return_final"] for row in read_submission(path, SOME)] == [None, None]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("eval_return_final", float("nan"), "finite"),
        ("wall_s", float("-inf"), "finite"),
        ("eval_return", [1.0, float("inf")], "finite"),
        ("eval_return", [1.0, None], "without gaps"),
        ("eval_step", [None], "without gaps"),
        ("extras", {"a/b": float("nan")}, "finite"),
        ("extras", {"a/b": None}, None),
        ("cpu", None, None),
        ("eval_step", [], None),
        ("eval_return", None, None),
        ("run_id", None, "'run_id' is missing"),
        ("status", "done", "unknown status"),
        ("attempt", 0, "from 1"),
        ("schema_version", 99, "newer"),
    ],
)
def test_values_are_refused_as_they_are_row_by_row(
    tmp_path: Path, column: str, value: object, says: str | None
) -> None:
    path = write(tmp_path / "x.parquet", [hand_row(seed=0), {**hand_row(seed=1), column: value}])
    for columns in (None, ("seed", column)):
        if says is None:
            assert read_submission(path, columns)[1][column] == value
            continue
        with pytest.raises(InvalidResults, match=says) as caught:
            read_submission(path, columns)
        assert caught.value.place == f"{path}, row 1"


def test_a_column_that_must_be_there_is_missed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", [hand_row()])
    pq.write_table(pq.read_table(path).drop_columns(["cell_id"]), path)
    with pytest.raises(InvalidResults, match="'cell_id' is missing"):
        read_submission(path)


def test_a_file_cut_anywhere_is_named(tmp_path: Path) -> None:
    path = export([hand_row(seed=seed) for seed in range(5)], tmp_path, suite="tiny")
    whole = path.read_bytes()
    for length in (0, 3, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidResults, match="cannot be read") as caught:
            read_submissions(tmp_path)
        assert caught.value.place == str(path)
        assert "git checkout" in caught.value.hint


def test_damage_in_the_middle_never_passes_for_other_rows(tmp_path: Path) -> None:
    """Bytes of the pages are flipped; each is found by its checksum or changes nothing that is read."""
    path = export([hand_row(seed=seed) for seed in range(20)], tmp_path, suite="tiny")
    whole, rows = path.read_bytes(), list(read_submission(path))
    pages = max(
        chunk.data_page_offset + chunk.total_compressed_size
        for chunk in map(pq.read_metadata(path).row_group(0).column, range(pq.read_metadata(path).num_columns))
    )
    draw = random.Random(1)
    places: list[str] = []
    for _ in range(150):
        at = draw.randrange(4, min(pages, len(whole) - 8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :])
        try:
            assert list(read_submission(path)) == rows
        except InvalidResults as error:
            places.append(error.place)
    assert len(places) > 75
    assert all(place.startswith(str(path)) for place in places)


def test_text_that_is_none_and_columns_that_come_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", [hand_row()])
    table = pq.read_table(path)
    index = table.column_names.index("cpu")
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    pq.write_table(table.set_column(index, "cpu", broken), path)
    with pytest.raises(InvalidResults, match="cannot be read"):
        read_submission(path)
    pq.write_table(table.append_column("cpu", pa.array(["x"])), path)
    with pytest.raises(InvalidResults, match="'cpu' is there twice"):
        read_submission(path)


def test_what_cannot_be_read_is_set_aside_where_that_is_asked_for(tmp_path: Path) -> None:
    good = export([hand_row(seed=0)], tmp_path, suite="tiny")
    (tmp_path / "a.parquet").write_bytes(b"foreign")
    (tmp_path / "folder.parquet").mkdir()
    pq.write_table(pa.table({"mood": ["good"]}), tmp_path / "z.parquet")
    problems: list[str] = []
    assert list(readable_submissions(tmp_path, problems)) == list(read_submission(good))
    assert [line.partition(":")[0] for line in problems] == [
        str(tmp_path / name) for name in ("a.parquet", "folder.parquet", "z.parquet")
    ]
    assert (tmp_path / "a.parquet").read_bytes() == b"foreign"
