"""Leaderboards as files: what is up to date, stale, damaged or not there."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.boards import complete_rows

from rtbench.errors import InvalidResults, StaleLeaderboard
from rtbench.results import pages
from rtbench.results.leaderboard import build
from rtbench.suites.model import Suite


def test_files_are_what_check_finds_up_to_date(suite: Suite, tmp_path: Path) -> None:
    board = build(suite, complete_rows(suite))
    written = pages.write(board, tmp_path / "boards")
    assert sorted(path.name for path in written) == ["DIGESTS", "tiny.csv", "tiny.md", "tiny.parquet"]
    pages.check(board, tmp_path / "boards")
    assert pages.read_digests(tmp_path / "boards") == {"tiny": board.digest}
    table = pq.read_table(tmp_path / "boards" / "tiny.parquet").to_pylist()
    assert table == [dict(line) for line in board.lines]
    page = (tmp_path / "boards" / "tiny.md").read_text()
    assert "| net | A-v0 | 1 | 3/3 | 52 ± 7.57188 |" in page
    assert "excluded: too deep for B" in page


def test_check_names_what_is_stale(suite: Suite, tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    board = build(suite, complete_rows(suite))
    with pytest.raises(StaleLeaderboard, match="no such file") as nothing:
        pages.check(board, folder)
    assert nothing.value.exit_code == 4
    pages.write(board, folder)
    with pytest.raises(StaleLeaderboard, match=r"DIGESTS has .*tiny\.csv: line"):
        pages.check(build(suite, complete_rows(suite)[:-1]), folder)
    for name in ("tiny.csv", "tiny.md"):
        pages.write(board, folder)
        path = folder / name
        path.write_text(path.read_text().replace("52", "53", 1))
        with pytest.raises(StaleLeaderboard, match=rf"{name}: line \d+"):
            pages.check(board, folder)
    pages.write(board, folder)
    (folder / "tiny.parquet").write_bytes(b"")
    with pytest.raises(StaleLeaderboard, match="parquet"):
        pages.check(board, folder)


def test_digests_of_other_suites_stay(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "DIGESTS").write_text("abc  another\n")
    pages.write(build(suite, []), tmp_path)
    assert set(pages.read_digests(tmp_path)) == {"another", "tiny"}
    pages.check(build(suite, []), tmp_path)


@pytest.mark.parametrize(
    ("damage", "place"),
    [(b"\xff\xfe", "DIGESTS"), (b"abc  another\nnonsense\n", "DIGESTS, line 2"), (b"abc another\n", "DIGESTS, line 1")],
)
def test_damaged_digests_are_named_and_nothing_is_written(
    suite: Suite, tmp_path: Path, damage: bytes, place: str
) -> None:
    (tmp_path / "DIGESTS").write_bytes(damage)
    for act in (pages.write, pages.check):
        with pytest.raises(InvalidResults) as caught:
            act(build(suite, []), tmp_path)
        assert (caught.value.place, caught.value.exit_code) == (f"{tmp_path}/{place}", 5)
        assert "git checkout" in caught.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*[!e]") if path.is_file()} == {"DIGESTS": damage}


@pytest.mark.parametrize(("name", "damage"), [("parquet", b"PAR1"), ("csv", b"\xff"), ("md", b"\xff\xfe")])
def test_a_damaged_leaderboard_is_told_from_one_that_is_not_there(
    suite: Suite, tmp_path: Path, name: str, damage: bytes
) -> None:
    board = build(suite, complete_rows(suite))
    pages.write(board, tmp_path)
    path = tmp_path / f"tiny.{name}"
    path.write_bytes(damage)
    with pytest.raises(StaleLeaderboard, match=rf"tiny\.{name}: it cannot be read"):
        pages.check(board, tmp_path)
    path.unlink()
    with pytest.raises(StaleLeaderboard, match=rf"tiny\.{name}: there is no such file"):
        pages.check(board, tmp_path)
    pages.write(board, tmp_path)
    pages.check(board, tmp_path)
