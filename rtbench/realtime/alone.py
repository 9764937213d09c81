"""One run on the wall clock at a time on a machine: two would take each other's time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # no Unix: nothing forks there either
    fcntl = None  # type: ignore[assignment]

NAME = "rtbench-wall-clock.lock"
"""In the system's temporary folder; empty, and never deleted, as others may be waiting at it."""


@contextlib.contextmanager
def alone(*, waits: bool = True) -> Iterator[bool]:
    """Wait until no other run on this machine is in here; where there is nothing to lock, go on.

    The value is True; without waiting it is whether nobody else is in here.

    The kernel takes the lock from a process that ends, however it ends.
    """
    file = _opened(Path(tempfile.gettempdir()) / NAME)
    free = True
    try:
        if file is not None and fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                free = False
            except OSError:  # a file system without locks
                pass
        yield free
    finally:
        if file is not None:
            os.close(file)


def _opened(path: Path) -> int | None:
    """The file, which another user may own; None if there can be none."""
    for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT):
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_CLOEXEC, 0o666)
    return None
