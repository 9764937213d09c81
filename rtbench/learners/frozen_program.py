"""Evaluating a frozen policy as a program: episodes of a batch of runs, nothing trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbench.learners.base import Outcome
from rtbench.learners.evaluation import final_columns
from rtbench.learners.foreign import Array, ForeignActing, kind_of, load
from rtbench.learners.loop import Loop
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.seeds import derive

if TYPE_CHECKING:
    from rtbench.backends.base import Acting
    from rtbench.cell import RunBatch
    from rtbench.learners.frozen import Params
    from rtbench.parts import EnvironmentSpec


class FrozenProgram:
    """One `advance` is one episode of one run; the first `eval_episodes` are the curve's one point, at step 0."""

    def __init__(self, batch: RunBatch, params: Params, where: str) -> None:
        self._cell, self._p, self._where = batch.cell, params, where
        spec = build(batch.cell.environment).spec()
        if not spec.continuous:
            raise ValueError("frozen policies need continuous actions so far")
        self._graph_columns: dict[str, Any] = {"parameters": None, "flops": None, "constraint_violation": None}
        make = self._own if kind_of(where) == "rtbench" else self._foreign
        self.loops = make(spec, batch.seeds)
        self._reported = False

    # ---- making ----------------------------------------------------------------------------------------------------

    def _own(self, spec: EnvironmentSpec, seeds: tuple[int, ...]) -> list[Loop]:
        """A policy of rtbench runs on its own graph, with this cell's backend."""
        policy = Policy.read(Path(self._where))
        graph = policy.graph(spec)
        interaction = self._cell.interaction
        self._graph_columns = graph_columns(graph, interaction)
        backend, delta = build(self._cell.backend), interaction.delta or 1

        def acting(seed: int) -> Acting:
            made: Acting = backend.make(
                graph, policy.parameters, interaction.execution, delta, policy.start, seed=derive(seed, "acting")
            )
            return made

        return [
            Loop(
                self._cell,
                graph,
                acting(seed),
                HEADS[policy.head].decide,
                seed=seed,
                phase="evaluate",
                spec=spec,
                start=policy.start,
            )
            for seed in seeds
        ]

    def _foreign(self, spec: EnvironmentSpec, seeds: tuple[int, ...]) -> list[Loop]:
        """A policy from outside stands in for the one layer of the graph; how large it is nobody says."""
        found = load(self._where, spec, self._p.algorithm)
        shape = PolicyShape(spec.observation_size, spec.action_size, spec.action_size)
        graph = build(self._cell.architecture).make(shape)
        scaled = self._p.actions == "unit"
        return [
            Loop(
                self._cell,
                graph,
                ForeignActing(found, spec, scaled=scaled, place=self._where),
                _as_it_is,
                seed=seed,
                phase="evaluate",
                spec=spec,
            )
            for seed in seeds
        ]

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
        """The outcome columns of every run: no updates, no training return; steps and ticks are the evaluation's."""
        return [self._outcome(loop) for loop in self.loops]

    def _outcome(self, loop: Loop) -> Outcome:
        first = self._cell.budget.eval_episodes
        curve = [float(np.mean(loop.returns[:first]))] if first and loop.returns else []
        final = [(total, float(length)) for total, length in zip(loop.returns, loop.lengths, strict=True)][first:]
        return Outcome(
            {
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
        )

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """None: nothing was trained, and the policy lies where it lay."""
        return []

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The worlds, and what has been told."""
        return {"loops": [loop.state() for loop in self.loops], "reported": self._reported}

    def appended(self) -> dict[str, Any]:
        """Nothing grows."""
        return {}

    def restore(self, state: dict[str, Any], segments: list[dict[str, Any]]) -> None:
        """Back to a state."""
        for loop, saved in zip(self.loops, state["loops"], strict=True):
            loop.restore(saved)
        self._reported = state["reported"]


def _as_it_is(output: Array) -> Array:
    return output
