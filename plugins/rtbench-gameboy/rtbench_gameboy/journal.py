"""When the worlds of this process achieved what, episode by episode, kept for the columns of rows.

A run's row is written in the process in which its worlds are, so that a hook can ask here (`rtbench_gameboy.hooks`).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Episode:
    """One episode: the seed of its reset, frames played, and every rise of its progress: (frames, value) each."""

    seed: int | None
    frames: int = 0
    rises: list[tuple[int, float]] = field(default_factory=list)


class Trail:
    """The episodes of one world, in order."""

    def __init__(self) -> None:
        self.episodes: list[Episode] = []
        self._last = 0.0
        trails.append(self)

    def begin(self, seed: int | None) -> None:
        """An episode was reset with this seed."""
        self.episodes.append(Episode(seed))
        self._last = 0.0

    def note(self, frames: int, progress: float) -> None:
        """Where the episode stands."""
        now = self.episodes[-1]
        now.frames = frames
        if progress != self._last:
            self._last = progress
            now.rises.append((frames, progress))


trails: list[Trail] = []
"""Of every world that this process made."""
