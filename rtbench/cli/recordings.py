"""What happened when in runs on the wall clock: kept in the state, and with the results where somebody handed it in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtbench.realtime.recording import Recording
    from rtbench.results.places import State


class Recordings:
    """The recordings of rows, local and handed in; `local` are the newest local rows, which the state's belong to."""

    def __init__(self, state: State, results: Path, local: Iterable[Mapping[str, Any]]) -> None:
        from rtbench.results.recordings import recording_name

        self._state, self._results = state, results
        self._local = {recording_name(row) for row in local}

    def of(self, row: Mapping[str, Any]) -> Recording | None:
        """What happened in the run that a row tells of, None if it was not kept; InvalidResults if it is damaged."""
        from rtbench.realtime.recording import Recording, recording_key
        from rtbench.results.recordings import recording_name

        name = recording_name(row)
        if (self._results / name).is_file():
            return Recording.load(self._results / name)
        key = recording_key(row["run_id"])
        content = _content(key, self._state) if name in self._local else None
        return None if content is None else Recording.from_bytes(content, place=f"{self._state}/{key}")


def keep_recordings(rows: Iterable[Mapping[str, Any]], state: State, results: Path) -> list[Path]:
    """Copy the recordings of newest local rows into the results; the files that are new there.

    InvalidResults if one is damaged.
    """
    from rtbench import files
    from rtbench.realtime.recording import Recording, recording_key
    from rtbench.results.recordings import recording_name

    written = []
    for row in rows:
        path, key = results / recording_name(row), recording_key(row["run_id"])
        content = None if path.exists() else _content(key, state)
        if content is not None:
            Recording.from_bytes(content, place=f"{state}/{key}")
            files.write(path, content, kind="recording")
            written.append(path)
    return written


def _content(key: str, state: State) -> bytes | None:
    from rtbench.results.places import open_store

    try:
        return open_store(state).read(key)
    except KeyError:
        return None
