"""What an episode of a free game is: how it begins, what a frame of it is worth, when it is over, what is counted."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rtbench.errors import RtbenchError

from rtbench_gameboy.console import Console, mask, switched_on
from rtbench_gameboy.memory import Variable

if TYPE_CHECKING:
    import numpy as np

GAMES = Path(__file__).resolve().parent / "games"
TITLE, PLAYING, OVER = 0, 1, 2
_POWER_ON_FRAMES, _START_FRAMES = 30, 120

SEED, START, STATE = Variable(0xC000, "<u4"), Variable(0xC004, "|u1"), Variable(0xC005, "|u1")
FALLING_BLOCKS = {
    "score": Variable(0xC010, "<u4"),
    "lines": Variable(0xC014, "<u2"),
    "level": Variable(0xC016, "|u1"),
    "start_level": Variable(0xC017, "|u1"),
    "pieces": Variable(0xC01D, "<u2"),
}
ENCOUNTERS = {
    "mode": Variable(0xC010, "|u1"),
    "waits": Variable(0xC011, "|u1"),
    "encounter": Variable(0xC012, "<u2"),
    "won": Variable(0xC014, "<u2"),
    "lost": Variable(0xC016, "<u2"),
    "caught": Variable(0xC018, "<u2"),
    "escaped": Variable(0xC01A, "<u2"),
    "own_falls": Variable(0xC01C, "<u2"),
    "foe_falls": Variable(0xC01E, "<u2"),
}
"""Where the programs of roms/ keep what counts."""


class Rules(ABC):
    """One kind of episode on one cartridge. `advance` is told after every frame."""

    rom: Path

    @abstractmethod
    def begin(self, console: Console, rng: np.random.Generator) -> None:
        """Bring the console to the first frame of an episode; all chance in it is drawn here."""

    @abstractmethod
    def advance(self, console: Console) -> tuple[float, bool]:
        """The reward of the frame that was just played, and whether the episode is over."""

    @abstractmethod
    def progress(self) -> dict[str, float]:
        """What the game has counted since the episode began, by name."""


@functools.cache
def just_on(rom: Path) -> bytes:
    """The state of a cartridge half a second after it was switched on; the free games stand at their title."""
    return switched_on(rom, _POWER_ON_FRAMES)


class _FreeGame(Rules):
    """A game of ours: it stands at its title, is given its seed from outside, and begins."""

    def begin(self, console: Console, rng: np.random.Generator) -> None:
        console.load(just_on(self.rom))
        console.write(SEED, int(rng.integers(2**32)))
        self._set_up(console)
        console.write(START, 1)
        for _ in range(_START_FRAMES):
            console.frame(mask())
            if console.read(STATE) == PLAYING:
                return
        raise RtbenchError("the game does not begin", place=str(self.rom), hint="tox -e rom builds it anew")

    @abstractmethod
    def _set_up(self, console: Console) -> None:
        """Write what is chosen before the game begins."""


class FallingBlocksRules(_FreeGame):
    """A game until it is lost; a frame earns the points it brings."""

    rom = GAMES / "falling-blocks.gb"

    def __init__(self, start_level: int = 0) -> None:
        self._start_level = start_level

    def _set_up(self, console: Console) -> None:
        console.write(FALLING_BLOCKS["start_level"], self._start_level)
        self._score, self._found = 0, dict.fromkeys(("score", "lines", "pieces"), 0.0)

    def advance(self, console: Console) -> tuple[float, bool]:
        score = console.read(FALLING_BLOCKS["score"])
        gained, self._score = score - self._score, score
        self._found = {name: float(console.read(FALLING_BLOCKS[name])) for name in self._found}
        return float(gained), console.read(STATE) == OVER

    def progress(self) -> dict[str, float]:
        return self._found


class EncountersRules(_FreeGame):
    """Encounters one after another, each again until it is won; battles count falls, catching counts catches.

    Of a battle every fall of theirs earns 1 and every fall of ours −1; of catching a catch 1, an encounter that ends
    without −1. With `until` "encounter" an episode is one encounter, drawn from the first `known`.
    """

    rom = GAMES / "encounters.gb"

    def __init__(self, mode: Literal["battles", "catching"], until: Literal["limit", "encounter"], known: int) -> None:
        self._mode, self._one, self._known = mode, until == "encounter", known
        good, bad, won, lost = (
            ("foe_falls", "own_falls", "won", "lost")
            if mode == "battles"
            else ("caught", "escaped", "caught", "escaped")
        )
        self._good, self._bad = ENCOUNTERS[good], ENCOUNTERS[bad]
        self._ends = {won: ENCOUNTERS[won], lost: ENCOUNTERS[lost]}

    def begin(self, console: Console, rng: np.random.Generator) -> None:
        self._first = int(rng.integers(self._known)) if self._one else 0
        super().begin(console, rng)

    def _set_up(self, console: Console) -> None:
        console.write(ENCOUNTERS["mode"], int(self._mode == "catching"))
        console.write(ENCOUNTERS["encounter"], self._first)
        self._before = 0
        self._found = dict.fromkeys(self._ends, 0.0)

    def advance(self, console: Console) -> tuple[float, bool]:
        balance = console.read(self._good) - console.read(self._bad)
        gained, self._before = balance - self._before, balance
        self._found = {name: float(console.read(variable)) for name, variable in self._ends.items()}
        return float(gained), self._one and any(self._found.values())

    def progress(self) -> dict[str, float]:
        return self._found
