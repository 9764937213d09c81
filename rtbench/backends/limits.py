"""What this machine could do at best: bandwidth for a working set, operations per second; measured, not looked up."""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rtbench.backends import native_library
from rtbench.errors import RtbenchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("reading.c")
LEAST_BYTES = 4096
"""A smaller share of a working set is measured as one of this size: it lies in the first cache all the same."""
WHOLE_BYTES = 1024
"""Shares are rounded up to a multiple, as readers take whole groups of numbers: what counts as read is read."""
TRIAL_NS = 2_000_000
TRIALS = 5
"""In a row, as a single one may be interrupted."""
PRODUCTS = {512: 10, 1024: 2}
"""How many products of each size are timed in a trial: the first after something else is often at half the rate."""
BYTES_PER_WEIGHT = {"fp32": 4, "bf16": 2}

Clock = Callable[[], int]
Read = Callable[["NDArray[np.float32]", int], object]
"""Reads an array of a multiple of `WHOLE_BYTES` from end to end so many times, without the interpreter's lock."""


def read_with_blas(values: NDArray[np.float32], times: int) -> None:
    """Reading as the inner product of an array's halves; a call costs a few hundred nanoseconds more."""
    half = len(values) // 2
    one, other = values[:half], values[half : 2 * half]
    for _ in range(times):
        one.dot(other)


class Bandwidth:
    """How fast `threads` threads read a working set over and over, each a share of its own; the best trial counts."""

    def __init__(
        self, working_set_bytes: int, threads: int, *, read: Read | None = None, clock: Clock = time.perf_counter_ns
    ) -> None:
        import numpy as np

        share = max(LEAST_BYTES, -(-working_set_bytes // (threads * WHOLE_BYTES)) * WHOLE_BYTES)
        self._read, self._clock = read or best_reader(), clock
        self._shares = [np.ones(share // 4, np.float32) for _ in range(threads)]
        self._bytes = sum(values.nbytes for values in self._shares)
        self._times = self._enough()
        self.bytes_per_s = 0.0

    def _enough(self) -> int:
        """How often to read so that a trial takes about `TRIAL_NS`; the first time warms the caches up."""
        times = 1
        self._read(self._shares[0], times)
        while True:
            took_ns = min(self._once(times) for _ in range(3))  # who is interrupted meanwhile takes longer
            if took_ns >= TRIAL_NS or times >= 1 << 24:
                return max(1, times * TRIAL_NS // took_ns)
            times *= 2

    def _once(self, times: int) -> int:
        began = self._clock()
        self._read(self._shares[0], times)
        return max(1, self._clock() - began)

    def trial(self) -> None:
        """A few times: from when the first thread begins to when the last has ended."""
        for _ in range(TRIALS):
            self._try()

    def _try(self) -> None:
        ends: list[tuple[int, int]] = []
        barrier = threading.Barrier(len(self._shares))

        def run(values: NDArray[np.float32]) -> None:
            barrier.wait()
            began = self._clock()
            self._read(values, self._times)
            ends.append((began, self._clock()))

        others = [threading.Thread(target=run, args=(values,)) for values in self._shares[1:]]
        for thread in others:
            thread.start()
        run(self._shares[0])
        for thread in others:
            thread.join()
        took_ns = max(1, max(end for _, end in ends) - min(begin for begin, _ in ends))
        self.bytes_per_s = max(self.bytes_per_s, 1e9 * self._bytes * self._times / took_ns)


class Peak:
    """Operations per second of square matrix products on as many threads as are set; the best trial counts."""

    def __init__(self, dtype: str = "fp32", *, clock: Clock = time.perf_counter_ns) -> None:
        self._clock, self.flop_per_s = clock, 0.0
        self._products = [product for size in PRODUCTS for product in _products(size, dtype)]
        for _, product in self._products:
            product()

    def trial(self) -> None:
        """Products of every size by every library, each timed alone, several in a row."""
        for size, product in self._products:
            for _ in range(PRODUCTS[size]):
                began = self._clock()
                product()
                took_ns = max(1, self._clock() - began)
                self.flop_per_s = max(self.flop_per_s, 2e9 * size**3 / took_ns)


def _products(size: int, dtype: str) -> list[tuple[int, Callable[[], object]]]:
    """A product of squares in torch, and where NumPy has the number format in NumPy."""
    import numpy as np
    import torch

    square = torch.ones(size, size, dtype=torch.bfloat16 if dtype == "bf16" else torch.float32)
    array = np.ones((size, size), np.float32)
    in_torch: list[tuple[int, Callable[[], object]]] = [(size, lambda: square @ square)]
    return in_torch if dtype == "bf16" else [*in_torch, (size, lambda: array @ array)]


@functools.cache
def best_reader() -> Read:
    """Compiled code where there is a compiler that works, else NumPy."""
    try:
        library = native_library.compiled(SOURCE)
    except RtbenchError:
        return read_with_blas
    call = library.rtbench_read
    call.argtypes, call.restype = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64], ctypes.c_float

    def read(values: NDArray[np.float32], times: int) -> None:
        call(values.ctypes.data, len(values), times)

    return read
