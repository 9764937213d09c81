"""The learner that measures: what its rows say, by hand; what it refuses; whom it races. No test asserts a time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtbench.backends import measure as measuring
from rtbench.backends.measure import Contender
from rtbench.cell import Budget, Cell, Interaction, Latency, RunBatch
from rtbench.errors import SuiteError
from rtbench.interaction.profile import ProfileGroup
from rtbench.learners import stopwatch_program
from rtbench.learners.stopwatch_program import contenders, extras
from rtbench.plugins import build, part_class, use

NUMPY, EAGER = use("backends", "numpy"), use("backends", "eager")


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """When the machine was held and let go, without waiting for others that hold it."""
    told: list[str] = []

    @contextlib.contextmanager
    def alone() -> Any:
        told.append("in")
        yield
        told.append("out")

    monkeypatch.setattr(stopwatch_program, "alone", alone)
    return told


def cell(steps: int = 2000, *, learner: dict[str, Any] | None = None, **interaction: Any) -> Cell:
    met = Interaction(use("schedulers", "one-process"), "pipelined", 0.0, use("default_policies", "repeat-last"))
    return Cell(
        use("environments", "clock"),
        use("architectures", "mlp", {"layers": 2, "width": 4}),
        dataclasses.replace(met, **({"clock": "wall"} | interaction)),
        use("learners", "stopwatch", learner or {}),
        NUMPY,
        Budget(steps, "ticks", steps, 1, 1),
    )


def refused(of: Cell) -> str:
    return part_class("learners", "stopwatch").supports(of) or ""


def group(backend: str, execution: str, p50_ns: int, **given: Any) -> ProfileGroup:
    return ProfileGroup("a", backend, execution, 2, 4, 1, 1, (p50_ns,) * 5, **given)


def test_speed_ups_and_limits_by_hand() -> None:
    """Own 200 µs; eager 900 on one thread and 1000 on two, native 300: 4.5 times the one, 1.5 times the other."""
    own = Contender(NUMPY, "pipelined", 2)
    native = use("backends", "native")
    timed = [
        (own, group("numpy", "pipelined", 200_000, weights_bytes=10**6, bandwidth_bytes_per_s=1e10, rounds=1)),
        (Contender(EAGER, "sequential", 1), group("eager", "sequential", 900_000)),
        (Contender(EAGER, "sequential", 2), group("eager", "sequential", 1_000_000)),
        (Contender(native, "sequential", 1), group("native", "sequential", 300_000)),
    ]
    told = extras(own, timed)
    assert told["rtbench/speedup_eager"] == pytest.approx(4.5)
    assert told["rtbench/speedup_best"] == pytest.approx(1.5)
    assert told["rtbench/sequential_eager_s"] == pytest.approx(900e-6)
    assert told["rtbench/sequential_native_s"] == pytest.approx(300e-6)
    assert told["rtbench/limit_s"] == told["rtbench/limit_memory_s"] == pytest.approx(100e-6)
    assert told["rtbench/limit_share"] == pytest.approx(0.5)
    assert told["rtbench/per_s"] == pytest.approx(5000)
    assert (told["rtbench/jitter_s"], told["rtbench/drift"]) == (0.0, 0.0)
    assert "rtbench/limit_arithmetic_s" not in told
    assert "rtbench/clock_before_mhz" not in told


def test_a_sequential_cell_may_be_the_best_itself() -> None:
    own = Contender(NUMPY, "sequential", 1)
    timed = [
        (own, group("numpy", "sequential", 100)),
        (Contender(EAGER, "sequential", 1), group("eager", "sequential", 400)),
    ]
    told = extras(own, timed)
    assert (told["rtbench/speedup_eager"], told["rtbench/speedup_best"]) == (4.0, 1.0)


def test_the_best_is_of_the_same_number_format() -> None:
    """bf16 reads half the bytes: 100 µs against its own 180 in a row, not against 300 in single precision."""
    half = use("backends", "native", {"dtype": "bf16"})
    own = Contender(half, "pipelined", 1)
    timed = [
        (own, group("native(dtype=bf16)", "pipelined", 100_000)),
        (Contender(half, "sequential", 1), group("native(dtype=bf16)", "sequential", 180_000)),
        (Contender(EAGER, "sequential", 1), group("eager", "sequential", 900_000)),
        (Contender(use("backends", "native"), "sequential", 1), group("native", "sequential", 150_000)),
    ]
    told = extras(own, timed)
    assert told["rtbench/speedup_best"] == pytest.approx(1.8)
    assert told["rtbench/speedup_eager"] == pytest.approx(9.0)
    assert told["rtbench/sequential_native_bf16_s"] == pytest.approx(180e-6)
    assert told["rtbench/sequential_native_s"] == pytest.approx(150e-6)
    plain = Contender(use("backends", "native"), "pipelined", 1)
    other = extras(plain, [(plain, group("native", "pipelined", 100_000)), *timed[1:]])
    assert other["rtbench/speedup_best"] == pytest.approx(1.5)


def test_its_own_sequential_execution_is_always_timed() -> None:
    """In the cell's number format; a backend of one thread is not timed on two."""
    half = use("backends", "native", {"dtype": "bf16"})
    found = contenders(Contender(half, "pipelined", 1), ())
    assert [(one.backend, one.execution, one.threads) for one in found] == [
        (half, "pipelined", 1),
        (half, "sequential", 1),
    ]
    two = contenders(Contender(EAGER, "pipelined", 2), ("native",))
    assert [(one.backend.name, one.execution, one.threads) for one in two] == [
        ("eager", "pipelined", 2),
        ("eager", "sequential", 1),
        ("eager", "sequential", 2),
        ("native", "sequential", 1),
    ]


