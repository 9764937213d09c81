"""Parameters that learner processes change while inference processes read them, in versions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rtbench.realtime.shared import Ring, integers
from rtbench.realtime.waking import sleep_until

Array = NDArray[Any]
Update = Callable[[Array, int], None]
"""`update(parameters, process)`: change the parameters in place; called in process number `process`."""
_TURN_NS = 100_000
"""How often a learner looks up whether it is its turn."""


class Lock(Protocol):
    """What excludes other processes."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *_: Any) -> Any: ...


@dataclass(frozen=True)
class Learning:
    """Learning beside (or within) inference.

    `parameters`: one array of numbers, the first version (0). `update(parameters, process)` changes a private copy in
    place; with several `processes` they compute at the same time, each from the version it last copied, and their
    changes are added in turn to the newest version (round-robin). Under a scheduler that learns within its inference
    processes (`sequential`) these call it, and `processes` does not count.
    """

    parameters: Array
    update: Update
    processes: int = 1


class Made(NamedTuple):
    """An update as its process tells it: the version it made and the one it was computed from; times in ns."""

    version: int
    process: int
    read: int
    started_ns: int
    finished_ns: int


@dataclass(frozen=True)
class Updates:
    """Every update of a run, in the order in which they were applied; times in ns since the run's begin. Shape (U,).

    Update u was computed by `process` from version `read` and made version u + 1 at `finished_ns`.
    """

    process: NDArray[np.int64]
    read: NDArray[np.int64]
    started_ns: NDArray[np.int64]
    finished_ns: NDArray[np.int64]


class Parameters:
    """The newest version of one array, in memory that processes share."""

    def __init__(self, first: Array, learners: int, lock: Lock) -> None:
        self._first, self._learners, self._lock = np.ascontiguousarray(first), learners, lock
        self._ring = Ring(self._first.nbytes, slots=3)
        self._turn = integers(1)
        self._ring.write(self._first.reshape(-1).view(np.uint8))

    def own(self) -> Own:
        """A private copy of the first version."""
        return Own(self._first.copy())

    @property
    def version(self) -> int:
        """How many updates have been applied."""
        return self._ring.latest - 1

    def refresh(self, own: Own) -> None:
        """Bring a private copy up to date."""
        if own.version != self.version:
            found = self._ring.read(own.raw)
            assert found is not None
            own.version = found[0] - 1

    def learn(self, own: Own, update: Update, process: int) -> tuple[int, int]:
        """One update, at once applied to the newest version; (version read, version made)."""
        self.refresh(own)
        read, before = own.version, own.array.copy()
        update(own.array, process)
        return read, self._apply(own, before)

    def learn_in_turn(
        self, own: Own, update: Update, process: int, wanted: Callable[[], bool]
    ) -> tuple[int, int] | None:
        """The same, applied when it is this learner's turn; None if it is not wanted any more."""
        self.refresh(own)
        read, before = own.version, own.array.copy()
        update(own.array, process)
        while self._turn[0] % self._learners != process:
            if sleep_until(time.monotonic_ns() + _TURN_NS, 0, wanted) is None:
                return None
        made = self._apply(own, before)
        self._turn[0] += 1  # only who has the turn passes it on
        return read, made

    def _apply(self, own: Own, before: Array) -> int:
        """Add what a private copy has gained to the newest version."""
        with self._lock:
            if own.version != self.version:
                change = own.array - before
                self.refresh(own)
                own.array += change
            own.version = self._ring.write(own.raw) - 1
            own.applied_ns = time.monotonic_ns()
        return own.version


class Own:
    """A process's private copy: `array`, its bytes, which version it is, and when its last update was applied."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.raw: NDArray[np.uint8] = array.reshape(-1).view(np.uint8)
        self.version = 0
        self.applied_ns = 0
