"""What learners of action values accept, how ε falls, when updates come, and the published code's convention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.dqn_cells import constant, dqn_cell, whole

from rtbench.cell import Budget, RunBatch
from rtbench.interaction.timing import timeline_of
from rtbench.learners.dqn_trainer import Annealed
from rtbench.plugins import build, use

REFUSED = [
    ({"met": interaction(delta=1.0)}, "pipelines are trained by ppo or sac"),
    ({"met": whole(epsilon=0.1)}, "anneals ε itself"),
    ({"met": whole("chunked", params={"actions": 3})}, "not a chunk"),
    ({"budget": Budget(100, "ticks", 50, 1, 1)}, "counts its schedule in environment steps"),
    ({"params": {"learners": 3}}, "need `learning`"),
    ({"params": {"learners": 3}, "met": whole("sequential", learning=constant(0.1))}, "in the one process"),
    ({"params": {"support_low": 1.0, "support_high": 1.0}}, "below support_high"),
    ({"params": {"batch_size": 0}}, "at least 1"),
    ({"params": {"epsilon_end": 1.5}}, "between 0 and 1"),
    ({"met": whole(clock="wall", on_reset="restart")}, "on_reset = 'continue'"),
    ({"met": whole(clock="wall"), "params": {"prioritised": True}}, "draws uniformly"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_it_cannot_train(change, reason):
    cell = dqn_cell("dqn", change.get("params"), change.get("met"), budget=change.get("budget"))
    assert reason in build(cell.learner).supports(cell)
    assert build(cell.learner).supports(dqn_cell()) is None


def test_continuous_actions_are_refused():
    cell = replace(dqn_cell(), environment=use("environments", "mujoco", {"id": "Hopper-v4"}))
    assert "continuous" in build(cell.learner).supports(cell)


def test_epsilon_falls_with_environment_steps():
    annealed = Annealed(1.0, 0.2, 100)
    assert [annealed(step) for step in (0, 50, 100, 5000)] == pytest.approx([1.0, 0.6, 0.2, 0.2])


def run(params=None, met=None, steps=400):
    cell = dqn_cell("dqn", params, met, budget=Budget(steps, "env_steps", steps, 1, 1))
    trainer = build(cell.learner).make(RunBatch(cell, (1,))).trainers[0]
    while trainer.loop.tally.env_steps < steps:
        trainer.advance()
    return trainer


@pytest.mark.parametrize("reset", ["continue", "restart"])
def test_random_actions_are_as_many_as_annealed(reset):
    """With ε at 1 all along nothing is computed, whatever an inference takes: an action in every step but the first."""
    met = whole(latency=0.5, on_reset=reset)
    tally = run({"epsilon_start": 1.0, "epsilon_end": 1.0}, met).loop.tally
    assert tally.inaction == 0
    tally = run({"epsilon_start": 0.0, "epsilon_end": 0.0}, met).loop.tally
    assert tally.inaction > 5 * tally.fresh  # ten steps an inference


def test_an_update_every_so_many_steps_or_actions():
    made = run({"update_every": 5, "learning_starts": 100}).updates.count
    assert made == 60
    trainer = run(
        {"update_every": 2, "updates_per": "actions", "epsilon_start": 0.0, "epsilon_end": 0.0}, whole(latency=0.2)
    )
    assert trainer.updates.count == pytest.approx(trainer.loop.tally.arrived / 2, abs=6)


def test_all_learners_together_take_one_large_batch():
    trainer = run({"learners": 4, "learning": "parallel", "update_every": 5, "learning_starts": 100})
    assert trainer.updates.count == 15
    assert trainer.updates._batch == 64


@pytest.mark.parametrize("order", ["infer-then-learn", "learn-then-infer"])
def test_learning_in_sequence_is_an_update_per_inference(order):
    """50 ms of inference and 100 ms of learning: an action every three steps; learning first, its age contains both."""
    met = whole("sequential", 0.05, params={"order": order}, learning=constant(0.1), on_reset="continue")
    trainer = run({"epsilon_start": 0.0, "epsilon_end": 0.0, "learning_starts": 40}, met)
    tally = trainer.loop.tally
    assert tally.ticks == pytest.approx(400 / 3, abs=1)
    assert trainer.updates.count == pytest.approx(360 / 3, abs=2)
    assert set(tally.newest) == ({1} if order == "infer-then-learn" else {3})


@pytest.mark.parametrize(("frames", "age"), [(5, 24), (8, 63), (70, 4899)])
def test_ages_of_the_published_code(frames, age):
    """Counted in decisions: one in n frames, applied in the last of them, n − 1 decisions late."""
    met = whole(latency=(frames - 0.5) / 60, latency_convention="published-code")
    line = timeline_of(met, 15, 1 / 60, 20_000, 0)
    told = line.summary(holds=False)
    assert (told.newest_age.p50_steps, told.newest_age.max_steps) == (age, age)
    assert told.action_interval_steps == frames
    with_paper = timeline_of(replace(met, latency_convention="paper"), 15, 1 / 60, 2_000, 0).summary(holds=False)
    assert with_paper.newest_age.p50_steps == frames


def test_the_published_code_counts_decisions():
    """Of four steps each: ε, updates and the discount."""
    met = whole(latency=0.2, latency_convention="published-code")
    trainer = run({"update_every": 2, "learning_starts": 100, "epsilon_start": 0.0, "epsilon_end": 0.0}, met)
    assert trainer.updates.count == pytest.approx(300 / 8, abs=2)
    drawn = trainer.experience.draw(trainer.updates._rng, 64)
    assert set(drawn.discounts.round(4).tolist()) <= {0.0, np.float32(0.99).round(4).item()}
    assert "published-code" in str(dqn_cell(met=met).data())
    assert "latency_convention" not in dqn_cell().data()["interaction"]


def test_the_published_convention_is_for_one_process():
    from rtbench.interaction.timing import contradiction

    staggered = whole("staggered-max", processes=2, latency_convention="published-code")
    assert "one sequential process" in contradiction(staggered)
    assert "constant" in contradiction(replace(staggered, processes=1, latency=None, delta=1.0))
