"""Bandwidth and peak by clocks of the test's own; that what is read really is read."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rtbench.backends import limits
from rtbench.backends.limits import (
    LEAST_BYTES,
    PRODUCTS,
    TRIAL_NS,
    TRIALS,
    WHOLE_BYTES,
    Bandwidth,
    Peak,
    best_reader,
    read_with_blas,
)
from rtbench.errors import RtbenchError


class Memory:
    """A memory that reads so many bytes in a nanosecond, for each thread on its own clock."""

    def __init__(self, bytes_per_ns):
        self.bytes_per_ns, self.reads = bytes_per_ns, []
        self.local = threading.local()

    def clock(self):
        return getattr(self.local, "now", 0)

    def read(self, values, times):
        self.reads.append((threading.get_ident(), values.nbytes, times))
        self.local.now = self.clock() + int(values.nbytes * times / self.bytes_per_ns)


def test_one_thread_reads_the_whole_set_for_about_as_long_as_a_trial():
    memory = Memory(16)
    found = Bandwidth(2_048_000, 1, read=memory.read, clock=memory.clock)
    memory.reads.clear()
    found.trial()
    assert found.bytes_per_s == pytest.approx(16e9)
    assert len(memory.reads) == TRIALS
    ((_, size, times),) = set(memory.reads)
    assert size == 2_048_000
    assert size * times / 16 == pytest.approx(TRIAL_NS, rel=0.2)


def test_threads_share_a_set_and_the_last_to_end_counts():
    """Two threads of 10 bytes/ns: 20 together, each of its own half."""
    memory = Memory(10)
    found = Bandwidth(4_096_000, 2, read=memory.read, clock=memory.clock)
    memory.local = threading.local()  # all begin at 0
    memory.reads.clear()
    found._try()
    assert found.bytes_per_s == pytest.approx(20e9)
    assert [size for _, size, _ in memory.reads] == [2_048_000] * 2
    assert len({thread for thread, *_ in memory.reads}) == 2


def test_the_best_trial_counts():
    memory = Memory(16)
    found = Bandwidth(1_000_000, 1, read=memory.read, clock=memory.clock)
    for memory.bytes_per_ns in (8, 12, 4):
        found.trial()
    assert found.bytes_per_s == pytest.approx(12e9)


def test_a_small_set_is_measured_as_a_few_kilobytes():
    memory = Memory(16)
    Bandwidth(100, 2, read=memory.read, clock=memory.clock)
    assert {size for _, size, _ in memory.reads} == {LEAST_BYTES}


def test_a_clock_that_stands_still_ends():
    assert Bandwidth(10, 1, read=lambda values, times: None, clock=lambda: 0)._times >= 1


def test_the_peak_of_a_clock_that_ticks_once_per_call():
    """Every product takes 1 ns, so the larger one is the faster."""
    now = iter(range(10**6))
    found = Peak(clock=lambda: next(now))
    assert found.flop_per_s == 0
    found.trial()
    assert found.flop_per_s == pytest.approx(2e9 * max(PRODUCTS) ** 3)


def test_the_fastest_of_several_products_in_a_row_counts():
    """The first after something else may be slow: here every other is twice as fast as the one before."""
    now = [0]
    found = Peak(clock=lambda: now[0])
    calls = []

    def product():
        calls.append(1)
        now[0] += 1000 if len(calls) == 1 else 500

    found._products = [(512, product)]
    found.trial()
    assert len(calls) == PRODUCTS[512] > 2
    assert found.flop_per_s == pytest.approx(2e9 * 512**3 / 500)


def test_half_precision_has_a_peak_of_its_own():
    assert len(Peak("bf16")._products) < len(Peak("fp32")._products)


@pytest.mark.parametrize("reader", [best_reader(), read_with_blas])
def test_readers_take_any_size(reader):
    for count in (0, 1, 127, 128, 129, 5000):
        reader(np.ones(count, np.float32), 3)


def test_compiled_reading_reads_every_number():
    """It returns the sum of what it has read, whole groups of 256 numbers."""
    if best_reader() is read_with_blas:
        pytest.fail("no compiler on a machine that tests native backends")
    library = limits.native_library.compiled(limits.SOURCE)
    call = library.rtbench_read
    import ctypes

    call.argtypes, call.restype = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64], ctypes.c_float
    values = np.arange(3 * 256 + 5, dtype=np.float32)
    assert call(values.ctypes.data, len(values), 2) == 2 * values[: 3 * 256].sum()


@pytest.mark.parametrize("working_set_bytes", [LEAST_BYTES + 4, 100_001, 3_000_000])
def test_what_counts_as_read_is_what_is_read(working_set_bytes):
    """The sum over ones is how many numbers the compiled reader took; NumPy's reads two halves."""
    import ctypes

    call = limits.native_library.compiled(limits.SOURCE).rtbench_read
    call.argtypes, call.restype = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64], ctypes.c_float
    read = []

    def reader(values, times):
        read.append(int(call(values.ctypes.data, len(values), 1)))

    found = Bandwidth(working_set_bytes, 3, read=reader, clock=iter(range(0, 10**12, 10**7)).__next__)
    assert set(read) == {len(found._shares[0])}
    assert found._bytes == 3 * 4 * read[0]
    assert working_set_bytes <= found._bytes < working_set_bytes + 3 * (WHOLE_BYTES + LEAST_BYTES)
    assert len(found._shares[0]) % 2 == 0


def test_without_a_compiler_numpy_reads(monkeypatch):
    def refused(source):
        raise RtbenchError("no compiler", place="here")

    monkeypatch.setattr(limits.native_library, "compiled", refused)
    best_reader.cache_clear()
    try:
        assert best_reader() is read_with_blas
    finally:
        best_reader.cache_clear()
