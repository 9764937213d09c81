"""What a check of learners says of a program that cannot be stopped: nothing, rather than that it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from rtbench.learners.base import Outcome
from rtbench.testing.base import NotApplicable
from rtbench.testing.learners import LearnerConformance


class Counting:
    """A program that is done after some calls; restored, it forgets them if it is `broken`."""

    total_units = 3

    def __init__(self, calls: int, *, broken: bool) -> None:
        self._calls, self._broken, self.done_units = calls, broken, 0

    @property
    def done(self) -> bool:
        return self.done_units >= self._calls

    def advance(self) -> None:
        self.done_units += 1

    def outcomes(self) -> list[Outcome]:
        return [Outcome({"env_steps": self.done_units}, {})]

    def state(self) -> dict[str, Any]:
        return {"done_units": self.done_units}

    def appended(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        self.done_units = 0 if self._broken else state["done_units"]


def suite_of(calls: int, *, broken: bool) -> LearnerConformance:
    class Checked(LearnerConformance):
        name = "counting"
        seeds = (1,)
        stops = (1,)

        def program(self, seeds: tuple[int, ...] = ()) -> Any:
            return Counting(calls, broken=broken)

    return Checked()


def test_a_program_that_is_done_at_once_was_not_continued() -> None:
    with pytest.raises(NotApplicable, match="before it could be stopped"):
        suite_of(1, broken=True).test_continues_exactly()


def test_one_that_goes_on_is_stopped() -> None:
    suite_of(3, broken=False).test_continues_exactly()
    with pytest.raises(AssertionError, match="restored at 1 units it says 0"):
        suite_of(3, broken=True).test_continues_exactly()
