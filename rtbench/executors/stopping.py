"""Being asked to stop: Ctrl-C or SIGTERM once asks, twice insists."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class Stopping:
    """True once asked; a second time raises KeyboardInterrupt wherever the program is.

    SIGTERM always asks. SIGINT stays ignored where it was: in a process that a shell started in the background.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        for number in (signal.SIGINT, signal.SIGTERM):
            if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """As a signal does."""
        self._asked = True

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self.ask()
