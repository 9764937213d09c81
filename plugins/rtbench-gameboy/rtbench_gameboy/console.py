"""The one emulator that a process may have, shared by any number of consoles.

stable-retro allows one emulator per process, while a program has several worlds (training, evaluation, many side by
side, in threads as well). Each console keeps its own saved state and its last picture, and the emulator is handed over
when another one moves, which takes some 20 µs (8 ms if it has another cartridge).

What the emulator shows while a game has its screen switched off is what was drawn before, which is in no state: the
free games never switch theirs off once they have begun, others do for moments between scenes.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rtbench.errors import RtbenchError

from rtbench_gameboy.memory import Variable

BUTTONS = ("B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A")
"""The core's own order."""
ACTIONS = (None, "A", "B", "LEFT", "UP", "RIGHT", "DOWN")
"""The six actions of Staggered Asynchronous Inference, Appendix A, after 0, which presses nothing."""
Bytes = NDArray[np.uint8]
_turn = threading.RLock()
"""Held while a console uses the emulator."""


def mask(*buttons: str | None) -> Bytes:
    """The core's buttons as it takes them, those named held down."""
    return np.asarray([name is not None and name in buttons for name in BUTTONS], np.uint8)


class _Emulator:
    """The process's emulator with a cartridge in it, and the console whose state it holds."""

    def __init__(self, rom: Path) -> None:
        from stable_retro import RetroEmulator
        from stable_retro.data import GameData

        self.rom = rom
        self.holder: Console | None = None
        try:
            self.em = RetroEmulator(str(rom))
        except RuntimeError as error:
            raise RtbenchError(
                f"the emulator cannot be started: {error}",
                place=str(rom),
                hint="a process has one emulator: close other stable-retro environments of this process",
            ) from error
        self._data = GameData()
        self.em.configure_data(self._data)
        self.memory = self._data.memory
        self.em.set_button_mask(mask(), 0)
        self.em.step()  # the core maps the console's memory with its first frame


_current: _Emulator | None = None


def _without() -> None:
    """Give the emulator up; the console that had it keeps its state."""
    global _current
    if _current is not None:
        if _current.holder is not None:
            _current.holder.keep()
        _current = None  # nothing else refers to it, so it ends at once


def _emulator(rom: Path) -> _Emulator:
    """The emulator with this cartridge."""
    global _current
    if _current is None or _current.rom != rom:
        if not rom.is_file():  # an emulator that failed to start would stay for ever
            raise RtbenchError("no such cartridge image", place=str(rom))
        _without()
        _current = _Emulator(rom)
    return _current


class Console:
    """A Game Boy with a cartridge: buttons, frames, memory, screen. Off until `load`ed."""

    def __init__(self, rom: Path) -> None:
        self._rom = rom
        self._kept: bytes | None = None
        self.picture: Bytes = np.zeros((144, 160, 3), np.uint8)
        """What the last frame drew, RGB."""

    def _mine(self) -> _Emulator:
        """The emulator with this console's state in it."""
        emulator = _emulator(self._rom)
        if emulator.holder is not self:
            if emulator.holder is not None:
                emulator.holder.keep()
            if self._kept is not None:
                emulator.em.set_state(self._kept)
            emulator.holder = self
        return emulator

    def keep(self) -> None:
        """Remember the state, since another console is to have the emulator."""
        assert _current is not None
        assert _current.holder is self
        self._kept, _current.holder = _current.em.get_state(), None

    def frame(self, buttons: Bytes) -> None:
        """One frame with these buttons held."""
        with _turn:
            em = self._mine().em
            em.set_button_mask(buttons, 0)
            em.step()
            self.picture = em.get_screen()

    def read(self, variable: Variable) -> int:
        """A number from memory, as it is now."""
        with _turn:
            return int(self._mine().memory.extract(variable.address, variable.type))

    def write(self, variable: Variable, value: int) -> None:
        """Put a number into memory."""
        with _turn:
            self._mine().memory.assign(variable.address, variable.type, value)

    def state(self) -> bytes:
        """Everything the console holds but the picture."""
        with _turn:
            state: bytes = self._mine().em.get_state()
            return state

    def load(self, state: bytes) -> None:
        """Back to a state; RtbenchError if it is not one of this cartridge and emulator."""
        with _turn:
            if not self._mine().em.set_state(state):
                raise RtbenchError("the emulator does not take this saved state", place=str(self._rom))


def switched_on(rom: Path, frames: int) -> bytes:
    """The state of a console so many frames after it was switched on: the same in every process."""
    with _turn:
        _without()
        console = Console(rom)
        for _ in range(frames):
            console.frame(mask())
        return console.state()
