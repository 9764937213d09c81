"""Timing by a clock of the test's own: what is timed and what is not, whose turn it is, what a group says."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from graphs import SHAPE, variants
from helpers.cells import interaction

from rtbench.backends import measure as measuring
from rtbench.backends import native_library
from rtbench.backends import stopwatch as watching
from rtbench.backends.cores import available
from rtbench.backends.machine import Conditions
from rtbench.backends.measure import EXECUTIONS, Contender, Measurement
from rtbench.backends.stopwatch import Stopwatch, measure
from rtbench.errors import SuiteError
from rtbench.interaction.latency import parse_latency
from rtbench.interaction.profile import LatencyProfile, write_profile
from rtbench.interaction.timing import timeline_of, timing
from rtbench.plugins import use

NARROW = {"layers": 2, "width": 4}
FEW = Measurement(samples=20, warmup=10, rounds=5)
ONE = [Contender(use("backends", "numpy"), "sequential")]


@pytest.fixture(autouse=True)
def few_samples_and_quick_limits(monkeypatch):
    monkeypatch.setattr(measuring, "FEWEST_SAMPLES", 2)
    monkeypatch.setattr(watching, "Bandwidth", lambda size, threads: FakeLimit(bytes_per_s=size * 1e6 / threads))
    monkeypatch.setattr(watching, "Peak", lambda numbers: FakeLimit(flop_per_s=1e3))


class FakeLimit(SimpleNamespace):
    trials = 0

    def trial(self):
        self.trials += 1


class World:
    """A backend that notes its calls in one list; a tick of the n-th acting takes n, a restart a million.

    With a `reason` it refuses the pipelined execution.
    """

    def __init__(self, monkeypatch, reason=None):
        self.now, self.calls, self.made, self.reason = 0, [], [], reason
        real = watching.build
        monkeypatch.setattr(watching, "build", lambda part: self if part.kind == "backends" else real(part))

    def refuses(self, spec):
        return self.reason if spec.execution == "pipelined" else None

    def make(self, spec, parameters):
        self.made.append((spec.execution, spec.delta, spec.batch, spec.fixed))
        number, world = len(self.made), self

        class Acting:
            def restart(self, observation):
                world.calls.append((number, "restart", observation.shape))
                world.now += 1_000_000

            def tick(self, observation, action):
                world.calls.append((number, observation.tobytes(), (observation.shape, action.shape)))
                world.now += number

        return Acting()

    def clock(self):
        return self.now


def run(watch):
    while not watch.done:
        watch.advance()
    return watch.groups()


def test_every_round_everyone_has_a_turn_and_only_samples_are_kept(monkeypatch):
    world = World(monkeypatch)
    both = [Contender(use("backends", "numpy"), execution) for execution in EXECUTIONS]
    watch = Stopwatch(use("architectures", "mlp", NARROW), both, SHAPE, FEW, world.clock)
    assert world.made == [("sequential", 1.0, 1, True), ("pipelined", 1.0, 1, True)]
    assert [number for number, *_ in world.calls] == [1] * 11 + [2] * 11  # a restart and ten ticks to warm up
    world.calls.clear()
    watch.advance()
    assert [number for number, *_ in world.calls] == [1] * 6 + [2] * 6  # two to warm up again, four that count
    assert (watch.samples, watch.done) == (4, False)
    groups = run(watch)
    assert [contender for contender, _ in groups] == both
    assert [group.samples_ns for _, group in groups] == [(1,) * 20, (2,) * 20]
    fed = [told for number, told, _ in world.calls if number == 1]
    assert len(set(fed)) == 30, "observations are fed in turn"


def test_a_sample_is_at_least_one_nanosecond(monkeypatch):
    World(monkeypatch)
    watch = Stopwatch(use("architectures", "mlp", NARROW), ONE, SHAPE, FEW, lambda: 7)
    assert run(watch)[0][1].samples_ns == (1,) * 20


def test_a_batch_is_fed_as_rows(monkeypatch):
    world = World(monkeypatch)
    how = dataclasses.replace(FEW, batch=3)
    ((_, group),) = run(Stopwatch(use("architectures", "mlp", NARROW), ONE, SHAPE, how, world.clock))
    assert {shapes for _, _, shapes in world.calls[1:]} == {((3, 5), (3, 2))}
    assert (group.batch, group.flops) == (3, 3 * 2 * (5 * 4 + 4 * 4))
    assert group.weights_bytes == 4 * (6 * 4 + 5 * 4), "weights are read once for all of them"


def test_a_group_says_under_which_conditions(monkeypatch):
    world = World(monkeypatch)
    told = iter([Conditions(3000.0, 50.0, "performance", 0.1), Conditions(2900.0, 61.5, "performance", 0.9)])
    monkeypatch.setattr(watching, "conditions", lambda cores: next(told))
    ((_, group),) = run(Stopwatch(use("architectures", "mlp", NARROW), ONE, SHAPE, FEW, world.clock))
    assert (group.clock_before_mhz, group.clock_after_mhz, group.governor) == (3000.0, 2900.0, "performance")
    assert (group.temperature_before_c, group.temperature_after_c) == (50.0, 61.5)
    assert (group.load_before, group.load_after, group.rounds) == (0.1, 0.9, 5)
    assert group.cores == str(available()[-1])
    assert group.peak_flop_per_s == 1e3
    assert group.bandwidth_bytes_per_s == pytest.approx(group.weights_bytes * 1e6)
    assert group.bounds_ns["memory"] == pytest.approx(1e3)


def test_half_precision_reads_half_the_bytes(monkeypatch):
    world = World(monkeypatch)
    pair = [Contender(use("backends", "native", {"dtype": name}), "sequential") for name in ("fp32", "bf16")]
    groups = run(Stopwatch(use("architectures", "mlp", NARROW), pair, SHAPE, FEW, world.clock))
    assert [group.backend for _, group in groups] == ["native", "native(dtype=bf16)"]
    assert groups[0][1].weights_bytes == 2 * groups[1][1].weights_bytes


def test_who_refuses_is_left_out_and_said(monkeypatch):
    world = World(monkeypatch, "not at once")
    both = [Contender(use("backends", "numpy"), execution) for execution in EXECUTIONS]
    watch = Stopwatch(use("architectures", "mlp", NARROW), both, SHAPE, FEW, world.clock)
    assert watch.refused == [(both[1], "not at once")]
    assert [contender for contender, _ in run(watch)] == both[:1]
    with pytest.raises(SuiteError, match="not at once") as caught:
        Stopwatch(use("architectures", "mlp", NARROW), both[1:], SHAPE, FEW, world.clock)
    assert "numpy, pipelined, 1 thread" in (caught.value.place or "")


def test_a_compiler_that_fails_refuses_one_and_the_rest_is_measured(monkeypatch, tmp_path):
    """`CC` is found, and compiles nothing."""
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("RTBENCH_CACHE", str(tmp_path))
    native_library.library.cache_clear()
    try:
        both = [Contender(use("backends", name), "sequential") for name in ("native", "numpy")]
        watch = Stopwatch(use("architectures", "mlp", NARROW), both, SHAPE, FEW)
    finally:
        native_library.library.cache_clear()
    ((contender, reason),) = watch.refused
    assert contender == both[0]
    assert "false fails" in reason
    assert [one for one, _ in run(watch)] == both[1:]


def test_a_backend_of_one_thread_is_not_measured_on_two(monkeypatch):
    world = World(monkeypatch)
    pair = [Contender(use("backends", "native"), "sequential", threads) for threads in (1, 2)]
    watch = Stopwatch(use("architectures", "mlp", NARROW), pair, SHAPE, FEW, world.clock)
    assert [contender for contender, _ in run(watch)] == pair[:1]
    ((contender, reason),) = watch.refused
    assert contender == pair[1]
    assert "backend native computes on one thread" in reason


def test_threads_below_one():
    with pytest.raises(SuiteError, match="threads must be at least 1, got 0"):
        measure(use("architectures", "mlp", NARROW), use("backends", "numpy"), SHAPE, FEW, threads=0)


@pytest.mark.parametrize("backend", ["eager", "numpy"])
def test_measure(backend):
    architecture = use("architectures", "mlp", NARROW | {"skips": "from-obs"})
    groups = measure(architecture, use("backends", backend), SHAPE, FEW)
    assert [group.execution for group in groups] == list(EXECUTIONS)
    for group in groups:
        assert (group.backend, group.layers, group.width, group.batch, group.threads) == (backend, 2, 4, 1, 1)
        assert group.architecture == "mlp(skips=from-obs) 5→4"
        assert len(group.samples_ns) == 20


def test_a_network_without_hidden_layers_is_as_wide_as_its_head():
    groups = measure(use("architectures", "mlp", {"layers": 1}), use("backends", "numpy"), SHAPE, FEW)
    assert {(group.layers, group.width) for group in groups} == {(1, SHAPE.output_size)}


def test_measure_tells_why_a_pair_does_not_go_together():
    with pytest.raises(SuiteError, match="skips needs at least two layers"):
        measure(use("architectures", "mlp", {"layers": 1, "skips": "all"}), use("backends", "numpy"), SHAPE, FEW)


def test_a_measured_profile_is_the_latency_of_an_interaction(tmp_path):
    groups = measure(use("architectures", "mlp", NARROW), use("backends", "numpy"), SHAPE, FEW)
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


def test_each_execution_acts_with_its_own_lags():
    both = [Contender(use("backends", "numpy"), execution) for execution in EXECUTIONS]
    watch = Stopwatch(use("architectures", "mlp", {"layers": 3, "width": 6}), both, SHAPE, FEW)
    graph = dict(variants())["3-none-relu-none"]
    seen = [turn._acting._lags for turn in watch._turns]
    assert seen == [graph.lags("sequential", 1.0), graph.lags("pipelined", 1.0)]
    assert seen[0] != seen[1]
