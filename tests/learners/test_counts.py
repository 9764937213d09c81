"""What a world counts (`info["rtbench_progress"]`) reaches the row: summed over training, averaged over evaluation."""

from __future__ import annotations

import pytest
from helpers.dqn_cells import dqn_cell, whole
from helpers.ppo_cells import ppo_cell

from rtbench.cell import Budget, RunBatch
from rtbench.environments import minatar_world
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.learners.tally import Tally
from rtbench.plugins import build


@pytest.fixture(autouse=True)
def counting(monkeypatch):
    """MinAtar that counts: steps as `fed`, every tenth as progress, actions other than 0."""
    reset, step = minatar_world.World.reset, minatar_world.World.step

    def begin(self, **how):
        self.fed = self.pressed = 0
        return reset(self, **how)

    def go_on(self, action):
        *found, info = step(self, action)
        self.fed += 1
        self.pressed += action != 0
        counts = {"progress": self.fed // 10, "non_idle_actions": self.pressed, "fed": float(self.fed)}
        return (*found, {**info, "rtbench_progress": counts})

    monkeypatch.setattr(minatar_world.World, "reset", begin)
    monkeypatch.setattr(minatar_world.World, "step", go_on)


def finished(program):
    while not program.done:
        program.advance()
    return program.outcomes()[0]


def check(outcome, loops):
    columns, extras = outcome.columns, outcome.extras
    unfinished = [loop.tally.env_steps - sum(loop.lengths) for loop in loops]
    played = [*(length for loop in loops for length in loop.lengths), *unfinished]
    assert extras["rtbench/total_fed"] == columns["env_steps"] == sum(played)
    assert columns["progress"] == sum(length // 10 for length in played)
    assert 0 < columns["non_idle_actions"] < columns["env_steps"]
    assert extras["rtbench/eval_fed"] == columns["eval_length_final"]
    assert not {"rtbench/total_progress", "rtbench/total_non_idle_actions"} & set(extras)


@pytest.mark.parametrize("learner", ["dqn", "stream-q"])
def test_one_world_with_an_episode_under_way_at_the_end(learner):
    cell = dqn_cell(learner, budget=Budget(190, "env_steps", 90, 2, 3))
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    outcome = finished(program)
    trained = program.trainers
    check(outcome, [trained[0].loop])


def test_a_fleet_of_worlds():
    cell = ppo_cell("to-action", "noisy", budget=Budget(120, "env_steps", 48, 1, 2))
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    outcome = finished(program)
    check(outcome, program.trainers[0].fleet.loops)


def test_a_run_that_was_continued_has_counted_the_same(tmp_path):
    cell = dqn_cell("dqn", budget=Budget(150, "env_steps", 70, 1, 2))
    whole_run = finished(build(cell.learner).make(RunBatch(cell, (0,))))
    program, folder = build(cell.learner).make(RunBatch(cell, (0,))), CheckpointFolder(tmp_path)
    while not program.done:
        program.advance()
        folder.save(program, {})
        program = build(cell.learner).make(RunBatch(cell, (0,)))
        folder = CheckpointFolder(tmp_path)
        folder.load(program)
    assert program.outcomes()[0].extras == whole_run.extras
    assert program.outcomes()[0].columns == whole_run.columns


def test_learning_on_the_wall_clock(monkeypatch):
    monkeypatch.setattr("rtbench.realtime.recording.Recording.spoiled", None)
    met = whole("staggered-slots", 0.03, processes=2, clock="wall")
    small = {"epsilon_steps": 40, "learning_starts": 20}
    cell = dqn_cell("dqn", small, met, budget=Budget(50, "env_steps", 50, 1, 1))
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    outcome = finished(program)
    assert outcome.extras["rtbench/total_fed"] == outcome.columns["env_steps"] == 50
    lengths = program.runs[0].lengths
    assert outcome.columns["progress"] == sum(length // 10 for length in [*lengths, 50 - sum(lengths)])
    assert [counts["fed"] for counts in program.runs[0].counts] == lengths


def test_a_count_may_fall_and_one_may_be_missing_at_first():
    tally = Tally()
    tally.count({}, {"progress": 2})
    tally.count({"progress": 2}, {"progress": 1, "eaten": 3})
    tally.count({}, {"progress": 5})
    assert tally.columns()["progress"] == 6
    assert tally.extras() == {"rtbench/total_eaten": 3}
    both = Tally.over([tally, Tally.restored(tally.state())])
    assert (both.columns()["progress"], both.extras()) == (12, {"rtbench/total_eaten": 6})
    assert "progress" not in Tally().columns()
