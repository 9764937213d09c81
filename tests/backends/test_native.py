"""Native code: number formats, the share of every thread, forks, and a compiler that is missing or fails."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from backends.playing import CASES, TOLERANCE, inputs, made, played
from graphs import SHAPE, images, variants

from rtbench.architectures.mlp import MLP, Params
from rtbench.backends import native_library
from rtbench.backends.layout import layout
from rtbench.backends.measure import random_parameters
from rtbench.backends.native_program import bfloat16, packed_columns, shares
from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec
from rtbench.plugins import build, use

GRAPHS = dict(variants()) | dict(images())
CHOSEN = ["3-to-action-relu-in-flight", "4-all-lstm-observation", "cnn-from-obs-relu-3-none"]


def test_bfloat16_is_rounded_as_torch_does():
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    values = np.concatenate([bits.view(np.float32), np.array([0, -0.0, np.inf, -np.inf, 1e-40, 3.4e38], np.float32)])
    values = values[~np.isnan(values)]
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(bfloat16(values), expected)
    assert bfloat16(np.array([np.nan], np.float32))[0] & 0x7FFF > 0x7F80


@pytest.mark.parametrize("backend", ["native", "threads"])
@pytest.mark.parametrize("case", CASES[::2], ids=str)
def test_half_precision_is_single_precision_on_rounded_weights(backend, case):
    for name in CHOSEN:
        graph = GRAPHS[name]
        parameters = random_parameters(graph, 0)
        policy = made(backend, graph, case, parameters, {"dtype": "bf16"}, batch=3)
        for layer in parameters.values():
            layer["weight"][:] = torch.from_numpy(layer["weight"]).to(torch.bfloat16).float().numpy()
        expected = played(made("numpy", graph, case, parameters, batch=3), *inputs(graph, batch=3))
        np.testing.assert_allclose(played(policy, *inputs(graph, batch=3)), expected, **TOLERANCE, err_msg=name)


def test_an_lstm_far_from_zero():
    """Where gates are shut or open and exponentials leave the range of single precision."""
    graph = GRAPHS["3-none-lstm-none"]
    parameters = random_parameters(graph, 0)
    for scale in (1, 30, 1000):
        for layer in parameters.values():
            layer["bias"][:] = scale * np.linspace(-1, 1, layer["bias"].size)
        expected, found = (
            played(made(backend, graph, ("instant", 1.0, "zero"), parameters), *inputs(graph))
            for backend in ("eager", "native")
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4, err_msg=f"biases up to {scale}")


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_part_of_a_layer_has_one_thread(threads):
    for name in CHOSEN:
        for execution in ("instant", "pipelined"):
            found = layout(GRAPHS[name], execution, 1.0)
            parts: dict[tuple[int, str], list[tuple[int, int]]] = {}
            for thread in shares(found, threads):
                assert len(thread) == len(found.stages)
                for stage, units in enumerate(thread):
                    for unit in units:
                        assert unit.place.stage == stage
                        parts.setdefault((stage, unit.place.layer.name), []).append((unit.begin, unit.end))
            for place in found.places:
                layer = place.layer
                ends = sorted(parts.pop((place.stage, layer.name)))
                assert ends[0][0] == 0
                assert ends[-1][1] == (layer.shape[0] if layer.op == "conv" else layer.width)
                assert all(before[1] == after[0] for before, after in itertools.pairwise(ends))
            assert not parts


def test_pipelined_threads_have_equal_shares():
    graph = MLP(Params(layers=100, width=256)).make(SHAPE)
    costs = [sum(unit.cost for unit in stages[0]) for stages in shares(layout(graph, "pipelined", 1.0), 2)]
    assert max(costs) - min(costs) <= 64 * 256


def test_packed_columns_by_hand():
    """Two gates' worth of an LSTM of four neurons: of neurons 1 and 2, columns 1, 2, 5, 6, 9, 10, 13, 14."""
    place = layout(MLP(Params(layers=2, width=4, lstm=True)).make(SHAPE), "instant", 1.0).places[0]
    weight = np.arange(place.inputs * 16, dtype=np.float32).reshape(place.inputs, 16)
    unit = type(shares(layout(MLP(Params(layers=2, width=4, lstm=True)).make(SHAPE), "instant", 1.0), 1)[0][0][0])(
        place, 1, 3
    )
    packed = packed_columns(unit, weight)
    assert packed.shape == (4, place.inputs, 16)
    for gate in range(4):
        np.testing.assert_array_equal(packed[gate, :, :2], weight[:, 4 * gate + 1 : 4 * gate + 3])
        assert not packed[gate, :, 2:].any()


