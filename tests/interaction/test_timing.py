"""Durations of an interaction, contradictions, and whole timelines from a cell's values."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from rtbench.cell import Interaction, Latency
from rtbench.errors import SuiteError
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timing import clock_of, contradiction, timeline_of, timing
from rtbench.plugins import use

BASE = Interaction(use("schedulers", "one-process"), "sequential", 1.0, use("default_policies", "repeat-last"))
LATENCY = Latency("constant", mean_s=0.07)


def interaction(**values):
    return dataclasses.replace(BASE, **values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"execution": "instant", "delta": 1.0}, "delta"),
        ({"execution": "instant", "delta": 0.0, "latency": LATENCY}, "latency"),
        ({"execution": "instant", "delta": 0.0, "processes": 2}, "processes"),
        ({"execution": "instant", "delta": 0.0, "sensor_latency_s": 0.1}, "sensor_latency_s"),
        ({"delta": 1.0, "latency": LATENCY}, "both"),
        ({"delta": 0.0}, "neither"),
        ({"execution": "pipelined", "delta": 0.0}, "neither"),
        ({"execution": "pipelined", "latency": LATENCY}, "both"),
        ({"delta": -1.0}, "delta"),
        ({"delta": float("nan")}, "delta"),
        ({"delta": float("inf")}, "delta"),
        ({"processes": 0}, "processes"),
        ({"actuator_latency_s": -0.1}, "actuator_latency_s"),
        ({"clock": "wall"}, "not available yet"),
        ({"execution": "sideways"}, "execution"),
    ],
)
def test_contradictions_name_the_keys(values, words):
    reason = contradiction(interaction(**values))
    assert reason is not None
    assert words in reason
    with pytest.raises(SuiteError, match="interaction"):
        timing(interaction(**values), 3, 0.05)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"execution": "pipelined", "delta": 0.4},
        {"execution": "instant", "delta": 0.0},
        {"delta": 0.0, "latency": LATENCY},
        {"sensor_latency_s": 0.01},
    ],
)
def test_what_holds_together_is_accepted(values):
    assert contradiction(interaction(**values)) is None


@pytest.mark.parametrize(
    ("execution", "delta", "layers", "step_s", "source_ns", "step_ns"),
    [
        ("sequential", 1.5, 2, 0.05, 150_000_000, 50_000_000),
        ("sequential", 0.4, 3, 0.05, 60_000_000, 50_000_000),
        ("pipelined", 1.5, 2, 0.05, 75_000_000, 50_000_000),
        ("pipelined", 0.4, 3, 0.05, 50_000_000, 50_000_000),
        ("pipelined", 4.0, 3, 0.008, 32_000_000, 8_000_000),
        # 16 742 706 ns are no multiple of 5: the step gives way by a nanosecond, δ stays exact
        ("pipelined", 1.4, 3, 1 / 59.7275, 23_439_787, 16_742_705),
        ("sequential", 1 / 3, 3, 0.05, 50_000_000, 50_000_000),
    ],
)
def test_durations_are_exact(execution, delta, layers, step_s, source_ns, step_ns):
    found = timing(interaction(execution=execution, delta=delta), layers, step_s)
    assert (found.source, found.step_ns) == (source_ns, step_ns)
    assert found.model(0).draw_block(0, 2).tolist() == [source_ns] * 2


def test_a_latency_is_the_inference_or_the_tick_and_a_tick_lasts_a_step_at_least():
    given = Latency("constant", mean_s=0.03)
    assert timing(interaction(delta=0.0, latency=given), 9, 0.05).model(0).draw_block(0, 1).tolist() == [30_000_000]
    pipelined = interaction(execution="pipelined", delta=0.0, latency=given)
    assert timing(pipelined, 9, 0.05).model(0).draw_block(0, 1).tolist() == [50_000_000]
    assert timing(pipelined, 9, 0.02).model(0).draw_block(0, 1).tolist() == [30_000_000]


def test_instant_needs_no_clock():
    instant = interaction(execution="instant", delta=0.0)
    assert timing(instant, 3, 0.05).model(0) is None
    assert timeline_of(instant, 3, 0.05, 4, 0).ages(holds=True)[0].tolist() == [0] * 4
    with pytest.raises(SuiteError, match="no clock"):
        clock_of(instant, 3, 0.05, 0)


@pytest.mark.parametrize(("layers", "step_s"), [(0, 0.05), (3, 0.0), (3, -1.0)])
def test_nothing_takes_no_time(layers, step_s):
    with pytest.raises(SuiteError, match="at least"):
        timing(BASE, layers, step_s)


@pytest.mark.parametrize(("delta", "every"), [(1.5, 3), (1.1, 3), (0.4, 1), (2.7, 6), (0.7, 2)])
def test_two_layers_sequential_act_every_so_many_steps_for_ever(delta, every):
    line = timeline_of(interaction(delta=delta), 2, 1 / 59.7275, 4000, 0)
    applied = [step for step, source in enumerate(line.source.tolist()) if source >= 0]
    assert applied == list(range(every, 4000, every))


@pytest.mark.parametrize("delta", [1.5, 1.4, 2.7])
def test_ticks_never_drift_against_the_steps(delta):
    line = timeline_of(interaction(execution="pipelined", delta=delta), 3, 1 / 59.7275, 5000, 0)
    exact = Fraction(str(delta))
    ticks = range(len(line.process))
    assert line.read_step.tolist() == [tick * exact // 1 for tick in ticks]
    expected = [-(-(tick + 1) * exact // 1) for tick in ticks]
    assert line.apply_step.tolist() == [min(step, 5000) for step in expected]


def test_staggered_processes_with_latencies_of_sensor_and_actuator():
    staggered = interaction(
        scheduler=use("schedulers", "staggered-max"),
        delta=0.0,
        latency=Latency("constant", mean_s=0.08),
        processes=4,
        sensor_latency_s=0.02,
        actuator_latency_s=0.02,
    )
    summary = timeline_of(staggered, 3, 0.02, 2000, 0).summary(holds=True, skip_steps=100)
    assert summary.inaction_share == 0
    assert summary.newest_age.max_steps == 6


def test_random_streams_are_named_by_the_path():
    noisy = interaction(delta=0.0, latency=Latency("lognormal", mean_s=0.07, cv=0.2))

    def finished(*path):
        return timeline_of(noisy, 1, 0.02, 50, 7, *path).finished_ns.tolist()

    assert finished("episode", 1) == finished("episode", 1)
    assert finished("episode", 1) != finished("episode", 2)


def test_a_drawn_delta_takes_whole_steps_at_least_one():
    """δ = 2, cv 0.5, steps of 10 ms: a lognormal of mean 20 ms and spread 10 ms, rounded to tens, none below 10 ms."""
    met = interaction(execution="pipelined", delta=2.0, delta_cv=0.5)
    times = timing(met, 3, 0.01)
    model = times.model(0)
    assert model is not None
    assert model.mean_ns() == pytest.approx(20e6)
    drawn = model.draw_block(0, 20_000)
    raw = LatencyModel(times.source, 0).draw_block(0, 20_000)
    assert np.array_equal(drawn, np.maximum(np.floor(raw / 1e7 + 0.5), 1) * 1e7)
    assert raw.std() / raw.mean() == pytest.approx(0.5, rel=0.05)


def test_a_little_spread_changes_little():
    """The age of what is read when cv tends to 0 tends to δ's own: no action waits for the grid of steps."""
    ages = []
    for cv in (0.0, 0.01):
        timeline = timeline_of(interaction(execution="pipelined", delta=2.0, delta_cv=cv), 1, 0.01, 400, 0)
        ages.append(timeline.source.tolist())
    assert ages[0] == ages[1]


def test_a_drawn_delta_of_layers_in_sequence_is_their_sum():
    met = interaction(execution="sequential", delta=2.0, delta_cv=0.5)
    model = timing(met, 3, 0.01).model(0)
    assert model is not None
    assert model.mean_ns() == pytest.approx(60e6)


def test_spread_needs_a_delta_and_stays_out_of_identity_at_zero():
    met = interaction(execution="pipelined", delta=2.0)
    assert "delta_cv" not in met.data()
    assert dataclasses.replace(met, delta_cv=0.5).data()["delta_cv"] == 0.5
    assert "there is no delta" in (contradiction(interaction(execution="instant", delta=0.0, delta_cv=0.5)) or "")
