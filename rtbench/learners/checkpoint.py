"""Checkpoints of a program: the newest two states kept, replay as append-only segments, nothing loaded but data."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench import files
from rtbench.learners.packing import pack, unpack
from rtbench.learners.shelves import FolderShelf, Shelf

if TYPE_CHECKING:
    from rtbench.learners.base import Program

FORMAT = 5
KEEP = 2
UNREADABLE = ".unreadable"
"""What is added to the name of a file that is set aside."""
_STATE = re.compile(r"state-(\d{6})-(\d{8})\.pt")
_OURS = re.compile(
    rf"(?P<aside>{re.escape(files.ASIDE)})?(?P<kind>state|segment)-(?P<fence>\d{{6}})-\d{{8}}\.pt(?P<rest>.*)"
)


@dataclass(frozen=True)
class Segments:
    """Segments that are known to be whole, each read anew whenever its turn comes."""

    shelf: Shelf
    names: tuple[str, ...]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for name in self.names:
            yield unpack(self.shelf.read(name))


class CheckpointFolder:
    """States, which hold everything small and name the segments that belong to them; segments, what replay has gained.

    A state is written after its segment, so a state that is there is whole. A file that cannot be read is set aside
    and the state before it is used. A segment that the program says is spent is named by no further state and deleted
    with the last one that names it. Every holder of the job's lease writes under its own fencing number: one that was
    paused and overtaken writes beside what its successor continues, never over it.
    """

    def __init__(self, place: Path | Shelf, fence: int = 0) -> None:
        """`place` is the folder, or whatever else keeps whole files by name."""
        self.folder, self._fence = place, fence
        self._shelf: Shelf = FolderShelf(place) if isinstance(place, Path) else place
        self._number = 0
        self._segments: list[str] = []
        self._spent = 0
        self._named: dict[str, list[str]] = {}
        self._gained: list[dict[str, Any]] = []
        self.notes: list[str] = []
        """A line for every file that could not be read."""

    def save(self, program: Program, extra: dict[str, Any]) -> None:
        """Write the next generation; `extra` is the worker's own (elapsed time). CannotWrite if there is no room.

        What could not be written is part of the next generation.
        """
        self._gained.append(program.appended())
        while self._gained:
            name = self._next()
            self._write(f"segment-{name}", "segment", self._gained[0])
            self._segments.append(f"segment-{name}")
            self._forget(self._gained.pop(0).get("spent", 0))
        segments = list(self._segments)
        state = {"format": FORMAT, "program": program.state(), "segments": segments, "spent": self._spent}
        self._write(f"state-{name}", "checkpoint", state | {"extra": extra})
        self._named[f"state-{name}"] = segments
        self._thin_out()

    def _forget(self, spent: int) -> None:
        """So many of all segments are spent; those that were before are named no more."""
        del self._segments[: max(0, spent - self._spent)]
        self._spent = max(spent, self._spent)

    def _thin_out(self) -> None:
        """Delete all states but the newest, then the segments that only those named."""
        states = self._states()
        mine = [name for name, order in states if order <= (self._fence, self._number)]
        for name in mine[:-KEEP]:
            self._shelf.remove(name)
        kept = [self._named.get(name) for name in mine[-KEEP:]]
        if len(mine) < len(states) or None in kept:
            return  # somebody else knows what is needed: a successor that continues from here, the next `load`
        needed = {name for segments in kept for name in segments or ()}
        for state in mine[:-KEEP]:
            for name in set(self._named.pop(state, ())) - needed:
                self._shelf.remove(name)

    def load(self, program: Program) -> dict[str, Any] | None:
        """Restore the newest whole generation, one segment in memory at a time; its `extra`, or None if there is none.

        What no state needs is deleted: segments and unfinished files of a process that was killed. CannotRead if a file
        may be whole and cannot be read now.
        """
        for name, (_, number) in reversed(self._states()):
            if (found := self._generation(name)) is None:
                continue
            state, segments = found
            program.restore(state["program"], segments)
            self._number, self._segments, self._spent = number, list(state["segments"]), state["spent"]
            self._tidy()
            extra: dict[str, Any] = state["extra"]
            return extra
        self._tidy()
        return None

    def remove(self) -> None:
        """Delete it: the run's row is written. What a successor writes is left alone."""
        for name in self._shelf.names():
            found = _OURS.fullmatch(name)
            if found and int(found["fence"]) <= self._fence:
                self._shelf.remove(name)
        self._shelf.clear()

    def _next(self) -> str:
        self._number += 1
        return f"{self._fence:06d}-{self._number:08d}.pt"

    def _generation(self, name: str) -> tuple[dict[str, Any], Segments] | None:
        """A state and its segments; None, after setting aside what is not whole, if it cannot be continued from."""
        state = self._read(name)
        if state is None:
            return None
        for segment in state["segments"]:
            if self._read(segment) is None:
                self._set_aside(name, f"it needs {segment}")
                return None
        return state, Segments(self._shelf, tuple(state["segments"]))

    def _read(self, name: str) -> Any:
        """What a file holds; None if it is gone or not whole, then it is set aside."""
        try:
            value = unpack(self._shelf.read(name))
            if _STATE.fullmatch(name) and value["format"] != FORMAT:
                raise ValueError(f"it has format {value['format']}, this rtbench reads {FORMAT}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._set_aside(name, str(error))
            return None
        return value

    def _set_aside(self, name: str, reason: str) -> None:
        self.notes.append(f"{name}: {reason.partition(chr(10))[0]}")
        with contextlib.suppress(FileNotFoundError):
            self._shelf.rename(name, name + UNREADABLE)

    def _tidy(self) -> None:
        """Delete what killed processes left unfinished, as far as it can be; what a successor writes is not touched."""
        with contextlib.suppress(OSError, files.Refused):
            states = {name: self._read(name) for name, _ in self._states()}
            self._named = {name: list(state["segments"]) for name, state in states.items() if state is not None}
            needed = {name for segments in self._named.values() for name in segments}
            for name in self._shelf.names():
                found = _OURS.fullmatch(name)
                if found is None or int(found["fence"]) > self._fence:
                    continue
                unneeded = found["kind"] == "segment" and not found["rest"] and name not in needed
                if found["aside"] or unneeded:
                    self._shelf.remove(name)

    def _states(self) -> list[tuple[str, tuple[int, int]]]:
        """States in the order they were written: by fencing number, then generation."""
        found = [(name, _STATE.fullmatch(name)) for name in self._shelf.names()]
        order = [(name, (int(match.group(1)), int(match.group(2)))) for name, match in found if match]
        return sorted(order, key=lambda pair: pair[1])

    def _write(self, name: str, kind: str, value: Any) -> None:
        self._shelf.write(name, *pack(value), kind=kind)
