"""Two runners, one run: a finished result is never dropped for the sake of a row that is not one."""

from __future__ import annotations

import pytest
from helpers.samples import hand_row

from rtbench.executors.recording import commit
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