def test_threads_start_anew_in_a_forked_process():
    script = """
import os, sys
sys.path.insert(0, "tests")
import numpy as np
from graphs import variants
from backends.playing import inputs, made, played
graph = dict(variants())["4-all-lstm-observation"]
expected = played(made("numpy", graph), *inputs(graph))
policy = made("threads", graph)
assert np.allclose(played(policy, *inputs(graph)), expected, atol=1e-5)
child = os.fork()
fine = np.allclose(played(policy, *inputs(graph)), expected, atol=1e-5)
if child == 0:
    os._exit(0 if fine else 3)
_, status = os.waitpid(child, 0)
del policy
assert fine and os.waitstatus_to_exitcode(status) == 0, status
threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "fine\n", done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cores are chosen on Linux only")
def test_threads_are_kept_to_cores_of_their_own():
    script = """
import os, sys
sys.path.insert(0, "tests")
from graphs import variants
from backends.playing import inputs, made, played
def cores():
    return {task: os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")}
graph = dict(variants())["4-all-lstm-observation"]
allowed, before = os.sched_getaffinity(0), cores()
policy = made("threads", graph, params={"threads": 2, "pin": sys.argv[1] == "pin"})
assert cores() == before, "threads start with the first tick"
played(policy, *inputs(graph))
(new,) = set(cores()) - set(before)
kept, own = cores()[new], os.sched_getaffinity(0)
if sys.argv[1] == "pin" and len(allowed) > 1:
    assert len(kept) == 1 and own - kept, (kept, own)
else:
    assert kept == own == allowed, (kept, own)
del policy
assert set(cores()) == set(before), "threads end with the acting"
"""
    for how in ("pin", "free"):
        done = subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def test_without_a_compiler_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    graph = GRAPHS["2-none-relu-none"]
    for backend in ("native", "threads"):
        reason = build(use("backends", backend)).refuses(ActingSpec(graph, "instant", 1.0))
        assert reason is not None
        assert "C compiler" in reason
        assert "gcc" in reason
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "CC=no-such-compiler" in (native_library.unsupported() or "")


def test_a_library_is_compiled_once(monkeypatch, tmp_path):
    monkeypatch.setenv("RTBENCH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "small.c"
    source.write_text("int rtbench_small(void) { return 1; }", encoding="utf-8")
    native_library.compiled(source)
    (made_first,) = (tmp_path / "cache").iterdir()
    stamp = made_first.stat().st_mtime_ns
    assert native_library.compiled(source).rtbench_small() == 1
    assert [path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()] == [stamp]
    source.write_text("int rtbench_small(void) { return 2; }", encoding="utf-8")
    assert native_library.compiled(source).rtbench_small() == 2


def test_what_the_compiler_says_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("RTBENCH_CACHE", str(tmp_path / "cache"))
    wrong = tmp_path / "wrong.c"
    wrong.write_text("int main( {", encoding="utf-8")
    with pytest.raises(RtbenchError, match="error") as caught:
        native_library.compiled(wrong)
    assert "RTBENCH_CACHE" in caught.value.hint
    assert not any((tmp_path / "cache").iterdir())


def test_a_damaged_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RTBENCH_CACHE", str(tmp_path / "whole"))
    source = tmp_path / "small.c"
    source.write_text("int rtbench_small(void) { return 1; }", encoding="utf-8")
    native_library.compiled(source)
    (whole,) = (tmp_path / "whole").iterdir()
    library = tmp_path / "damaged" / whole.name
    library.parent.mkdir()
    library.write_bytes(b"no library")
    monkeypatch.setenv("RTBENCH_CACHE", str(library.parent))
    with pytest.raises(RtbenchError, match="cannot be loaded") as caught:
        native_library.compiled(source)
    assert caught.value.place == str(library)


@pytest.mark.parametrize(
    ("params", "told"),
    [({"threads": 0}, "threads"), ({"threads": 1025}, "from 1 to 1024"), ({"spin_us": -1.0}, "spin_us")],
)
def test_impossible_parameters_are_refused(params, told):
    part = build(use("backends", "threads", params))
    assert told in (part.refuses(ActingSpec(GRAPHS["2-none-relu-none"], "instant", 1.0)) or "")
