"""What an episode is on a cartridge that the user brought: Tetris, and encounters of Pokémon from saved states."""

from __future__ import annotations

import gzip
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtbench.errors import RtbenchError

from rtbench_gameboy import cartridges
from rtbench_gameboy.cartridges import CARTRIDGES, PARTY
from rtbench_gameboy.console import Console, mask
from rtbench_gameboy.rules import Rules, just_on

if TYPE_CHECKING:
    import numpy as np

_MOST_IDLE_FRAMES, _BEGIN_FRAMES = 40, 120
_PRESSED = mask("START", "A")


class TetrisRules(Rules):
    """A game of Tetris: 0 to 40 frames of nothing, START and A, then until the game is over; points are the reward."""

    def __init__(self, name: str) -> None:
        self.rom = cartridges.rom_of(name)
        self._score, self._state = (CARTRIDGES[name].variables[key] for key in ("score", "state"))

    def begin(self, console: Console, rng: np.random.Generator) -> None:
        _forget_the_screen(console, self.rom)
        console.load(saved(self.rom.parent / cartridges.START))
        for _ in range(int(rng.integers(_MOST_IDLE_FRAMES + 1))):
            console.frame(mask())
        for frame in range(_BEGIN_FRAMES):
            console.frame(_PRESSED if frame == 0 else mask())
            if console.read(self._state) == 0:
                break
        else:
            raise RtbenchError(
                "the game does not begin at START and A", place=str(self.rom), hint="import the cartridge again"
            )
        self._points = console.read(self._score)
        self._found = {"score": 0.0}

    def advance(self, console: Console) -> tuple[float, bool]:
        over = console.read(self._state) != 0
        points = console.read(self._score)
        gained, self._points = points - self._points, points
        self._found = {"score": self._found["score"] + gained}
        return float(gained), over

    def progress(self) -> dict[str, float]:
        return self._found


class _SavedEncounters(Rules):
    """Encounters from saved states, in order, each again until it is won; the episode is over after the last."""

    kind: str

    def __init__(self, name: str) -> None:
        self.rom = cartridges.rom_of(name)
        self._variables = CARTRIDGES[name].variables
        self._states: Sequence[Path] = cartridges.states_of(name, self.kind)
        if not self._states:
            raise RtbenchError(cartridges.missing(name, self.kind) or "no saved states", place=str(self.rom.parent))

    def begin(self, console: Console, rng: np.random.Generator) -> None:
        self._at, self._good, self._bad = 0, 0, 0
        _forget_the_screen(console, self.rom)
        self._load(console)

    def _load(self, console: Console) -> None:
        console.load(saved(self._states[self._at]))
        self._begun(console)

    def advance(self, console: Console) -> tuple[float, bool]:
        reward, ended, won = self._judge(console)
        if not ended:
            return reward, False
        self._good, self._bad = self._good + won, self._bad + (not won)
        self._at += won
        if self._at == len(self._states):
            return reward, True
        self._load(console)
        return reward, False

    def progress(self) -> dict[str, float]:
        good, bad = ("won", "lost") if self.kind == "battles" else ("caught", "escaped")
        return {good: float(self._good), bad: float(self._bad)}

    @abstractmethod
    def _begun(self, console: Console) -> None:
        """An encounter was loaded."""

    @abstractmethod
    def _judge(self, console: Console) -> tuple[float, bool, bool]:
        """The reward of a frame, whether the encounter ended with it, whether it was won."""

    def _read(self, console: Console, names: str, count: int) -> list[int]:
        return [console.read(self._variables[f"{names}_{i + 1}"]) for i in range(count)]


class BattleRules(_SavedEncounters):
    """1 for each of theirs that falls, −1 for each of ours; over when a side has none, won if the last was theirs."""

    kind = "battles"

    def _begun(self, console: Console) -> None:
        self._ours, self._theirs = self._sides(console)
        self._last = 0

    def _sides(self, console: Console) -> tuple[list[int], list[int]]:
        return self._read(console, "own_hp", PARTY), self._read(console, "foe_hp", PARTY)

    def _judge(self, console: Console) -> tuple[float, bool, bool]:
        before = (self._ours, self._theirs)
        self._ours, self._theirs = self._sides(console)
        ours, theirs = (_falls(*pair) for pair in zip(before, (self._ours, self._theirs), strict=True))
        reward = theirs - ours
        self._last = reward or self._last
        # A side that has none from the start (it is still being loaded) has not lost.
        ended = (any(before[0]) and not any(self._ours)) or (any(before[1]) and not any(self._theirs))
        return float(reward), ended, self._last > 0


class CatchingRules(_SavedEncounters):
    """1 when the box or the list of what is owned grows, −1 when the encounter ends without."""

    kind = "catching"

    def _begun(self, console: Console) -> None:
        self._had, self._caught, self._met = self._owned(console), False, False

    def _owned(self, console: Console) -> tuple[int, int]:
        flags = sum(value.bit_count() for value in self._read(console, "owned", 19))
        return console.read(self._variables["box_count"]), flags

    def _judge(self, console: Console) -> tuple[float, bool, bool]:
        fighting = console.read(self._variables["in_battle"]) != 0
        self._met |= fighting
        has = self._owned(console)
        newly = not self._caught and (has[0] > self._had[0] or has[1] > self._had[1])
        self._caught |= newly
        ended = self._met and not fighting
        return float(newly) - float(ended and not self._caught), ended, self._caught


def _forget_the_screen(console: Console, rom: Path) -> None:
    """Show what is always the same before an episode begins.

    While a game has its screen switched off, the emulator goes on showing what was drawn before, which is in no state.
    """
    console.load(just_on(rom))
    console.frame(mask())


def _falls(before: Sequence[int], now: Sequence[int]) -> int:
    return sum(was > 0 and not left for was, left in zip(before, now, strict=True))


def saved(path: Path) -> bytes:
    """A saved state, as stable-retro writes it (gzip) or plain."""
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