def test_against_whom() -> None:
    """On one thread and on as many as its own, each once; a backend that takes threads is told how many."""
    own = Contender(use("backends", "threads", {"threads": 2}), "sequential", 2)
    found = contenders(own, ("eager", "threads"))
    assert [(one.backend.name, one.execution, one.threads) for one in found] == [
        ("threads", "sequential", 2),
        ("threads", "sequential", 1),
        ("eager", "sequential", 1),
        ("eager", "sequential", 2),
    ]
    assert found[1].backend.params["threads"] == 1
    with pytest.raises(SuiteError, match="unknown backend 'eagre'"):
        contenders(own, ("eagre",))


def test_a_run_has_a_row(monkeypatch: pytest.MonkeyPatch, held: list[str]) -> None:
    """Every run alone on the machine; samples are counted as they come; the network is as large as asked."""
    monkeypatch.setattr(measuring, "FEWEST_SAMPLES", 20)
    of = cell(20, learner={"observation_size": 6, "output_size": 5, "warmup": 2, "rounds": 4})
    program = build(of.learner).make(RunBatch(of, (0, 1)))
    counted = []
    while not program.done:
        program.advance()
        counted.append(program.done_units)
    assert counted == [0, 2, 5, 7, 10, 10, 12, 15, 17, 20]
    assert held == ["in", "out"] * 2
    first, second = program.outcomes()
    assert first.columns["parameters"] == 7 * 4 + 5 * 5
    assert first.columns["ticks"] == 20
    assert (first.columns["eval_return_final"], first.columns["updates"], first.columns["env_steps"]) == (0.0, 0, 0)
    times = [first.columns[f"inference_time_{name}_s"] for name in ("p50", "p95", "p99", "max")]
    assert times == sorted(times)
    assert times[0] > 0
    assert first.extras["rtbench/weights_bytes"] == 4 * (7 * 4 + 5 * 5)
    assert first.extras["rtbench/speedup_eager"] == pytest.approx(first.extras["rtbench/sequential_eager_s"] / times[0])
    assert second.columns["parameters"] == first.columns["parameters"]


