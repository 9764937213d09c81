"""What happened when in runs on the wall clock: kept in the state, and with the results where somebody put it there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtbench.realtime.recording import Recording
    from rtbench.results.places import State


def kept_recording(run_id: str, state: State, results: Path | None = None) -> Recording | None:
    """The recording of a run from the state or, if it has none, from the results; InvalidResults if it is damaged."""
    from rtbench.realtime.recording import Recording, recording_key

    key = recording_key(run_id)
    content = _content(key, state)
    if content is not None:
        return Recording.from_bytes(content, place=f"{state}/{key}")
    if results is not None and (results / key).is_file():
        return Recording.load(results / key)
    return None


def keep_recordings(run_ids: Iterable[str], state: State, results: Path) -> list[Path]:
    """Copy the recordings of runs from the state into the results; the files that are new there."""
    from rtbench import files
    from rtbench.realtime.recording import recording_key

    written = []
    for key in map(recording_key, run_ids):
        content = _content(key, state)
        if content is not None and not (results / key).exists():
            files.write(results / key, content, kind="recording")
            written.append(results / key)
    return written


def _content(key: str, state: State) -> bytes | None:
    from rtbench.results.places import open_store

    try:
        return open_store(state).read(key)
    except KeyError:
        return None
