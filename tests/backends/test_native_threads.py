"""Threads of native code: cores given back, threads that do not start, numbers beyond every bound. Real processes."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest
from backends.playing import TOLERANCE, inputs, made, played
from graphs import variants

from rtbench.backends import native_acting, native_library
from rtbench.backends.cores import available
from rtbench.backends.measure import random_parameters
from rtbench.errors import RtbenchError

GRAPHS = dict(variants())

CORES = """
import gc, os, sys, warnings
sys.path.insert(0, "tests")
from graphs import variants
from backends.playing import inputs, made, played
graph, allowed = dict(variants())["4-all-lstm-observation"], os.sched_getaffinity(0)
def others():
    own = str(os.getpid())
    return {t: os.sched_getaffinity(int(t)) for t in os.listdir("/proc/self/task") if t != own}
def started(how):
    there = set(others())
    policy = made("threads", graph, params={"threads": 2, **how})
    played(policy, *inputs(graph))
    (new,) = set(others()) - there
    return policy, others()[new]
def migrated(policy):
    # to another core, as the system may do it, and everything allowed again
    for core in 200 * sorted(allowed):
        os.sched_setaffinity(0, {core})
        os.sched_setaffinity(0, allowed)
        played(policy, *inputs(graph))
        if len(os.sched_getaffinity(0)) == 1:
            return
    raise AssertionError("it was never kept to a core")
"""
SECOND = """
first, kept = started({})
migrated(first)
mine = os.sched_getaffinity(0)
assert len(mine) == 1 and not mine & kept, (mine, kept)
second, also = started({})
assert len(also) == 1 and not also & os.sched_getaffinity(0), (also, mine)
free, anywhere = started({"pin": False})
assert anywhere == allowed, anywhere
del first; gc.collect()
played(second, *inputs(graph))
del second, free; gc.collect()
assert os.sched_getaffinity(0) == allowed, os.sched_getaffinity(0)
"""
FEW = """
os.sched_setaffinity(0, {min(allowed)})
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    policy, kept = started({})
    played(policy, *inputs(graph))
assert len(told) == 1 and "2 threads are to have a core each" in str(told[0].message), told
assert kept == {min(allowed)}
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cores are chosen on Linux only")
@pytest.mark.parametrize("script", [SECOND, FEW], ids=["a second acting", "one core"])
def test_cores_of_the_caller(script):
    script = script if len(available()) > 1 else FEW
    done = subprocess.run([sys.executable, "-c", CORES + script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


FAILING = """
#define _GNU_SOURCE
#include <pthread.h>
static int left;
static int few(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
    return left-- > 0 ? pthread_create(t, a, f, x) : 11;
}
#define pthread_create few
#include "%s"
void rtbench_starts(int count) { left = count; }
"""


def test_threads_that_could_not_be_started_are_tried_again(monkeypatch, tmp_path):
    """First none of two, then one, then both: each failure is told, and the tick after it works."""
    monkeypatch.setenv("RTBENCH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "failing.c"
    source.write_text(FAILING % native_library.SOURCE, encoding="utf-8")
    library = native_library.compiled(source)
    library.rtbench_open.argtypes, library.rtbench_open.restype = [ctypes.c_void_p], ctypes.c_void_p
    library.rtbench_close.argtypes, library.rtbench_close.restype = [ctypes.c_void_p], None
    library.rtbench_tick.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    monkeypatch.setattr(native_acting, "library", lambda: library)
    graph = GRAPHS["3-from-obs-relu-in-flight"]
    policy = made("threads", graph, params={"threads": 3, "pin": False})
    given = inputs(graph)
    for started in (0, 1):
        library.rtbench_starts(started)
        policy.restart(given[0][0])
        with pytest.raises(RtbenchError, match="starts no further thread"):
            policy.tick(given[0][0], given[1][0])
    library.rtbench_starts(2)
    expected = played(made("numpy", graph), *given)
    np.testing.assert_allclose(played(policy, *given), expected, **TOLERANCE)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("name", "op", "bound"), [
    ("3-none-relu-none", "linear", -np.inf),
    ("3-none-lstm-none", "lstm", -np.inf),
    ("3-none-lstm-none", "lstm", np.inf),
])  # fmt: skip
def test_what_is_infinite_is_rectified_and_squashed(name, op, bound, fixed):
    """relu(−∞) is 0, and gates are shut or open: nothing becomes what is no number."""
    graph, case = GRAPHS[name], ("instant", 1.0, "zero")
    parameters = random_parameters(graph, 0)
    layer = next(layer for layer in graph.layers if layer.op == op and layer is not graph.head)
    parameters[layer.name]["bias"][:3] = bound
    expected, found = (
        played(made(backend, graph, case, parameters, fixed=fixed), *inputs(graph)) for backend in ("eager", "native")
    )
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, **TOLERANCE)


def test_the_cache_is_where_it_was_when_the_folder_changes(monkeypatch, tmp_path):
    """A relative path is meant from where it is first used; what was compiled there loads from anywhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTBENCH_CACHE", "kept")
    source = tmp_path / "small.c"
    source.write_text("int rtbench_small(void) { return 5; }", encoding="utf-8")
    assert native_library.compiled(source).rtbench_small() == 5
    assert native_library._folder().is_absolute()
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".so"]
