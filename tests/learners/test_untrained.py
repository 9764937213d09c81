"""Untrained networks under both clocks, and counting on the wall clock as a loop counts on the virtual one."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtbench.cell import Budget, Cell, Interaction, Latency, RunBatch
from rtbench.cli.main import run_command_line
from rtbench.interaction.timing import timeline_of
from rtbench.learners.backs import Backs
from rtbench.learners.tally import Tally
from rtbench.learners.untrained_program import head_of, untrained
from rtbench.learners.wall import PRIORITY, Spoiled, WallEpisodes
from rtbench.learners.wall_tally import count
from rtbench.parts import PolicyShape
from rtbench.plugins import build, part_class, use
from rtbench.realtime.recording import Stretch

STEP_S = 0.004


def cell_of(
    *, steps: int = 60, environment: str = "delay-cycle", architecture: dict[str, Any] | None = None, **met: Any
) -> Cell:
    given: dict[str, Any] = {
        "scheduler": use("schedulers", met.pop("use", "staggered-max"), met.pop("params", {})),
        "execution": "sequential",
        "delta": 0.0,
        "default_policy": use("default_policies", met.pop("beta", "repeat-last")),
        "processes": 2,
        "latency": Latency("constant", mean_s=2.6 * STEP_S),
    }
    return Cell(
        environment=use(
            "environments",
            "analytic",
            {"id": environment, "states": 3, "stay": 0.9, "steps": steps, "step_s": STEP_S},
        ),
        architecture=use("architectures", "mlp", {"layers": 3, "width": 8} | (architecture or {})),
        interaction=Interaction(**(given | met)),
        learner=use("learners", "untrained"),
        backend=use("backends", "numpy"),
        budget=Budget(1, unit="env_steps", eval_every=1, eval_episodes=1, final_eval_episodes=2),
    )


def finish(program: Any) -> Any:
    while not program.done:
        program.advance()
    return program


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is spoilt by a busy machine."""
    monkeypatch.setattr("rtbench.realtime.recording.Recording.spoiled", None)


CASES: list[dict[str, Any]] = [
    {},
    {"processes": 4},
    {"beta": "zero"},
    {"use": "sequential", "processes": 1, "learning": Latency("constant", mean_s=STEP_S)},
    {"use": "chunked", "processes": 1, "params": {"actions": 2}},
    {"use": "async", "processes": 1, "latency": Latency("lognormal", mean_s=2 * STEP_S, cv=0.3)},
    {"execution": "pipelined", "use": "one-process", "processes": 1, "latency": None, "delta": 1.0},
    {"execution": "pipelined", "use": "staggered-slots", "latency": None, "delta": 2.0},
    {"execution": "pipelined", "use": "one-process", "processes": 1, "latency": None, "delta": 2.0,
     "architecture": {"skips": "from-obs"}},
    {"epsilon": 0.5},
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_tally_of_timelines_is_what_a_loop_counts(case: dict[str, Any]) -> None:
    """The same timelines, counted afterwards: every column and every episode's earnings are the loop's."""
    case = dict(case)
    cell = cell_of(**case)
    (loop,) = finish(untrained(RunBatch(cell, (3,)))).loops
    spec = loop.spec
    width, _ = head_of(spec, loop._chunk)
    graph = build(cell.architecture).make(PolicyShape(spec.observation_size, spec.action_size, width))
    tally, earned = Tally(), []
    backs = Backs.of(graph, cell.interaction, "zero")
    holds = build(cell.interaction.default_policy).holds
    drawn = case.get("epsilon") or (case.get("latency") and case["latency"].distribution != "constant")
    for episode in range(3):
        path = (episode,) if drawn else ()
        line = timeline_of(cell.interaction, len(graph.layers), STEP_S, 60, 3, "evaluate", *path)
        empty = np.zeros(len(line.process), np.int64)
        stretch = Stretch(line, np.ones(60), np.zeros(60, np.int64), (60,), empty, empty, empty, empty)
        earned += count(tally, stretch, backs, holds=holds)
    assert tally.columns() == loop.tally.columns()
    assert tally.state() == loop.tally.state()
    assert sum(earned) == tally.env_steps - tally.fresh


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "case",
    [
        {"on_reset": "continue"},
        {"on_reset": "restart", "latency": None},
        {"use": "chunked", "processes": 1, "params": {"actions": 3}},
        {"execution": "pipelined", "use": "staggered-slots", "latency": None, "delta": 2.0, "processes": 3},
        {"epsilon": 0.5, "on_reset": "continue"},
        {"use": "sequential", "processes": 1, "learning": Latency("constant", mean_s=STEP_S)},
    ],
)
def test_an_untrained_network_on_the_wall_clock(case: dict[str, Any]) -> None:
    cell = cell_of(**case, clock="wall")
    assert all(part_class(part.kind, part.name).supports(cell) is None for part in cell.parts.values())
    program = finish(untrained(RunBatch(cell, (0, 1))))
    assert isinstance(program, WallEpisodes)
    assert program.metrics() == [
        {"step": 0.0, **{f"eval_return/{i}": run.returns[0] for i, run in enumerate(program.runs)}}
    ]
    for outcome, run in zip(program.outcomes(), program.runs, strict=True):
        columns = outcome.columns
        assert columns["env_steps"] == 180
        assert columns["episodes"] == 3
        assert run.lengths == [60] * 3
        assert columns["eval_return_final"] == np.mean(run.returns[1:])
        assert columns["ticks"] > 0
        assert columns["inference_time_p50_s"] > 0
        assert columns["parameters"] > 0
        assert outcome.extras["rtbench/realtime_priority"] == 0
        assert {"rtbench/lateness_p50_us", "rtbench/lateness_p99_us", "rtbench/missed_share"} <= set(outcome.extras)
        total = outcome.extras["rtbench/return_agent"] + outcome.extras["rtbench/return_default"]
        assert total == pytest.approx(columns["eval_return_final"])
    again = untrained(RunBatch(cell, (0, 1)))
    again.restore(json.loads(json.dumps(program.state())), [])
    assert again.done
    assert again.outcomes() == program.outcomes()


