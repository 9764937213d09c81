"""Exactness: a run that is stopped anywhere and continued from its files ends like one that was not."""

from __future__ import annotations

import pytest
import torch
from helpers.cells import interaction, small_cell

from rtbench.cell import Budget, Latency, RunBatch
from rtbench.learners.checkpoint import CheckpointFolder, numpy_again, plain
from rtbench.plugins import build

NOISY = Latency("lognormal", mean_s=0.02, cv=0.3)
CASES = {
    "instant": (interaction("instant", 0.0), {}, {}),
    "pipelined-aug": (interaction(delta=1.0), {"skips": "from-obs", "augmentation": "observation"}, {}),
    "delta-1.5-hold": (interaction(delta=1.5), {"skips": "to-action"}, {"start": "hold"}),
    "delta-4": (interaction(delta=4.0), {}, {}),
    "lstm": (interaction(delta=1.0), {"lstm": True}, {}),
    "random-default": (interaction(delta=2.0, default="random"), {}, {}),
    "continue-noisy": (interaction("sequential", 0.0, latency=NOISY, on_reset="continue"), {}, {}),
    "noisy": (interaction("sequential", 0.0, latency=NOISY), {"augmentation": "in-flight"}, {}),
    "staggered": (interaction("sequential", 1.0, scheduler="staggered-max", processes=3), {}, {}),
    "small-replay": (interaction(delta=1.0), {}, {"replay_size": 64}),
}
BUDGET = Budget(steps=150, unit="ticks", eval_every=60, eval_episodes=2, final_eval_episodes=2)


def new(case, seeds=(5,), budget=BUDGET):
    inter, arch, learner = CASES[case]
    cell = small_cell(arch=arch, inter=inter, learner=learner, budget=budget)
    return build(cell.learner).make(RunBatch(cell, seeds))


def finish(program):
    while not program.done:
        program.advance()
    return [outcome.columns for outcome in program.outcomes()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_continued_equals_uninterrupted(case, tmp_path):
    """Stopped five times, also within an evaluation, each time a new process's program goes on from the files."""
    expected = finish(new(case))
    program, folder, calls = new(case), CheckpointFolder(tmp_path), 0
    stops = {1, 45, 61, 100, 152}
    while not program.done:
        program.advance()
        calls += 1
        if calls in stops:
            folder.save(program, {"wall_s": 1.0})
            for _ in range(3):  # what is done after a checkpoint is lost and must be done again, equally
                if not program.done:
                    program.advance()
            program, folder = new(case), CheckpointFolder(tmp_path)
            assert folder.load(program) == {"wall_s": 1.0}
            calls = max(calls, program.done_units)
    assert [outcome.columns for outcome in program.outcomes()] == expected


def test_a_batch_of_runs_continues_exactly(tmp_path):
    expected = finish(new("pipelined-aug", (1, 2, 3)))
    assert expected[0] != expected[1]
    program = new("pipelined-aug", (1, 2, 3))
    for _ in range(77):
        program.advance()
    CheckpointFolder(tmp_path).save(program, {})
    again = new("pipelined-aug", (1, 2, 3))
    CheckpointFolder(tmp_path).load(again)
    assert finish(again) == expected


def test_a_batch_acts_like_single_runs_until_learning():
    """Each run's worlds and randomness are its own: before the first update they are those of the run alone."""
    budget = Budget(steps=40, unit="ticks", eval_every=20, eval_episodes=1, final_eval_episodes=1)
    together = finish(new("pipelined-aug", (1, 2), budget))
    alone = [finish(new("pipelined-aug", (seed,), budget))[0] for seed in (1, 2)]
    for one, other in zip(together, alone, strict=True):
        assert one["train_return_mean"] == other["train_return_mean"]
        assert one["eval_return"] == pytest.approx(other["eval_return"], rel=1e-3)


def test_same_seed_same_outcome_and_other_seed_another():
    assert finish(new("pipelined-aug")) == finish(new("pipelined-aug"))
    assert finish(new("pipelined-aug")) != finish(new("pipelined-aug", (6,)))


def test_a_truncated_state_falls_back_to_the_one_before(tmp_path):
    program, folder = new("pipelined-aug"), CheckpointFolder(tmp_path)
    for _ in range(50):
        program.advance()
    folder.save(program, {"n": 1})
    for _ in range(20):
        program.advance()
    folder.save(program, {"n": 2})
    newest = tmp_path / "state-000000-00000002.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    again, reopened = new("pipelined-aug"), CheckpointFolder(tmp_path)
    assert reopened.load(again) == {"n": 1}
    assert again.done_units == 50
    assert any("state-000000-00000002.pt" in note for note in reopened.notes)
    assert finish(again) == finish(new("pipelined-aug"))


def test_two_generations_are_kept_and_segments_hold_only_what_is_new(tmp_path):
    program, folder = new("pipelined-aug"), CheckpointFolder(tmp_path)
    for _ in range(4):
        for _ in range(20):
            program.advance()
        folder.save(program, {})
    assert sorted(path.name for path in tmp_path.glob("state-*")) == ["state-000000-00000003.pt", "state-000000-00000004.pt"]
    rows = [
        len(numpy_again(torch.load(path, weights_only=True))["replays"][0]["observations"])
        for path in sorted(tmp_path.glob("segment-*"))
    ]
    assert len(rows) == 4
    assert sum(rows) <= program.replays[0].row_count + 4  # a segment repeats at most the one row that still changed
    folder.remove()
    assert not tmp_path.exists()


def test_plain_data_survives():
    import numpy as np

    value = {"a": [np.arange(3), (1, 2.5)], "b": torch.ones(2), "c": None, "d": "x", "e": np.float64(2.0), "f": 2**100}
    back = numpy_again(plain(value))
    assert back["a"][0].tolist() == [0, 1, 2]
    assert back["a"][1] == [1, 2.5]
    assert (back["c"], back["d"], back["e"], back["f"]) == (None, "x", 2.0, 2**100)
