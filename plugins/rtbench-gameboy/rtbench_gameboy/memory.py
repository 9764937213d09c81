"""Where a game keeps its numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """A number in the console's memory: its address, and its type as stable-retro writes it ('<u2', '|d1', …)."""

    address: int
    type: str
