"""The folder store and the rows on it: atomic, never twice, nothing lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from helpers.samples import hand_cell, hand_row

from rtbench.errors import InvalidResults, RtbenchError
from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore, KeyTaken


def test_the_four_verbs(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert store.list() == []
    store.write_new("rows/b.json", b"1")
    store.replace("rows/a.json", b"2")
    store.replace("rows/a.json", b"3")
    store.replace("other", b"4")
    assert store.list("rows/") == ["rows/a.json", "rows/b.json"]
    assert store.list("rows/b") == ["rows/b.json"]
    assert store.list() == ["other", "rows/a.json", "rows/b.json"]
    assert store.read("rows/a.json") == b"3"
    with pytest.raises(KeyError):
        store.read("rows/c.json")
    for _ in range(2):
        store.remove("rows/a.json")
    assert store.list("rows/") == ["rows/b.json"]


def test_what_is_written_new_is_never_written_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write_new("a", b"first")
    with pytest.raises(KeyTaken):
        store.write_new("a", b"second")
    assert store.read("a") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("key", ["", "/a", "../a", "a/../b", ".hidden", "a//b", "a b"])
def test_keys_stay_inside_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(RtbenchError, match="not a key"):
        FolderStore(tmp_path).replace(key, b"")


@pytest.mark.parametrize("verb", ["replace", "write_new"])
def test_a_full_disk_is_told_in_words_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    store = FolderStore(tmp_path)
    store.replace("old", b"kept")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RtbenchError, match="no space left") as caught:
        getattr(store, verb)("old" if verb == "replace" else "new", b"lost")
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert store.read("old") == b"kept"


def test_without_hard_links_a_key_is_still_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = FolderStore(tmp_path)
    store.write_new("a", b"first")
    with pytest.raises(KeyTaken):
        store.write_new("a", b"second")
    assert store.read("a") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_files_left_aside_by_a_killed_writer_are_no_keys(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / ".aside-1-abc").write_bytes(b"half")
    assert FolderStore(tmp_path).list() == []


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = RowStore(FolderStore(tmp_path))
    first = hand_row(seed=1, extras={"acme/score": 2.0}, attempt=1, status="failed", reason="it broke")
    second = hand_row(seed=1, attempt=2)
    for row in (second, first):
        rows.write(row)
    assert rows.rows() == [first, second]
    assert rows.latest() == {first["run_id"]: second}
    with pytest.raises(KeyTaken):
        rows.write(second)


def test_a_row_that_breaks_the_schema_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidResults):
        RowStore(FolderStore(tmp_path)).write({**hand_row(), "status": "fine"})
    assert FolderStore(tmp_path).list() == []


def test_unreadable_and_foreign_files_are_told_and_left_alone(tmp_path: Path) -> None:
    rows = RowStore(FolderStore(tmp_path))
    good = hand_row(seed=1)
    rows.write(good)
    folder = tmp_path / "rows"
    foreign = {"notes.txt": b"hello", "half.1.json": b'{"run_id":', "list.json": b"[1]", "bad.1.json": b"\xff\xfe"}
    for name, content in foreign.items():
        (folder / name).write_bytes(content)
    (folder / "copy.1.json").write_bytes((folder / f"{good['run_id']}.1.json").read_bytes())
    scan = rows.scan()
    assert scan.rows == [good]
    assert len(scan.problems) == 5
    assert all(
        any(problem.startswith(f"rows/{name}") for problem in scan.problems) for name in (*foreign, "copy.1.json")
    )
    assert {name: (folder / name).read_bytes() for name in foreign} == foreign


def test_rows_of_many_runs_are_sorted(tmp_path: Path) -> None:
    rows = RowStore(FolderStore(tmp_path))
    for seed in range(5):
        rows.write(hand_row(hand_cell(), seed))
    runs = [row["run_id"] for row in rows.rows()]
    assert runs == sorted(runs)
    assert len(set(runs)) == 5
