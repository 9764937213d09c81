"""What worlds counted reaches a run's row; recorded episodes play again."""

from __future__ import annotations

from pathlib import Path

import pytest
from rtbench import plugins
from rtbench.cell import Budget, Cell, Interaction, RunBatch
from rtbench.errors import RtbenchError
from rtbench.learners.warm_start import read
from rtbench.seeds import episode_seed

from rtbench_gameboy import hooks, journal, players
from rtbench_gameboy.achievements import achievements, told
from rtbench_gameboy.journal import Trail
from rtbench_gameboy.recordings import Recording, export, record_player

CELL = {"environment": {"name": "gameboy/encounters"}}


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "trails", [])
    monkeypatch.setattr("rtbench_gameboy.achievements.trails", journal.trails)


def played(trail: Trail, seed: int, course: list[tuple[int, float]], frames: int) -> None:
    """An episode whose progress rises as in `course`: frames, progress."""
    trail.begin(seed)
    for at, progress in course:
        trail.note(at, progress)
    trail.note(frames, course[-1][1] if course else 0.0)


def test_those_who_train_and_those_who_do_not_share_a_name() -> None:
    trained = {"episodes": 2, "updates": 9, "train_return_mean": 1.5, "eval_return_final": 9.0, "progress": 6}
    assert achievements(7, trained) == {"gameboy/episode_return": 1.5, "gameboy/progress": 6}
    frozen = {"episodes": 2, "updates": 0, "train_return_mean": None, "eval_return_final": 9.0, "progress": 6}
    assert achievements(7, frozen) == {"gameboy/episode_return": 9, "gameboy/progress": 3}
    assert achievements(7, {"train_return_mean": None, "eval_return_final": None}) == {}


def test_the_course_of_one_long_episode_is_told_at_every_tenth() -> None:
    played(Trail(), episode_seed(0, "train", 0), [(100, 1), (450, 2), (1000, 3)], 1000)
    found = achievements(0, {})
    course = [found[f"gameboy/train_progress_at_{per_cent:03d}"] for per_cent in range(10, 101, 10)]
    assert course == [1, 1, 1, 1, 2, 2, 2, 2, 2, 3]
    row = {"extras": found, "seed": 0, "environment_label": "battles", "environment_name": "gameboy/encounters"}
    labels = {"learner_label": "", "learner_name": "dqn", "scheduler_label": "slots", "scheduler_name": "staggered"}
    section = told([row | labels, {"extras": {}}, {"extras": None}])
    assert section is not None
    assert "| battles | dqn, slots | seed 0 | 1 | 1 | 1 | 1 | 2 | 2 | 2 | 2 | 2 | 3 |" in section
    assert told([]) is None


def test_a_course_is_of_one_episode_of_this_run() -> None:
    played(Trail(), episode_seed(1, "train", 0), [(1, 9)], 10)
    assert achievements(0, {}) == {}
    played(Trail(), episode_seed(1, "train", 1), [(1, 9)], 10)
    assert achievements(1, {}) == {}


def test_an_episode_that_was_continued_counts_once() -> None:
    trail = Trail()
    played(trail, episode_seed(0, "train", 0), [(5, 1)], 10)
    played(trail, episode_seed(0, "train", 0), [(5, 1), (15, 2)], 20)
    assert achievements(0, {})["gameboy/train_progress_at_100"] == 2


def test_hooks_speak_of_our_environments_only() -> None:
    hooks.rtbench_run_started("run", 5)
    outcome = {"episodes": 1, "updates": 0, "progress": 2}
    assert hooks.rtbench_columns("run", CELL, outcome) == {"gameboy/progress": 2}
    assert hooks.rtbench_columns("run", {"environment": {"name": "atari"}}, outcome) == {}
    assert hooks.rtbench_columns("run", CELL, {}) == {}
    assert hooks.rtbench_columns("another", CELL, outcome) == {}


def test_a_policy_that_never_learns_has_its_progress_in_the_row() -> None:
    """A whole run of the scripted player: what its worlds counted is in the row's columns and further numbers."""
    cell = Cell(
        plugins.use("environments", "gameboy/encounters", {"max_frames": 700}),
        plugins.use("architectures", "whole"),
        Interaction(plugins.use("schedulers", "one-process"), "instant", 0.0, plugins.use("default_policies", "noop")),
        plugins.use("learners", "frozen", {"policy": "python:rtbench_gameboy.players:battles"}),
        plugins.use("backends", "numpy"),
        Budget(1, "env_steps", 1, 0, 2),
    )
    program = plugins.build(cell.learner).make(RunBatch(cell, (0,)))
    while not program.done:
        program.advance()
    (outcome,) = program.outcomes()
    assert outcome.columns["progress"] == outcome.extras["rtbench/total_won"] == 2 * outcome.extras["rtbench/eval_won"]
    assert outcome.extras["rtbench/eval_progress"] == outcome.extras["rtbench/eval_won"] >= 0.5
    assert 0 < outcome.columns["non_idle_actions"] < outcome.columns["env_steps"] == 1400


def test_recordings_become_transitions_that_dqn_takes(tmp_path: Path) -> None:
    recordings = [record_player("battles", seed, frames) for seed, frames in ((3, 120), (4, 90))]
    path = tmp_path / "file.npz"
    assert export(recordings, path) == sum(recording.non_idle for recording in recordings)
    found = read(path, plugins.build(plugins.use("environments", "gameboy/encounters")).spec())
    assert [len(steps) for steps in found.episodes] == [120, 90]
    assert found.actions.argmax(1).tolist() == [*recordings[0].actions, *recordings[1].actions]
    assert found.decided.tolist() == [action != 0 for recording in recordings for action in recording.actions]
    assert (found.dones[119], found.dones[-1], found.dones.sum()) == (2, 2, 4)


@pytest.mark.parametrize("player", ["falling_blocks", "battles", "catching"])
def test_a_recording_plays_again_with_what_was_seen(player: str, tmp_path: Path) -> None:
    recording = record_player(player, seed=3, frames=250)
    recording.write(tmp_path / "episode.json")
    steps = list(Recording.read(tmp_path / "episode.json").play())
    assert len(steps) == len(recording.actions) == 250
    assert sum(step.reward for step in steps) == recording.total
    assert [getattr(players, player)(step.observation) for step in steps] == list(recording.actions)
    assert 0 < recording.non_idle <= 250


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text('{"format": 1, "seed": 3}')
    with pytest.raises(RtbenchError, match="not a recording"):
        Recording.read(tmp_path / "none.json")


def test_a_recording_of_another_revision_is_refused() -> None:
    recording = Recording("gameboy/falling-blocks", {}, 99, 0, (0, 1), 0.0)
    with pytest.raises(RtbenchError, match="revision 99"):
        next(recording.play())
