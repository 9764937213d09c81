"""Policies that are evaluated and never trained, as a program: episodes of a batch of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbench.learners.base import Outcome
from rtbench.learners.evaluation import final_columns
from rtbench.learners.tally import mean_counts

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.learners.loop import Loop
    from rtbench.learners.policy import Policy


class Episodes:
    """One `advance` is one episode of one run; the first `eval_episodes` are the curve's one point, at step 0.

    `loops`: one per run. `graph_columns`: what a row says of the network (`rtbench.learners.policy.graph_columns`).
    """

    def __init__(self, cell: Cell, loops: Sequence[Loop], graph_columns: dict[str, Any]) -> None:
        self._cell, self.loops, self._graph_columns = cell, list(loops), graph_columns
        self._reported = False

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def done_units(self) -> int:
        """The whole budget: there is nothing to train."""
        return self._cell.budget.steps

    @property
    def total_units(self) -> int:
        """Units of the budget in all."""
        return self._cell.budget.steps

    @property
    def _episodes(self) -> int:
        return min(len(loop.returns) for loop in self.loops)

    @property
    def done(self) -> bool:
        """True when all episodes have been played."""
        return self._episodes >= self._cell.budget.eval_episodes + self._cell.budget.final_eval_episodes

    def advance(self) -> None:
        """One episode of the run that has had fewest."""
        min(self.loops, key=lambda loop: len(loop.returns)).run_episode()

    # ---- telling ---------------------------------------------------------------------------------------------------

    def metrics(self) -> list[dict[str, float]]:
        """The curve's one point, once."""
        first = self._cell.budget.eval_episodes
        if self._reported or not first or self._episodes < first:
            return []
        self._reported = True
        found = {f"eval_return/{i}": float(np.mean(loop.returns[:first])) for i, loop in enumerate(self.loops)}
        return [{"step": 0.0, **found}]

    def outcomes(self) -> list[Outcome]:
        """The outcome of every run: no updates, no training return; steps and ticks are the evaluation's."""
        return [Outcome(self._columns(loop), self.extras(run)) for run, loop in enumerate(self.loops)]

    def extras(self, run: int) -> dict[str, float]:
        """Further numbers of a run: the mean return of a final episode, by who acted when it was earned.

        And what worlds counted: means over final episodes, totals over all, as steps and ticks are.
        """
        first, loop = self._cell.budget.eval_episodes, self.loops[run]
        if not loop.returns[first:]:
            return {}
        total, default = (float(np.mean(earned[first:])) for earned in (loop.returns, loop.default_returns))
        by_actor = {"rtbench/return_agent": total - default, "rtbench/return_default": default}
        return by_actor | loop.tally.extras() | mean_counts(loop.counts[first:])

    def _columns(self, loop: Loop) -> dict[str, Any]:
        first = self._cell.budget.eval_episodes
        curve = [float(np.mean(loop.returns[:first]))] if first and loop.returns else []
        final = [(total, float(length)) for total, length in zip(loop.returns, loop.lengths, strict=True)][first:]
        return {
            **final_columns(final, loop.spec.step_s),
            "eval_return_auc": curve[0] if curve else None,
            "eval_step": [0] * len(curve),
            "eval_return": curve,
            "episodes": len(loop.returns),
            "episode_length": float(np.mean(loop.lengths)) if loop.lengths else None,
            "train_return_mean": None,
            "updates": 0,
            **loop.tally.columns(),
            **self._graph_columns,
        }

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """None: nothing was trained."""
        return []

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The worlds, and what has been told."""
        return {"loops": [loop.state() for loop in self.loops], "reported": self._reported}

    def appended(self) -> dict[str, Any]:
        """Nothing grows."""
        return {}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state."""
        for loop, saved in zip(self.loops, state["loops"], strict=True):
            loop.restore(saved)
        self._reported = state["reported"]
