"""Measuring: what is timed and what is not, random weights, threads. No test asserts how long anything takes."""

from __future__ import annotations

import dataclasses
import os
import sys

import numpy as np
import pytest
import torch
from graphs import SHAPE, variants
from helpers.cells import interaction

from rtbench.backends import measure as measuring
from rtbench.backends.measure import (
    EXECUTIONS,
    Measurement,
    architecture_text,
    figures,
    measure,
    numpy_threads,
    pinned_threads,
    random_parameters,
    time_ticks,
)
from rtbench.backends.torch_arithmetic import initial_parameters
from rtbench.errors import SuiteError
from rtbench.interaction.latency import parse_latency
from rtbench.interaction.profile import LatencyProfile, ProfileGroup, write_profile
from rtbench.interaction.timing import timeline_of, timing
from rtbench.plugins import use

NARROW = {"layers": 2, "width": 4}
THREADS = numpy_threads()
GRAPHS = dict(variants())


class Spy:
    """Acting that notes its calls; a tick takes as many ticks of the fake clock as it has been called."""

    def __init__(self):
        self.restarts, self.inputs, self.now = [], [], 0

    def restart(self, observation):
        self.restarts.append(observation)
        self.now += 1_000_000

    def tick(self, observation, action):
        self.inputs.append((observation, action))
        self.now += len(self.inputs)

    def clock(self):
        return self.now


def test_only_ticks_after_the_warm_up_are_timed():
    spy = Spy()
    samples = time_ticks(spy, SHAPE, Measurement(samples=5, warmup=3), spy.clock)
    assert samples == (4, 5, 6, 7, 8)
    assert len(spy.restarts) == 1
    assert {(o.shape, a.shape) for o, a in spy.inputs} == {((5,), (2,))}
    assert {values.dtype.name for pair in spy.inputs for values in pair} == {"float32"}
    assert len({o.tobytes() for o, _ in spy.inputs[3:]}) == 5


def test_a_sample_is_at_least_one_nanosecond():
    spy = Spy()
    assert time_ticks(spy, SHAPE, Measurement(samples=2, warmup=1), lambda: 7) == (1, 1)


def test_figures_by_hand():
    group = ProfileGroup("a", "b", "sequential", 1, 1, 1, 1, tuple(range(1000, 101_000, 1000)))
    assert figures(group) == {
        "count": 100,
        "p50_ns": 50_000,
        "p95_ns": 95_000,
        "p99_ns": 99_000,
        "max_ns": 100_000,
        "jitter_ns": 45_000,
        "per_s": pytest.approx(1e9 / 50_500),
    }


@pytest.mark.parametrize("name", GRAPHS)
def test_random_parameters_have_the_layout_and_the_bounds_of_a_learner(name):
    graph = GRAPHS[name]
    found = random_parameters(graph, 0)
    learnt = initial_parameters(graph, [torch.Generator().manual_seed(0)])
    assert list(found) == list(learnt)
    for layer in graph.layers:
        weight, bias = found[layer.name]["weight"], found[layer.name]["bias"]
        assert weight.shape == tuple(learnt[layer.name]["weight"].shape[1:])
        assert bias.shape == tuple(learnt[layer.name]["bias"].shape[2:])
        assert weight.dtype == bias.dtype == np.float32
        bound = 1 / np.sqrt(layer.width if layer.op == "lstm" else graph.input_width(layer))
        assert 0.7 * bound < np.abs(weight).max() <= bound * (1 + 1e-6)
    again, other = random_parameters(graph, 0), random_parameters(graph, 1)
    assert all(np.array_equal(found[n]["weight"], again[n]["weight"]) for n in found)
    assert not any(np.array_equal(found[n]["weight"], other[n]["weight"]) for n in found)


@pytest.mark.parametrize("backend", ["eager", "numpy"])
def test_measure(backend, monkeypatch):
    monkeypatch.setattr(measuring, "FEWEST_SAMPLES", 20)
    architecture = use("architectures", "mlp", NARROW | {"skips": "from-obs"})
    how = Measurement(samples=20, warmup=1, threads=THREADS)
    groups = measure(architecture, use("backends", backend), SHAPE, how)
    assert [group.execution for group in groups] == list(EXECUTIONS)
    for group in groups:
        assert (group.backend, group.layers, group.width, group.batch) == (backend, 2, 4, 1)
        assert group.architecture == "mlp(skips=from-obs) 5→4"
        assert group.threads == THREADS
        assert len(group.samples_ns) == 20


