"""What is measured and told: random weights, names, figures by hand, what refuses. No test asserts a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from graphs import SHAPE, variants

from rtbench.backends import measure as measuring
from rtbench.backends.measure import (
    INPUTS,
    Contender,
    Measurement,
    architecture_text,
    backend_text,
    doubts,
    drift,
    dtype,
    figures,
    inputs,
    random_parameters,
    refusal,
    with_threads,
)
from rtbench.backends.torch_arithmetic import initial_parameters
from rtbench.errors import SuiteError
from rtbench.interaction.profile import ProfileGroup
from rtbench.plugins import use

GRAPHS = dict(variants())
GROUP = ProfileGroup("a", "b", "sequential", 1, 1, 1, 1, tuple(range(1000, 101_000, 1000)))


def test_figures_by_hand():
    assert figures(GROUP) == {
        "count": 100,
        "p50_ns": 50_000,
        "p95_ns": 95_000,
        "p99_ns": 99_000,
        "max_ns": 100_000,
        "jitter_ns": 45_000,
        "per_s": pytest.approx(1e9 / 50_500),
        "drift": None,
        "limit_ns": None,
        "limited_by": None,
        "limit_share": None,
    }


def test_the_limit_and_the_share_of_it_by_hand():
    """4 MB at 16 GB/s take 250 µs, 2 MFLOP at 100 GFLOP/s 20 µs: memory is the limit, half of what was measured."""
    group = dataclasses.replace(
        GROUP,
        samples_ns=(500_000,) * 3,
        weights_bytes=4_000_000,
        flops=2_000_000,
        bandwidth_bytes_per_s=16e9,
        peak_flop_per_s=1e11,
    )
    assert group.bounds_ns == {"memory": pytest.approx(250_000), "arithmetic": pytest.approx(20_000)}
    told = figures(group)
    assert (told["limited_by"], told["limit_share"]) == ("memory", pytest.approx(0.5))
    batch = figures(dataclasses.replace(group, flops=64 * 2_000_000))
    assert (batch["limited_by"], batch["limit_ns"]) == ("arithmetic", pytest.approx(1_280_000))


def test_drift_is_between_the_medians_of_rounds():
    """Rounds of 3: medians 20, 22, 30; the median of all nine is 23."""
    group = dataclasses.replace(GROUP, samples_ns=(10, 20, 90, 22, 21, 23, 30, 30, 31), rounds=3)
    assert drift(group) == pytest.approx(10 / 23)
    assert drift(dataclasses.replace(group, rounds=None)) is None


def test_doubts_by_hand():
    """Rounds with medians 20 and 24: 20 % of 20; one sample of 200 in ten lifts the mean to 1.9 times the median."""
    quiet = dataclasses.replace(GROUP, samples_ns=(20,) * 5 + (24,) * 5, rounds=2, load_before=1.9)
    assert doubts(quiet, 2) == []
    assert doubts(dataclasses.replace(quiet, load_before=None), 2) == []
    (busy,) = doubts(dataclasses.replace(quiet, load_before=2.0), 2)
    assert busy == "the load before was 2 on 2 cores"
    (drifting,) = doubts(dataclasses.replace(quiet, samples_ns=(20,) * 5 + (26,) * 5), 2)
    assert drifting.startswith("medians of rounds lie 30% apart")
    (stalled,) = doubts(dataclasses.replace(quiet, samples_ns=(20,) * 9 + (200,), rounds=2), 2)
    assert stalled.startswith("the mean is 1.9 × the median")


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


def test_inputs_have_a_row_per_observation_of_a_batch():
    one, many = inputs(SHAPE, Measurement()), inputs(SHAPE, Measurement(batch=3))
    assert [values.shape for values in one] == [(INPUTS, 5), (INPUTS, 2)]
    assert [values.shape for values in many] == [(INPUTS, 3, 5), (INPUTS, 3, 2)]
    assert {values.dtype.name for values in (*one, *many)} == {"float32"}
    assert len({row.tobytes() for row in one[0]}) == INPUTS


def test_architecture_text_names_what_differs_from_the_defaults():
    given = {"layers": 5, "width": 7, "lstm": True, "skips": "none", "augmentation": "observation"}
    assert architecture_text(use("architectures", "mlp", given)) == "mlp(augmentation=observation, lstm=True)"
    assert architecture_text(use("architectures", "mlp")) == "mlp"


def test_backend_text_names_all_but_threads():
    assert backend_text(use("backends", "threads", {"threads": 3})) == "threads"
    assert backend_text(use("backends", "native", {"dtype": "bf16"})) == "native(dtype=bf16)"
    assert [dtype(use("backends", "native", {"dtype": name})) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert dtype(use("backends", "eager")) == "fp32"


def test_a_backend_that_takes_threads_is_given_them():
    assert with_threads(use("backends", "threads"), 5).params["threads"] == 5
    assert with_threads(use("backends", "eager"), 5) == use("backends", "eager")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"samples": 1999}, "samples must be at least 2000, got 1999"),
        ({"warmup": 0}, "warmup must be at least 1"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"rounds": 7}, "2000 samples do not divide into 7 rounds"),
    ],
)
def test_what_gives_no_honest_profile(change, message):
    with pytest.raises(SuiteError, match=message):
        dataclasses.replace(Measurement(), **change).check()


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
    one = Contender(use("backends", "numpy"), "pipelined")
    assert message in (refusal(use("architectures", "mlp", params), one) or "")
    assert refusal(use("architectures", "mlp"), one) is None


def test_a_package_that_is_missing_is_a_reason(monkeypatch):
    monkeypatch.setattr(measuring, "missing_requirement", lambda part: "not there" if part.kind == "backends" else None)
    assert refusal(use("architectures", "mlp"), Contender(use("backends", "numpy"), "pipelined")) == "not there"