def test_what_was_interrupted_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "FEWEST_SAMPLES", 20)
    of = cell(20, learner={"warmup": 2, "rounds": 2, "against": []})
    program = build(of.learner).make(RunBatch(of, (0, 1)))
    for _ in range(4):  # one run and the beginning of another
        program.advance()
    again = build(of.learner).make(RunBatch(of, (0, 1)))
    again.restore(program.state(), [])
    assert again.done_units == 10
    assert again.outcomes() == program.outcomes()
    while not again.done:
        again.advance()
    assert again.outcomes()[0] == program.outcomes()[0]


def test_a_backend_that_refuses_the_graph_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever else could be timed: the cell's own could not."""
    of = cell(2000)
    of = dataclasses.replace(of, backend=use("backends", "block", {"limit_gib": 1e-9}))
    program = build(of.learner).make(RunBatch(of, (0,)))
    with pytest.raises(SuiteError, match="above limit_gib"):
        program.advance()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clock": "virtual", "latency": Latency("constant", mean_s=0.1)}, "clock = 'wall'"),
        ({"latency": Latency("constant", mean_s=0.1)}, "no latency"),
        ({"processes": 2}, "one process"),
        ({"epsilon": 0.5}, "no epsilon"),
    ],
)
def test_interactions_that_are_no_measurement(change: dict[str, Any], words: str) -> None:
    assert words in refused(cell(**change))


@pytest.mark.parametrize(
    ("steps", "learner", "words"),
    [
        (1999, {}, "at least 2000 ticks"),
        (2000, {"rounds": 7}, "divides into its rounds"),
        (2000, {"threads": 0}, "are at least 1"),
        (2000, {"batch": 0}, "at least 1"),
        (2000, {"threads": 1025}, "up to 1024"),
    ],
)
def test_budgets_and_parameters_that_say_nothing(steps: int, learner: dict[str, Any], words: str) -> None:
    assert words in refused(cell(steps, learner=learner))
    assert refused(cell()) == ""


def test_a_backends_own_threads_are_the_cells() -> None:
    of = dataclasses.replace(cell(), backend=use("backends", "threads", {"threads": 2}))
    assert "backend threads uses 2" in refused(of)
    assert refused(dataclasses.replace(of, learner=use("learners", "stopwatch", {"threads": 2}))) == ""


def test_more_threads_are_refused_of_a_backend_that_has_one() -> None:
    two = cell(learner={"threads": 2})
    for name in ("native", "sparse"):
        assert f"backend {name} computes on one thread" in refused(
            dataclasses.replace(two, backend=use("backends", name))
        )
    for name in ("eager", "numpy"):
        assert refused(dataclasses.replace(two, backend=use("backends", name))) == ""


SUITE = """
schema_version = 1

[suite]
name = "measured"
title = "One measurement"

[budget]
steps = 2000
unit = "ticks"
eval_every = 2000

[seeds]
count = 1

[axes]
environment = "clock"
architecture = { use = "mlp", layers = 2, width = 4 }
interaction = { execution = "sequential", clock = "wall" }
backend = "numpy"
learner = { use = "stopwatch", rounds = 2, against = ["eager"] }

[leaderboard]
metric = "rtbench/speedup_eager"
group_by = ["architecture.layers", "backend"]
"""


def test_a_measurement_is_run_as_any_other(tmp_path: Path) -> None:
    """In processes of its own, with a temporary folder of its own: nobody else holds the machine there."""
    (tmp_path / "measured.toml").write_text(SUITE)
    command = [sys.executable, "-m", "rtbench.cli.main", "run", "measured.toml", "--state", "state", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (row,) = (json.loads(path.read_text()) for path in (tmp_path / "state" / "rows").iterdir())
    assert (row["status"], row["clock"], row["ticks"]) == ("ok", "wall", 2000)
    told = row["extras"]["rtbench/sequential_eager_s"] / row["inference_time_p50_s"]
    assert row["extras"]["rtbench/speedup_eager"] == pytest.approx(told)
    assert row["machine_class"]