def test_a_network_without_hidden_layers_is_as_wide_as_its_head(monkeypatch):
    monkeypatch.setattr(measuring, "FEWEST_SAMPLES", 2)
    how = Measurement(samples=2, warmup=1, threads=THREADS)
    groups = measure(use("architectures", "mlp", {"layers": 1}), use("backends", "numpy"), SHAPE, how)
    assert {(group.layers, group.width) for group in groups} == {(1, SHAPE.output_size)}


def test_architecture_text_names_what_differs_from_the_defaults():
    given = {"layers": 5, "width": 7, "lstm": True, "skips": "none", "augmentation": "observation"}
    assert architecture_text(use("architectures", "mlp", given)) == "mlp(augmentation=observation, lstm=True)"
    assert architecture_text(use("architectures", "mlp")) == "mlp"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 2}, "batch 1 for now"),
        ({"samples": 1999}, "samples must be at least 2000, got 1999"),
        ({"warmup": 0}, "warmup must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_what_gives_no_honest_profile(change, message):
    how = dataclasses.replace(Measurement(), **change)
    with pytest.raises(SuiteError, match=message):
        measure(use("architectures", "mlp", NARROW), use("backends", "numpy"), SHAPE, how)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layers": 1, "skips": "from-obs"}, "skips needs at least two layers"),
        ({"layers": 1, "lstm": True}, "lstm needs at least two layers"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"width": 0}, "width must be at least 1"),
        ({"augmentation": "observation", "actions": -1}, "actions must be at least 1"),
    ],
)
def test_an_architecture_that_refuses(params, message):
    with pytest.raises(SuiteError, match=message):
        measure(use("architectures", "mlp", params), use("backends", "numpy"), SHAPE)


def test_torch_gets_its_threads_back():
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS + 2)
    try:
        with pinned_threads(THREADS):
            assert torch.get_num_threads() == THREADS
        assert torch.get_num_threads() == THREADS + 2
    finally:
        torch.set_num_threads(before)


def test_threads_that_numpy_cannot_have_any_more():
    with pytest.raises(SuiteError, match="NumPy was imported") as caught, pinned_threads(THREADS + 1):
        pass
    assert f"OMP_NUM_THREADS={THREADS + 1}" in caught.value.hint


def test_threads_are_set_before_numpy_is_imported(monkeypatch):
    for name in measuring._NUMPY_VARIABLES:
        monkeypatch.setenv(name, "1")
    monkeypatch.delitem(sys.modules, "numpy")
    with pinned_threads(3):
        assert [os.environ[name] for name in measuring._NUMPY_VARIABLES] == ["3"] * 4
        assert numpy_threads() == 3


def test_numpy_threads_reads_the_environment_as_numpy_does(monkeypatch):
    for name in measuring._NUMPY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert numpy_threads() == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert numpy_threads() == 4
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert numpy_threads() == 2
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "many")
    assert numpy_threads() == 4


def test_a_measured_profile_is_the_latency_of_an_interaction(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "FEWEST_SAMPLES", 50)
    how = Measurement(samples=50, warmup=1, threads=THREADS)
    groups = measure(use("architectures", "mlp", NARROW), use("backends", "numpy"), SHAPE, how)
    path = tmp_path / "profile.parquet"
    write_profile(LatencyProfile(groups), path)
    latency = parse_latency({"profile": str(path)})
    by_execution = {group.execution: group for group in groups}
    for execution in EXECUTIONS:
        inter = interaction(execution, 0.0, latency=latency)
        # a step of 1 ns, so that no floor hides a draw
        model = timing(inter, 2, 1e-9).model(0, "test")
        assert set(model.draw_block(0, 500)) <= set(by_execution[execution].samples_ns)
        mean_s = float(np.mean(by_execution[execution].samples_ns)) / 1e9
        timeline = timeline_of(inter, 2, mean_s, 200, 0, "test")
        kept = timeline.summary(holds=True) if execution == "sequential" else timeline.summary(1, 2, holds=True)
        assert kept.newest_age is not None
        assert kept.newest_age.max_steps >= 1


def test_each_execution_acts_with_its_own_lags(monkeypatch):
    seen = []
    monkeypatch.setattr(measuring, "time_ticks", lambda acting, *_: seen.append(acting._lags) or (1,))
    architecture = use("architectures", "mlp", {"layers": 3, "width": 6})
    measure(architecture, use("backends", "numpy"), SHAPE, Measurement(threads=THREADS))
    graph = GRAPHS["3-none-relu-none"]
    assert seen == [graph.lags("sequential", 1.0), graph.lags("pipelined", 1.0)]
    assert seen[0] != seen[1]
