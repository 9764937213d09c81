"""Recordings handed in beside rows: what happened when in runs on the wall clock, a file per row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.realtime.recording import FOLDER, SUFFIX, Recording
from rtbench.suites.identity import digest

LARGEST_BYTES = 4 * 2**20
"""A recording beyond this does not belong into a repository that everybody clones; two minutes take about 300 kB."""
_LETTERS = 12


def recording_name(row: Mapping[str, Any]) -> str:
    """Its place among results: a run on the wall clock is another one on every machine and at every time."""
    return f"{FOLDER}/{row['run_id']}-{digest([row['machine_class'], row['started_utc']])[:_LETTERS]}{SUFFIX}"


def check_recordings(results: Path, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the recordings of a folder of results whose rows these are, one line each."""
    known, problems = {recording_name(row) for row in rows}, []
    folder = results / FOLDER
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = f"{FOLDER}/{path.name}"
        if name not in known:
            problems.append(f"{name}: no submitted row is what it belongs to")
        elif path.stat().st_size > LARGEST_BYTES:
            problems.append(f"{name}: {path.stat().st_size:,} bytes, more than {LARGEST_BYTES:,}")
        else:
            try:
                Recording.load(path)
            except InvalidResults as error:
                problems.append(f"{name}: {error.message}")
    return problems
