"""Submissions are append-only: against a commit, files may have been added under submissions/ and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rtbench.errors import InvalidResults

_WORDS = {"M": "was changed", "D": "was removed", "T": "was changed", "R": "was renamed", "C": "was copied"}


def added_since(submissions: Path, ref: str) -> tuple[list[str], list[str]]:
    """The names of submissions added since the merge base with `ref`, and a line for what else happened to one.

    The working tree counts, committed or not. Raises InvalidResults if git cannot tell: no checkout, no such commit, or
    a history too shallow to have the merge base.
    """
    folder, inside = submissions.parent, submissions.name  # which may have been removed as a whole
    top = _git(folder, "rev-parse", "--show-toplevel").strip()
    base = _git(folder, "merge-base", ref, "HEAD").strip()
    # Renames are told as a removal and an addition: the old name is gone, whatever took its content.
    told = _git(folder, "diff", "--no-renames", "--name-status", "-z", base, "--", inside).split("\0")
    new = _git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", inside).split("\0")
    added, problems = [Path(name).name for name in new if name], []
    for status, name in zip(told[::2], told[1::2], strict=False):
        if status == "A":
            added.append(Path(name).name)
        else:
            problems.append(f"{_inside(submissions, Path(top), name)}: {_WORDS.get(status, 'was touched')} since {ref}")
    return sorted(set(added)), sorted(problems)


def _inside(submissions: Path, top: Path, name: str) -> str:
    path = top / name
    try:
        return str(path.relative_to(submissions.resolve()))
    except ValueError:
        return name


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise InvalidResults(
            f"git cannot compare the submissions: {told[-1] if told else error}",
            place=str(folder),
            hint="run it in a checkout that has the commit and its history (in CI: fetch-depth: 0)",
        ) from None
    return done.stdout
