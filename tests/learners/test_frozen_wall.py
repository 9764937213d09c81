"""Frozen policies on the wall clock: every process loads its own."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cells import interaction, small_cell
from helpers.weights import normal_weights

from rtbench.cell import Budget, Cell, Latency, RunBatch
from rtbench.contents import name_content
from rtbench.graph import LayerGraph
from rtbench.learners.policy import Policy
from rtbench.learners.wall import WallEpisodes
from rtbench.parts import PartUse, PolicyShape
from rtbench.plugins import build, part_class, use

LEFT = 1


def leftwards(observation: np.ndarray) -> Any:
    """A policy of a module, as `python:` names it."""
    with Path(os.environ["RTBENCH_TEST_TOLD"]).open("a") as told:
        told.write(f"{os.getpid()}\n")
    return LEFT


def frozen_cell(policy: str, digest: str, **met: Any) -> Cell:
    given = {
        "scheduler": "staggered-max",
        "delta": 0.0,
        "execution": "sequential",
        "clock": "wall",
        "processes": 2,
        "on_reset": "continue",
        "latency": Latency("constant", mean_s=0.009),
    }
    learner = use("learners", "frozen", {"policy": digest})
    learner = PartUse(learner.kind, learner.name, learner.revision, learner.params, files={"policy": policy})
    return Cell(
        use("environments", "analytic", {"id": "delay-cycle", "states": 3, "steps": 40, "step_s": 0.004}),
        use("architectures", "whole"),
        interaction(**(given | met)),
        learner,
        use("backends", "numpy"),
        Budget(1, unit="env_steps", eval_every=1, eval_episodes=1, final_eval_episodes=1),
    )


def run(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> WallEpisodes:
    monkeypatch.setattr("rtbench.realtime.recording.Recording.spoiled", None)
    assert part_class("learners", "frozen").supports(cell) is None
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    assert isinstance(program, WallEpisodes)
    while not program.done:
        program.advance()
    return program


def test_a_function_answers_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv("RTBENCH_TEST_TOLD", str(told))
    where = f"python:{leftwards.__module__}:leftwards"
    program = run(frozen_cell(where, where), monkeypatch)
    pids = told.read_text().split()
    assert len(set(pids)) == 2
    assert str(os.getpid()) not in pids
    (outcome,) = program.outcomes()
    assert outcome.columns["env_steps"] == 80
    assert outcome.columns["parameters"] is None
    # The cycle stands still: action 1 earns in every step or in none, and β holds it; before it there is none.
    assert set(program.runs[0].returns) <= {0.0, *(float(steps) for steps in range(41))}


@pytest.mark.parametrize("execution", ["sequential", "pipelined"])
def test_a_policy_of_ours_brings_its_layers(execution: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = small_cell(env="InvertedPendulum-v4")
    spec = build(trained.environment).spec()
    graph: LayerGraph = build(trained.architecture).make(PolicyShape(spec.observation_size, 1, 2))
    path = tmp_path / "policy.npz"
    path.write_bytes(Policy(trained, 0, "r" * 64, normal_weights(graph)).to_bytes())
    met = {"execution": execution, "latency": None, "delta": 1.0 if execution == "pipelined" else 0.0}
    digest, _ = name_content(str(path), tmp_path)
    cell = frozen_cell(str(path), digest, **met, processes=1, scheduler="one-process")
    cell = dataclasses.replace(cell, environment=trained.environment)
    program = run(cell, monkeypatch)
    (outcome,) = program.outcomes()
    assert outcome.columns["parameters"] == graph.parameter_count()
    assert outcome.columns["episodes"] == 2
    assert outcome.columns["ticks"] > 0


def test_a_head_that_draws_draws_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All logits nought: the likeliest action would be 0, which never earns; each of the others earns in one state."""
    world = frozen_cell("", "").environment
    world = use("environments", "analytic", {**world.params, "steps": 150})
    trained = dataclasses.replace(small_cell(), environment=world)
    graph: LayerGraph = build(trained.architecture).make(PolicyShape(3, 4, 4))
    path = tmp_path / "policy.npz"
    path.write_bytes(Policy(trained, 0, "r" * 64, normal_weights(graph, scale=0.0), head="categorical").to_bytes())
    digest, _ = name_content(str(path), tmp_path)
    cell = dataclasses.replace(
        frozen_cell(str(path), digest, latency=Latency("constant", mean_s=0.001)), environment=world
    )
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    nought = np.zeros(4, np.float32)

    def drawn(process: int) -> list[int]:
        decide = program.runs[0]._policy.decider(process)
        return [int(decide(nought).argmax()) for _ in range(12)]

    assert drawn(0) == drawn(0) != drawn(1)
    assert {1, 2, 3} <= set(drawn(0)[2:])  # two are spent before the run begins
    assert min(run(cell, monkeypatch).runs[0].returns) > 0
