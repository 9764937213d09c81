"""Append-only against a commit: real repositories in which submissions are added, changed, removed and renamed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rtbench.errors import InvalidResults
from rtbench.results.appended import added_since


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two submissions on `main`, and a branch that one works on."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    submissions = tmp_path / "deep" / "results" / "submissions"
    submissions.mkdir(parents=True)
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("a-1.parquet", "b-2.parquet"):
        (submissions / name).write_bytes(name.encode())
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "checkout", "-qb", "mine")
    return submissions


def test_what_was_added_is_named_committed_or_not(checkout: Path) -> None:
    assert added_since(checkout, "main") == ([], [])
    (checkout / "c-3.parquet").write_bytes(b"c")
    assert added_since(checkout, "main") == (["c-3.parquet"], [])
    git(checkout, "add", ".")
    assert added_since(checkout, "main") == (["c-3.parquet"], [])
    git(checkout, "commit", "-qm", "two")
    (checkout.parents[2] / "code.py").write_text("2")  # no business of submissions
    assert added_since(checkout, "main") == (["c-3.parquet"], [])


def test_what_others_added_meanwhile_is_not_missed_here(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "main")
    (checkout / "d-4.parquet").write_bytes(b"d")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "theirs")
    git(checkout, "checkout", "-q", "mine")
    assert added_since(checkout, "main") == ([], [])


def test_changes_removals_and_renames_are_told(checkout: Path) -> None:
    (checkout / "a-1.parquet").write_bytes(b"other")
    (checkout / "b-2.parquet").rename(checkout / "e-5.parquet")
    git(checkout, "add", "-A", ".")
    added, problems = added_since(checkout, "main")
    assert added == ["e-5.parquet"]
    assert problems == ["a-1.parquet: was changed since main", "b-2.parquet: was removed since main"]


def test_the_whole_folder_may_be_gone(checkout: Path) -> None:
    for path in checkout.iterdir():
        path.unlink()
    checkout.rmdir()
    _, problems = added_since(checkout, "main")
    assert len(problems) == 2


def test_git_that_cannot_tell_is_an_error_with_a_next_step(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidResults, match="git cannot compare") as caught:
        added_since(checkout, "no-such-branch")
    assert "fetch-depth" in caught.value.hint
