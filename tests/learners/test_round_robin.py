"""Learners that apply their updates in turn: a course computed by hand, and the age of parameters."""

from __future__ import annotations

import torch

from rtbench.learners.round_robin import RoundRobin


class Book:
    """Says when what happened, in terms of versions."""

    def __init__(self, count, *times):
        self.times, self.log = list(times), []
        self.learners = RoundRobin(count, lambda: self.times.pop(0), self._compute, self._apply)

    def _compute(self):
        self.log.append(("compute", self.learners.version))
        return [torch.tensor(float(len(self.log)))]

    def _apply(self, change):
        self.log.append(("apply", self.learners.version))


def test_without_a_duration_every_update_is_made_from_the_newest_parameters():
    book = Book(1, 0, 0, 0)
    for now in (0, 10, 20):
        assert book.learners.until(now, now)
    assert book.log == [step for v in range(3) for step in (("compute", v), ("apply", v))]
    assert book.learners.age_sum == 0


def test_two_learners_by_hand():
    """Each takes 25; one is due every 10: starts at 0, 10, then as learners come free at 25, 35, 50, 60."""
    book, starts, due = Book(2, *[25] * 6), [], 0
    for now in range(0, 70, 5):
        if due is None and now % 10 == 0:
            due = now
        if book.learners.until(now, due):
            starts.append((now, book.learners.version))
            due = None
            if now >= 25:
                due = now  # always one waiting
    assert starts == [(0, 0), (10, 0), (25, 1), (35, 2), (50, 3), (60, 4)]
    assert book.learners.age_most == 1


def test_updates_wait_for_their_turn():
    """The second is through first, and is applied after the first all the same."""
    book = Book(2, 50, 5)
    assert book.learners.until(0, 0)
    assert book.learners.until(1, 1)
    book.learners.until(49, None)
    assert [what for what, _ in book.log] == ["compute", "compute"]
    book.learners.until(50, None)
    assert book.log[2:] == [("apply", 0), ("apply", 1)]
    assert (book.learners.version, book.learners.age_sum) == (2, 1)


def test_as_many_learners_as_are_needed_are_all_but_one_update_behind():
    """Four learners of 40 each, one update due every 10: the age is N − 1 once all are busy."""
    book = Book(4, *[40] * 100)
    for now in range(0, 1000, 10):
        book.learners.until(now, now)
    assert book.learners.age_most == 3
    assert book.learners.age_sum == 0 + 1 + 2 + 3 * (book.learners.version - 3)


def test_it_goes_on_from_a_state():
    one, other = Book(3, *[25] * 60), Book(3, *[25] * 60)
    for now in range(0, 60, 7):
        one.learners.until(now, now)
    other.learners.restore(one.learners.state())
    other.times = list(one.times)
    one.log.clear()
    for now in range(60, 200, 7):
        one.learners.until(now, now)
        other.learners.until(now, now)
    assert one.log == other.log
    assert one.learners.state()["counts"] == other.learners.state()["counts"]
