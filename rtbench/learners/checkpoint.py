"""Checkpoints of a program: the newest two states kept, replay as append-only segments, nothing unpickled but data."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbench.errors import RtbenchError

if TYPE_CHECKING:
    from rtbench.learners.base import Program

FORMAT = 1
KEEP = 2
_STATE = re.compile(r"state-(\d{8})\.pt")


class CheckpointFolder:
    """`state-N.pt` holds everything small and how many segments belong to it; `segment-N.pt` what replay has gained.

    Files are written aside, flushed and renamed. A state is written after its segment, so a state that is there is
    whole. A file that cannot be read is set aside and the state before it is used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self.notes: list[str] = []
        """A line for every file that could not be read."""

    def save(self, program: Program, extra: dict[str, Any]) -> None:
        """Write the next generation; `extra` is the worker's own (elapsed time)."""
        import torch

        self.folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        # The state first in memory: taking the segment moves the mark of what has been saved.
        state = {"format": FORMAT, "program": plain(program.state()), "extra": extra}
        self._write(self._segment(self._number), plain(program.appended()), torch)
        self._write(self.folder / f"state-{self._number:08d}.pt", state, torch)
        for path, number in self._states():
            if number <= self._number - KEEP:
                path.unlink()

    def load(self, program: Program) -> dict[str, Any] | None:
        """Restore the newest whole generation; its `extra`, or None if there is none."""
        import torch

        for path, number in reversed(self._states()):
            try:
                state = self._read(path, torch)
                segments = [self._read(self._segment(index), torch) for index in range(1, number + 1)]
            except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
                path.rename(path.with_suffix(".unreadable"))
                self.notes.append(f"{path.name}: {error}")
                continue
            if state["format"] != FORMAT:
                raise RtbenchError(
                    f"this checkpoint has format {state['format']}, this rtbench reads {FORMAT}",
                    place=str(path),
                    hint="remove the folder to begin the run again",
                )
            program.restore(numpy_again(state["program"]), [numpy_again(segment) for segment in segments])
            self._number = number
            extra: dict[str, Any] = state["extra"]
            return extra
        return None

    def remove(self) -> None:
        """Delete all of it: the run's row is written."""
        if self.folder.is_dir():
            for path in sorted(self.folder.iterdir()):
                path.unlink()
            self.folder.rmdir()

    def _segment(self, number: int) -> Path:
        return self.folder / f"segment-{number:08d}.pt"

    def _states(self) -> list[tuple[Path, int]]:
        found = [(path, _STATE.fullmatch(path.name)) for path in self.folder.glob("state-*.pt")]
        return sorted(((path, int(match.group(1))) for path, match in found if match), key=lambda pair: pair[1])

    def _write(self, path: Path, value: Any, torch: Any) -> None:
        aside = path.with_suffix(f".aside-{os.getpid()}")
        buffer = io.BytesIO()  # torch reports a full disk as an error of its own making; a plain file says what it is
        torch.save(value, buffer)
        try:
            with aside.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, path: Path, torch: Any) -> Any:
        return torch.load(path, weights_only=True, map_location="cpu")


def plain(value: Any) -> Any:
    """Nested data that can be loaded without running code: arrays become tensors, tuples lists."""
    import torch

    if isinstance(value, np.ndarray):
        return {"ndarray": torch.from_numpy(np.ascontiguousarray(value).copy())}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value


def numpy_again(value: Any) -> Any:
    """The inverse of `plain` for arrays."""
    if isinstance(value, dict):
        if value.keys() == {"ndarray"}:
            return value["ndarray"].numpy()
        return {key: numpy_again(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numpy_again(item) for item in value]
    return value
