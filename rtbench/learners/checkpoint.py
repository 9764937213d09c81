"""Checkpoints of a program: the newest two states kept, replay as append-only segments, nothing unpickled but data."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbench import files

if TYPE_CHECKING:
    from rtbench.learners.base import Program

FORMAT = 2
KEEP = 2
_STATE = re.compile(r"state-(\d{6})-(\d{8})\.pt")


class CheckpointFolder:
    """States, which hold everything small and name the segments that belong to them; segments, what replay has gained.

    A state is written after its segment, so a state that is there is whole. A file that cannot be read is set aside
    and the state before it is used. Every holder of the job's lease writes under its own fencing number: one that was
    paused and overtaken writes beside what its successor continues, never over it.
    """

    def __init__(self, folder: Path, fence: int = 0) -> None:
        self.folder, self._fence = folder, fence
        self._number = 0
        self._segments: list[str] = []
        self.notes: list[str] = []
        """A line for every file that could not be read."""

    def save(self, program: Program, extra: dict[str, Any]) -> None:
        """Write the next generation; `extra` is the worker's own (elapsed time). CannotWrite if there is no room."""
        name = f"{self._fence:06d}-{self._number + 1:08d}.pt"
        # The state first, in memory: taking the segment moves the mark of what has been saved.
        program_state, segment = plain(program.state()), f"segment-{name}"
        self._write(segment, "segment", plain(program.appended()))
        self._number += 1
        self._segments.append(segment)
        state = {"format": FORMAT, "program": program_state, "segments": self._segments, "extra": extra}
        self._write(f"state-{name}", "checkpoint", state)
        mine = [path for path, order in self._states() if order <= (self._fence, self._number)]
        for path in mine[:-KEEP]:
            path.unlink(missing_ok=True)

    def load(self, program: Program) -> dict[str, Any] | None:
        """Restore the newest whole generation; its `extra`, or None if there is none."""
        for path, (_, number) in reversed(self._states()):
            try:
                state = _read(path)
                if state["format"] != FORMAT:
                    raise ValueError(f"it has format {state['format']}, this rtbench reads {FORMAT}")
                segments = [_read(self.folder / name) for name in state["segments"]]
            except (OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError, UnpicklingError) as error:
                path.replace(path.with_suffix(".unreadable"))
                self.notes.append(f"{path.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
                continue
            program.restore(numpy_again(state["program"]), [numpy_again(segment) for segment in segments])
            self._number, self._segments = number, list(state["segments"])
            extra: dict[str, Any] = state["extra"]
            return extra
        return None

    def remove(self) -> None:
        """Delete all of it: the run's row is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _states(self) -> list[tuple[Path, tuple[int, int]]]:
        """States in the order they were written: by fencing number, then generation."""
        found = [(path, _STATE.fullmatch(path.name)) for path in self.folder.glob("state-*.pt")]
        order = [(path, (int(match.group(1)), int(match.group(2)))) for path, match in found if match]
        return sorted(order, key=lambda pair: pair[1])

    def _write(self, name: str, kind: str, value: Any) -> None:
        import torch

        buffer = io.BytesIO()  # torch reports a full disk as an error of its own making; a plain file says what it is
        torch.save(value, buffer)
        files.write(self.folder / name, buffer.getbuffer(), kind=kind)


def _read(path: Path) -> Any:
    import torch

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
