"""The training program of learners of action values: every run acts in its own world and learns beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbench.errors import RtbenchError
from rtbench.learners.acting import actings
from rtbench.learners.base import Outcome
from rtbench.learners.dqn_trainer import Trainer
from rtbench.learners.evaluation import Evaluation
from rtbench.learners.loop import Loop
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.learners.training import StepByStep
from rtbench.learners.warm_start import read
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.learners.dqn import Params
    from rtbench.parts import EnvironmentSpec


class DQNProgram(StepByStep):
    """Trains; one `advance` is some environment steps of every run with their updates, or one evaluation episode."""

    def __init__(self, batch: RunBatch, params: Params, transitions: str = "") -> None:
        """`transitions`: the file of a warm start, if there is one."""
        super().__init__(batch)
        spec = build(batch.cell.environment).spec()
        check_discrete(spec, batch.cell.learner.name)
        warm = read(transitions, spec) if transitions else None
        self.trainers: list[Trainer] = [Trainer(batch.cell, spec, params, seed, warm) for seed in batch.seeds]
        self.evaluation = Evaluation(batch.cell.budget, [self._evaluating(each, spec) for each in self.trainers])

    def _evaluating(self, trainer: Trainer, spec: EnvironmentSpec) -> Loop:
        return Loop(
            self._cell,
            trainer.network.graph,
            actings(
                self._cell, trainer.network.graph, trainer.network.greedy, "zero", trainer.seed, "evaluate", fixed=True
            ),
            HEADS[trainer.head].decide,
            seed=trainer.seed,
            phase="evaluate",
            spec=spec,
            bootstraps=False,
        )

    def _reached(self) -> None:
        for trainer in self.trainers:
            trainer.network.refresh(noisy=False)

    # ---- telling ---------------------------------------------------------------------------------------------------

    def outcomes(self) -> list[Outcome]:
        """The outcome of every run."""
        found = []
        for run, trainer in enumerate(self.trainers):
            columns = {
                **graph_columns(trainer.network.graph, self._cell.interaction),
                "parameters": trainer.network.parameter_count,
            }
            extras = trainer.extras() | self.evaluation.extras(run)
            found.append(Outcome({**self.evaluation.columns(run), **trainer.columns(), **columns}, extras))
        return found

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """What every run has learnt, without noise."""
        for trainer in self.trainers:
            trainer.network.refresh(noisy=False)
        return [
            Policy(self._cell, trainer.seed, run_id, trainer.network.greedy, trainer.head, "zero")
            for trainer, run_id in zip(self.trainers, run_ids, strict=True)
        ]

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Every run's trainer, the curves."""
        return {
            "trainers": [trainer.state() for trainer in self.trainers],
            "evaluation": self.evaluation.state(),
            "done_units": self.done_units,
        }

    def appended(self) -> dict[str, Any]:
        """What every replay has gained since the last call."""
        gained = [trainer.experience.appended() for trainer in self.trainers]
        return {"replays": gained, "spent": min(trainer.experience.spent for trainer in self.trainers)}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, in place; one segment at a time is looked at."""
        for segment in segments:
            for trainer, gained in zip(self.trainers, segment["replays"], strict=True):
                trainer.experience.absorb(gained)
        for trainer, saved in zip(self.trainers, state["trainers"], strict=True):
            trainer.restore(saved)
        self.evaluation.restore(state["evaluation"])


def check_discrete(spec: EnvironmentSpec, learner: str) -> None:
    """RtbenchError unless actions are discrete."""
    if spec.continuous:
        raise RtbenchError("this environment's actions are continuous", place=f"learner {learner}", given="continuous")


def mean_or_none(values: Sequence[float]) -> float | None:
    """The mean, None of nothing."""
    return float(np.mean(values)) if values else None
