"""Fragments by hand: observation n of episode e is 100·e + n, the action on it minus that, its reward ten times it."""

import numpy as np
import pytest
from rtbench_rlrd.fragments import Fragments, History


def recorded(*episodes: tuple[int, bool], delay: int = 2, before: int = 1) -> History:
    """Episodes of so many steps, terminated or truncated."""
    history = History(1, 1, delay, before)
    for episode, (length, terminated) in enumerate(episodes):
        history.begin_episode(np.asarray([100 * episode]))
        for step in range(length):
            number = 100 * episode + step
            history.end_step(np.asarray([-number], np.float32), 10.0 * number, np.asarray([number + 1]))
        history.end_episode(terminated, None)
    return history


def around(history: History, step: int) -> Fragments:
    """One fragment, its batch axis and features left out."""
    return Fragments(*(np.squeeze(each[0]) for each in history.around(np.asarray([step]))))


def test_a_fragment_within_an_episode() -> None:
    found = around(recorded((6, False)), 2)
    assert found.observations.tolist() == [1, 2, 3, 4]
    assert found.actions.tolist() == [-1, -2, -3, -4]
    assert found.rewards.tolist() == [20, 30]
    assert found.alive.tolist() == [1, 1, 1]
    assert found.decided


def test_after_a_termination_nothing_is_earned() -> None:
    """Six steps, 0 to 5: of a fragment around step 5 only its first reward is, and no action of the next episode."""
    history = recorded((6, True), (6, False))
    found = around(history, 5)
    assert found.rewards.tolist() == [50, 0]
    assert found.alive.tolist() == [1, 0, 0]
    assert found.actions.tolist() == [-4, -5, 0, 0]
    assert not found.decided
    found = around(history, 4)
    assert found.rewards.tolist() == [40, 50]
    assert found.alive.tolist() == [1, 1, 0]


def test_what_can_be_drawn() -> None:
    """Windows lie within an episode; after a time limit the last two steps have no target, before an end they have."""
    history = recorded((5, False), (5, True))
    drawn = {int(history.around(np.asarray([step])).observations[0, 1, 0]) for step in history._drawable}
    assert drawn == {1, 2, 3} | {101, 102, 103, 104}
    assert not around(history, 3).decided  # the observation after a time limit: no action was taken on it
    assert history.drawable == 7


def test_a_draw_is_uniform_over_them() -> None:
    history = recorded((50, False))
    seen = history.draw(np.random.default_rng(0), 4000).observations[:, 1, 0]
    values, counts = np.unique(seen, return_counts=True)
    assert values.tolist() == list(range(1, 49))
    assert counts.min() > 40


@pytest.mark.parametrize("stop", range(1, 14))
def test_it_survives_a_checkpoint_anywhere(stop: int) -> None:
    """Saved after so many steps, twice, and recorded on: the same fragments."""
    whole, part = (History(1, 1, 2, 1) for _ in range(2))
    segments, number = [], 0
    for episode, length in enumerate((4, 3, 7)):
        for history in (whole, part):
            history.begin_episode(np.asarray([100 * episode]))
        for step in range(length):
            for history in (whole, part):
                history.end_step(np.asarray([step], np.float32), 1.0 + number, np.asarray([100 * episode + step + 1]))
            if step + 1 == length:
                for history in (whole, part):
                    history.end_episode(episode == 1, None)
            number += 1
            if number in (max(1, stop - 2), stop):
                segments.append(part.appended())
                again = History(1, 1, 2, 1)
                for segment in segments:
                    again.absorb(segment)
                again.restore(part.state())
                part = again
    assert part._drawable == whole._drawable
    steps = np.asarray(whole._drawable)
    for one, other in zip(part.around(steps), whole.around(steps), strict=True):
        assert np.array_equal(one, other)
