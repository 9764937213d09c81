"""What all programs that train have in common: training and evaluation take turns, then comes the final score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.learners.evaluation import Evaluation

_STRIDE_STEPS = 32
"""Environment steps of one `advance` at most, so that a signal is answered soon."""


class Training(ABC):
    """A program (`rtbench.learners.base.Program`) but for what it trains, tells at the end, and keeps."""

    evaluation: Evaluation

    def __init__(self, batch: RunBatch) -> None:
        self._batch, self._cell, self._seeds = batch, batch.cell, batch.seeds

    @property
    @abstractmethod
    def trained_units(self) -> int:
        """Units of the budget that every run has been trained for."""

    @abstractmethod
    def _train(self) -> None:
        """Go on with training by a unit, or some."""

    @property
    def done_units(self) -> int:
        """Units of the budget behind it."""
        return self.trained_units

    @property
    def total_units(self) -> int:
        """Units of the budget in all."""
        return self._cell.budget.steps

    @property
    def done(self) -> bool:
        """True when the final evaluation is over."""
        return self.evaluation.done

    def advance(self) -> None:
        """Some training, or one evaluation episode of one run; a point of the curve begins when its unit is reached."""
        before, budget = self.trained_units, self._cell.budget
        if self.evaluation.running:
            self.evaluation.advance(before)
        elif before >= budget.steps:
            self.evaluation.advance_final()
        else:
            self._train()
            due = self.trained_units // budget.eval_every
            if due > before // budget.eval_every:
                self.evaluation.after(due * budget.eval_every)

    def metrics(self) -> list[dict[str, float]]:
        """The evaluation return of every curve point since the last call."""
        return self.evaluation.metrics()


class Stepped(Protocol):
    """A run that learns beside its world, an environment step at a time."""

    @property
    def done_units(self) -> int:
        """Units of the budget behind it."""
        ...

    def advance(self) -> None:
        """One environment step, and what is learnt with it."""
        ...


class StepByStep(Training):
    """Runs that go on side by side by some environment steps, each no further than to the next point of the curve."""

    trainers: Sequence[Stepped]

    @property
    def trained_units(self) -> int:
        """Units of the budget behind every run."""
        return min(trainer.done_units for trainer in self.trainers)

    def _train(self) -> None:
        every = self._cell.budget.eval_every
        goal = min(self.total_units, (self.trained_units // every + 1) * every)
        for trainer in self.trainers:
            for _ in range(_STRIDE_STEPS):
                if trainer.done_units >= goal:
                    break
                trainer.advance()
        if self.trained_units == goal:
            self._reached()

    def _reached(self) -> None:
        """An evaluation may follow."""
