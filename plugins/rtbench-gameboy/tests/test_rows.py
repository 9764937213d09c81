"""What worlds counted reaches a run's row; recorded episodes play again."""

from __future__ import annotations

from pathlib import Path

import pytest
from rtbench.errors import RtbenchError
from rtbench.seeds import episode_seed

from rtbench_gameboy import hooks, journal, players
from rtbench_gameboy.achievements import achievements, told
from rtbench_gameboy.journal import Trail
from rtbench_gameboy.recordings import Recording, record_player

CELL = {"environment": {"name": "gameboy/encounters"}}


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "trails", [])
    monkeypatch.setattr("rtbench_gameboy.achievements.trails", journal.trails)


def played(trail: Trail, seed: int, course: list[tuple[int, float, float]], frames: int, **counters: float) -> None:
    """An episode whose `won` rises as in `course`: frames, won, actions."""
    trail.begin(seed)
    for at, won, actions in course:
        trail.note(at, {"won": won, "non_idle_actions": actions})
    last = course[-1] if course else (0, 0.0, 0.0)
    trail.note(frames, {"won": last[1], "non_idle_actions": last[2], **counters})


def test_training_is_summed_and_evaluation_averaged() -> None:
    train, evaluate = Trail(), Trail()
    played(train, episode_seed(7, "train", 0), [(10, 1, 5), (20, 2, 9)], 100, lost=1)
    played(train, episode_seed(7, "train", 1), [(10, 1, 4)], 100, lost=3)
    for episode, won in enumerate((3, 5)):
        played(evaluate, episode_seed(7, "evaluate", episode), [(1, won, 2)], 100, lost=0)
    found = achievements(7, {"episodes": 2, "train_return_mean": 1.5, "eval_return_final": 9.0})
    assert found["gameboy/train_won"] == found["gameboy/train_progress"] == found["gameboy/progress"] == 3
    assert found["gameboy/train_lost"] == 4
    assert found["gameboy/train_non_idle_actions"] == 13
    assert found["gameboy/eval_won"] == 4
    assert found["gameboy/episode_return"] == 1.5
    assert not any("_at_" in name for name in found)  # training was two episodes


def test_the_course_of_one_long_episode_is_told_at_every_tenth() -> None:
    played(Trail(), episode_seed(0, "train", 0), [(100, 1, 5), (450, 2, 9), (1000, 3, 20)], 1000)
    found = achievements(0, {})
    course = [found[f"gameboy/train_progress_at_{per_cent:03d}"] for per_cent in range(10, 101, 10)]
    assert course == [1, 1, 1, 1, 2, 2, 2, 2, 2, 3]
    row = {"extras": found, "seed": 0, "environment_label": "battles", "environment_name": "gameboy/encounters"}
    labels = {"learner_label": "", "learner_name": "dqn", "scheduler_label": "slots", "scheduler_name": "staggered"}
    section = told([row | labels, {"extras": {}}, {"extras": None}])
    assert section is not None
    assert "| battles | dqn, slots | seed 0 | 1 | 1 | 1 | 1 | 2 | 2 | 2 | 2 | 2 | 3 |" in section
    assert told([]) is None


def test_episodes_of_another_run_or_played_elsewhere_are_not_counted() -> None:
    played(Trail(), episode_seed(1, "train", 0), [(1, 9, 1)], 10)
    assert achievements(0, {}) == {}
    played(Trail(), episode_seed(0, "train", 3), [(1, 9, 1)], 10)  # 0 to 2 were in a process that was killed
    assert achievements(0, {}) == {}


def test_an_episode_that_was_continued_counts_once() -> None:
    trail = Trail()
    played(trail, episode_seed(0, "train", 0), [(5, 1, 1)], 10)
    played(trail, episode_seed(0, "train", 0), [(5, 1, 1), (15, 2, 1)], 20)
    assert achievements(0, {})["gameboy/train_won"] == 2


def test_hooks_speak_of_our_environments_only() -> None:
    played(Trail(), episode_seed(5, "evaluate", 0), [(1, 2, 1)], 10)
    hooks.rtbench_run_started("run", 5)
    assert hooks.rtbench_columns("run", CELL, {"episodes": 1})["gameboy/eval_won"] == 2
    assert hooks.rtbench_columns("run", {"environment": {"name": "atari"}}, {"episodes": 1}) == {}
    assert hooks.rtbench_columns("run", CELL, {}) == {}
    assert hooks.rtbench_columns("another", CELL, {"episodes": 1}) == {}


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
