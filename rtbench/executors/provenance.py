"""Which code ran: rtbench's version, and the commit of its checkout if it runs from one."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

import rtbench

CODE = ("rtbench", "suites", "pyproject.toml", "constraints.txt")
"""What of a checkout decides a result; an edited README makes no row dirty."""


@functools.cache
def _git() -> tuple[str, bool]:
    root = Path(rtbench.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return "", False

    def ask(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        return ask("rev-parse", "HEAD"), bool(ask("status", "--porcelain", "--", *CODE))
    except (OSError, subprocess.SubprocessError):  # no git, or not its checkout: then nothing is known of the code
        return "", True


def provenance(started_utc: str) -> dict[str, Any]:
    """The provenance columns of a row."""
    commit, dirty = _git()
    return {"rtbench_version": rtbench.__version__, "git_commit": commit, "dirty": dirty, "started_utc": started_utc}
