"""Runs packed by memory: the model against what torch and NumPy really keep, and what follows from it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers.cells import interaction, small_cell

from rtbench import plugins
from rtbench.cell import RunBatch
from rtbench.executors import packing
from rtbench.executors.packing import MOST, automatic, fitting
from rtbench.executors.planning import make_jobs, plan_runs
from rtbench.learners.sac import SAC
from rtbench.learners.sac_memory import run_memory
from rtbench.plugins import build

GIB = 2**30


def sac_cell(precision="fp32", inter=None, **params):
    learner = plugins.use("learners", "sac", {"learning_starts": 50, "batch_size": 16, "critic_width": 24, **params})
    return dataclasses.replace(small_cell(inter=inter), learner=learner, precision=precision)


CASES = {
    "fp32": sac_cell(),
    "hold": sac_cell(start="hold"),
    "instant": sac_cell(inter=interaction("instant", 0.0)),
    "sequential": sac_cell(inter=interaction("sequential", 1.0)),
    "deep critics, little replay": sac_cell(critic_layers=4, replay_size=100),
}


def kept(value):
    """Bytes of all tensors and arrays in nested lists and dictionaries."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.nbytes
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(kept(item) for item in items)


@pytest.mark.parametrize("case", CASES)
def test_the_model_is_what_a_program_keeps(case):
    cell = CASES[case]
    model = run_memory(cell)
    for seeds in ((0,), (0, 1, 2)):
        program = build(cell.learner).make(RunBatch(cell, seeds))
        runs = len(seeds)
        trained = [*program.actor.tensors, *program.critics.parameters, program._log_alpha]
        moments = [
            program._optimisers[name]._moments[which] for name in program._optimisers for which in ("first", "second")
        ]
        assert kept(trained) == runs * model.parameters == runs * model.gradients
        assert kept(program.critics.target) == runs * model.targets
        assert kept(moments) == runs * model.moments
        replays = [[each.observations, each.actions, each._records] for each in program.worlds.replays]
        assert runs * model.replay - 64 * runs == kept(replays)
        assert kept(list(program.worlds.tensors.values())) == runs * model.sample
    assert model.copies == 0
    assert 0 < model.working < model.total


def test_bfloat16_keeps_copies():
    one, two = run_memory(sac_cell()), run_memory(sac_cell("bf16"))
    assert two.total - one.total == two.copies == (one.parameters + one.targets) // 2 - 2


@pytest.mark.parametrize(
    ("run_gib", "memory_gib", "runs"),
    [(1, 80, 64), (1, 40, 32), (1.2, 80, 53), (50, 80, 1), (200, 80, 1), (0.001, 8, MOST)],
)
def test_as_many_as_fit_into_four_fifths_of_the_memory(run_gib, memory_gib, runs):
    assert fitting(int(run_gib * GIB), int(memory_gib * GIB)) == runs


def test_what_is_not_known_is_not_packed():
    assert fitting(None, 80 * GIB) == fitting(0, 80 * GIB) == 1


def test_the_paper_profile_of_sac_fills_a_gpu():
    """A million decisions of a robot with 17 joints' observations: 64 runs fit into 80 GiB, 32 and more into 16."""
    paper = sac_cell(batch_size=256, critic_width=256, replay_size=1_000_000, learning_starts=10_000)
    budget = dataclasses.replace(paper.budget, steps=1_000_000)
    needs = run_memory(dataclasses.replace(paper, budget=budget)).total
    assert fitting(needs, 80 * GIB) == 64
    assert 32 <= fitting(needs, 16 * GIB) <= 64


def test_without_an_accelerator_the_plan_falls_back_to_cores(monkeypatch):
    cell = sac_cell()
    assert automatic(cell) == 1
    monkeypatch.setattr(packing, "free_bytes", lambda: 80 * GIB)
    assert automatic(cell) == 1  # this learner trains on cores only, whatever is in the machine
    monkeypatch.setattr(SAC, "trains_on", ("cpu", "cuda"))
    assert automatic(cell) == 64
    monkeypatch.setattr(packing, "free_bytes", lambda: None)
    assert automatic(cell) == 1


def test_jobs_are_as_large_as_every_cell_allows(tmp_path, monkeypatch):
    from helpers.samples import install_parts, write_suite

    from rtbench.suites.expand import expand
    from rtbench.suites.model import load_suite

    install_parts(tmp_path / "site", monkeypatch)
    suite = load_suite(write_suite(tmp_path))
    planned = plan_runs(expand(suite), {})
    sizes = {"A-v0": 2, "B-v0": 3}
    jobs = make_jobs(suite, planned, batch=lambda cell: sizes[cell.environment.params["id"]])
    assert {len(job.seeds) for job in jobs if job.cell.environment.params["id"] == "A-v0"} == {2, 1}
    assert {len(job.seeds) for job in jobs if job.cell.environment.params["id"] == "B-v0"} == {3}
    assert sorted(run for job in jobs for run in job.run_ids) == sorted(run.run_id for run in planned if run.starts)
