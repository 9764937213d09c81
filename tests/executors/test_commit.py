"""Two runners, one run: a finished result is never dropped for the sake of a row that is not one."""

from __future__ import annotations

import errno

import pytest
from helpers.samples import hand_row

from rtbench.executors.recording import commit, standing
from rtbench.files import CannotRead
from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore


@pytest.mark.parametrize("first", ["interrupted", "failed"])
def test_a_result_follows_what_another_runner_left(tmp_path, first):
    rows = RowStore(FolderStore(tmp_path))
    rows.write(hand_row(status=first, reason="stopped", attempt=1))
    row = commit(rows, hand_row(status="ok", attempt=1))
    assert row["attempt"] == 2
    assert [found["status"] for found in rows.rows()] == [first, "ok"]


def test_a_result_of_another_runner_stands(tmp_path):
    rows = RowStore(FolderStore(tmp_path))
    rows.write(hand_row(status="ok", attempt=1, eval_return_final=7.0))
    assert commit(rows, hand_row(status="ok", attempt=1, eval_return_final=8.0))["eval_return_final"] == 7.0
    assert len(rows.rows()) == 1


class Away(FolderStore):
    """A file system whose reads fail for a moment, as a network's may."""

    def read(self, key):
        raise CannotRead(OSError(errno.ESTALE, "stale file handle"), self.path / key)


def test_a_result_that_cannot_be_read_now_is_not_written_beside(tmp_path):
    RowStore(FolderStore(tmp_path)).write(hand_row(status="ok", attempt=1))
    with pytest.raises(CannotRead):
        commit(RowStore(Away(tmp_path)), hand_row(status="ok", attempt=1))
    assert len(RowStore(FolderStore(tmp_path)).rows()) == 1


def test_damaged_rows_do_not_make_retries_endless(tmp_path):
    """The first attempt's file is damaged, the second failed, the third too: with one retry that settles the run."""
    rows = RowStore(FolderStore(tmp_path))
    for attempt in (1, 2, 3):
        rows.write(hand_row(status="failed", reason="x", attempt=attempt))
        run_id = hand_row()["run_id"]
        if attempt == 1:
            (tmp_path / "rows" / f"{run_id}.1.json").write_text("{")
        found = standing(rows, run_id, 1, retries=1)
        if attempt < 3:
            assert found == attempt + 1
        else:
            assert found["attempt"] == 3
