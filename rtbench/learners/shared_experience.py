"""An experience that one process writes while others draw from it."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.learners.experience import Experience
from rtbench.learners.replay import NONE
from rtbench.realtime.shared import integers

if TYPE_CHECKING:
    from rtbench.parts import EnvironmentSpec

_AHEAD_ROWS = 512
"""Rows that may be overwritten while a batch is being drawn."""
_ROWS, _DECISIONS, _CLOSED, _OVER, _STEPS = range(5)


def _like(array: NDArray[Any]) -> NDArray[Any]:
    """Zeros of an array's shape in memory that forked processes share."""
    return np.frombuffer(mmap.mmap(-1, max(1, array.nbytes)), array.dtype).reshape(array.shape)


class SharedExperience(Experience):
    """Written by the process that acts in the world, which calls `publish`; learners call `refresh` before drawing.

    Nothing is locked. What is published is finished: a decision counts once the next one has been applied, and rows
    that the writer may reach meanwhile are taken for overwritten.
    """

    def __init__(self, spec: EnvironmentSpec, **how: Any) -> None:
        super().__init__(spec, **how)
        self.observations, self.actions = _like(self.observations), _like(self.actions)
        self._records = _like(self._records)
        self.read, self.applied, self.since, self.first, self.next, self.previous, self.earlier = self._records.T[:-1]
        self.reward, self.discount = self._records.view(np.float32).T[-2:]
        self._shared = integers(5)
        self.steps = 0
        """Environment steps so far; learners know of those as of their last `refresh`."""

    def end_step(self, action: NDArray[np.float32], reward: float, observation: NDArray[Any]) -> None:
        """As in any experience; steps are counted."""
        super().end_step(action, reward, observation)
        self.steps += 1

    def publish(self) -> None:
        """Make what is finished known."""
        finished = self.decision_count if self._open == NONE else self._open
        self._shared[_CLOSED] = self.closed_count
        self._shared[_DECISIONS] = finished
        self._shared[_ROWS] = self.row_count
        self._shared[_STEPS] = self.steps

    def refresh(self) -> None:
        """Learn what has been published, in the order in which it is: no more is finished than there is."""
        self.closed_count = self._shared[_CLOSED]
        self.decision_count = self._shared[_DECISIONS]
        rows = self._shared[_ROWS]
        self.steps = self._shared[_STEPS]
        self.row_count = rows + (_AHEAD_ROWS if rows + _AHEAD_ROWS > self._rows else 0)

    def close(self) -> None:
        """Say that nothing more comes."""
        self._shared[_OVER] = 1

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return bool(self._shared[_OVER])
