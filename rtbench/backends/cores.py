"""Threads of arithmetic and the cores they are kept to, for a while."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence


def available() -> tuple[int, ...]:
    """The cores this process may use, rising; all of the machine where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def chosen(threads: int) -> tuple[int, ...]:
    """A core per thread: the last ones, as interrupts are often served by the first; all if there are too few."""
    return available()[-threads:]


class Arithmetic:
    """Sets how many threads torch and the libraries under NumPy compute with, and where they may run.

    NumPy and torch are loaded when this is made: libraries loaded later are not known to it. A thread that a library
    starts meanwhile keeps to the same cores. Threads that were there before are left where they are.
    """

    def __init__(self) -> None:
        import numpy  # noqa: F401 - so that its library is among those that are found
        import torch
        from threadpoolctl import ThreadpoolController

        self._torch, self._pools = torch, ThreadpoolController()

    @contextlib.contextmanager
    def on(self, threads: int, cores: Sequence[int] = ()) -> Iterator[None]:
        """So many threads on `cores` (wherever, if there are none), then everything as before."""
        before = self._torch.get_num_threads()
        self._torch.set_num_threads(threads)
        try:
            with self._pools.limit(limits=threads, user_api="blas"), kept_to(cores):
                yield
        finally:
            self._torch.set_num_threads(before)


@contextlib.contextmanager
def kept_to(cores: Sequence[int]) -> Iterator[None]:
    """The calling thread, and those it starts, on these cores only; on systems that cannot, wherever they like."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cores_text(cores: Sequence[int]) -> str:
    """Cores as a profile tells them: "0,1"; empty where threads cannot be kept to any."""
    return ",".join(map(str, cores)) if hasattr(os, "sched_setaffinity") else ""
