"""What the worlds of this process have achieved, episode by episode, kept for the columns of rows.

A run's row is written in the process in which its worlds are, so that a hook can ask here (`rtbench_gameboy.hooks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

COUNTED = ("won", "caught", "lines")
"""The counters whose every rise is kept, with when it came."""


@dataclass
class Episode:
    """One episode: the seed of its reset, frames played, its counters, and every rise of what counts.

    `rises` are (frames, value, actions that pressed something) each.
    """

    seed: int | None
    frames: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)
    rises: list[tuple[int, float, float]] = field(default_factory=list)


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

    def note(self, frames: int, counters: Mapping[str, float]) -> None:
        """Where the episode stands."""
        now = self.episodes[-1]
        now.frames, now.counters = frames, counters
        value = next((counters[name] for name in COUNTED if name in counters), 0.0)
        if value != self._last:
            self._last = value
            now.rises.append((frames, value, counters["non_idle_actions"]))


trails: list[Trail] = []
"""Of every world that this process made."""