def test_a_spoilt_run_is_an_error_with_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtbench.realtime.recording.Recording.spoiled", "33 % of the steps were late")
    program = untrained(RunBatch(cell_of(clock="wall", steps=3), (0,)))
    with pytest.raises(Spoiled, match="33 % of the steps were late"):
        finish(program)
    assert Path(f"/proc/self/task/{os.getpid()}/children").read_text() == ""


@pytest.mark.usefixtures("patient")
def test_a_run_that_is_stopped_leaves_no_process_and_begins_anew() -> None:
    cell = cell_of(clock="wall", steps=20_000)
    program = untrained(RunBatch(cell, (0,)))
    program.advance()
    saved = program.state()
    assert not program.done
    program.runs[0].stop()  # type: ignore[attr-defined]
    assert Path(f"/proc/self/task/{os.getpid()}/children").read_text() == ""
    again = untrained(RunBatch(dataclasses.replace(cell, budget=cell.budget), (0,)))
    again.restore(saved, [])
    assert not again.done


def test_a_priority_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRIORITY, "high")
    with pytest.raises(Exception, match="not a priority"):
        finish(untrained(RunBatch(cell_of(clock="wall", steps=3), (0,))))


@pytest.mark.parametrize(
    ("met", "words"),
    [
        ({"sensor_latency_s": 0.01}, "sensor_latency_s is for the virtual clock"),
        ({"latency": None, "delta": 1.0, "delta_cv": 0.5}, "delta_cv"),
    ],
)
def test_what_the_wall_clock_cannot_do(met: dict[str, Any], words: str) -> None:
    for clock in ("virtual", "wall"):
        reason = part_class("learners", "untrained").supports(cell_of(clock=clock, **met))
        assert (reason is None) == (clock == "virtual")
        assert clock == "virtual" or words in (reason or "")


def test_weights_are_those_of_the_seed() -> None:
    returns = [
        finish(untrained(RunBatch(cell_of(steps=200), seeds))).loops[-1].returns for seeds in ((1,), (0, 1), (2,))
    ]
    assert returns[0] == returns[1]
    assert returns[0] != returns[2] or returns[0] == [0.0] * 3


SUITE = """
schema_version = 1
[suite]
name = "short-wall"
title = "t"
[budget]
steps = 1
unit = "env_steps"
eval_every = 1
eval_episodes = 1
final_eval_episodes = 1
retries = 0
[seeds]
count = 1
[axes]
environment = { use = "clock", steps = 40, step_s = 0.01 }
architecture = { use = "mlp", layers = 2, width = 4 }
learner = "untrained"
[[axes.interaction]]
execution = "sequential"
clock = "wall"
on_reset = "continue"
latency = "25ms"
scheduler = "staggered-max"
each = { processes = [1, 2] }
"""


def test_from_a_suite_to_rows_and_to_parity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the machine is doing: a run is good, or it failed and says by how much."""
    (tmp_path / "s.toml").write_text(SUITE)
    suite, state = str(tmp_path / "s.toml"), str(tmp_path / "state")
    assert run_command_line(["run", suite, "--state", state, "--json"]) in (0, 1)
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert len(runs) == 2
    for run in runs:
        assert run["status"] == "ok" or "of the environment steps began more than" in run["reason"]
    code = run_command_line(["parity", suite, "--results", str(tmp_path / "results"), "--repetitions", "2", "--json"])
    data = json.loads(capsys.readouterr().out)
    assert code == (0 if data["agree"] else 1)
    assert {row["processes"] for row in data["rows"]} == {1, 2}
    for row in data["rows"]:
        assert row["why"] or row["quantity"] in ("interval", "age", "inaction")
    folder = tmp_path / "results" / "parity"
    assert (folder / "short-wall.parquet").is_file()
    assert "cells agree" in (folder / "short-wall.md").read_text()
