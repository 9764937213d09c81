"""The program of distillation: a teacher's whole training, then a student's regression on its actions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rtbench.backends.torch_arithmetic import initial_parameters
from rtbench.cell import Budget, Interaction, RunBatch
from rtbench.interaction.timing import graph_execution
from rtbench.learners.adam import Adam
from rtbench.learners.base import Outcome
from rtbench.learners.evaluation import Evaluation
from rtbench.learners.policy import Policy, graph_columns, mean_action
from rtbench.learners.refusals import check_trainable
from rtbench.learners.sac_networks import Actor
from rtbench.learners.training import Training
from rtbench.learners.worlds import Sampling, Worlds, new_loop, policies, views
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use
from rtbench.seeds import derive, generator

if TYPE_CHECKING:
    from rtbench.learners.distillation import Params
    from rtbench.learners.sac_program import SACProgram

TEACHER, STUDENT = "teacher", "student"


def teacher_batch(batch: RunBatch, params: Params) -> RunBatch:
    """The undelayed SAC agent of the same environment and seeds: three layers of 256, all on the newest observation."""
    cell = batch.cell
    met = cell.interaction
    budget = Budget(
        params.teacher_ticks, "ticks", params.teacher_ticks, 0, final_eval_episodes=cell.budget.final_eval_episodes
    )
    return RunBatch(
        dataclasses.replace(
            cell,
            architecture=use("architectures", "mlp", {"layers": 3}),
            interaction=Interaction(use("schedulers", "one-process"), "instant", 0.0, met.default_policy),
            learner=use("learners", "sac", {"learning_starts": params.teacher_learning_starts}),
            budget=budget,
        ),
        batch.seeds,
    )


class DistillationProgram(Training):
    """One `advance` is one unit of the teacher's program, until that is done, then one of the student's."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        super().__init__(batch)
        self._p = params
        cell, p = batch.cell, params
        spec = build(cell.environment).spec()
        check_trainable("distillation", spec)
        own = teacher_batch(batch, p)
        self.teacher: SACProgram = build(own.cell.learner).make(own)
        size = spec.action_size
        self.graph = build(cell.architecture).make(PolicyShape.of(spec, 2 * size))
        execution, delta = graph_execution(cell.interaction), cell.interaction.delta or 1
        plan = self.graph.plan(execution, delta, p.burn_in_ticks if self.graph.recurrent else 0)
        self._torch_rngs = [torch.Generator().manual_seed(derive(seed, "student")) for seed in self._seeds]
        trained = initial_parameters(self.graph, self._torch_rngs)
        lags = self.graph.lags(execution, delta)
        self.actor = Actor(self.graph, lags, plan, trained, p.start, generators=self._torch_rngs)
        self._optimiser = Adam(self.actor.tensors, p.learning_rate)
        self.worlds = Worlds(
            batch,
            spec,
            self.actor,
            lambda run: mean_action,
            Sampling(p.replay_size, p.batch_size),
            [generator(seed, "distillation") for seed in self._seeds],
        )
        evaluating = [
            new_loop(cell, self.actor, views(self.actor, run), mean_action, spec, seed=seed, phase="evaluate")
            for run, seed in enumerate(self._seeds)
        ]
        self.evaluation = Evaluation(cell.budget, evaluating)
        self._student_units = 0
        self._updates = 0

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def trained_units(self) -> int:
        """Units of the student's training."""
        return self._student_units

    @property
    def done_units(self) -> int:
        """Units of both trainings behind it."""
        return self.teacher.done_units + self._student_units

    @property
    def total_units(self) -> int:
        """Units of both trainings."""
        return self.teacher.total_units + self._cell.budget.steps

    def advance(self) -> None:
        """One unit of training, or one evaluation episode of one run, of the teacher first."""
        if self.teacher.done:
            super().advance()
        else:
            self.teacher.advance()

    def _train(self) -> None:
        self._student_units += 1
        self.worlds.advance(self._student_units)
        if self._student_units > self._p.learning_starts and self.worlds.ready:
            self.update()

    def update(self) -> None:
        """One step down the gradient of mean (tanh μ_student − a_teacher)² over a batch of the student's decisions."""
        self.worlds.draw()
        t, (window, _) = self.worlds.tensors, self.worlds.windows
        goal = self.advice(t["observations"][:, 0])
        output, way_back = self.actor.trained(window, t["window_actions"][:, 0], t["since"][:, 0])
        mean = output.chunk(2, dim=-1)[0]
        action = mean.tanh()
        to_mean = 2 * (action - goal) * (1 - action.square()) / (goal.shape[1] * goal.shape[2])
        self._optimiser.step(way_back(torch.cat([to_mean, torch.zeros_like(to_mean)], dim=-1)))
        self.actor.refresh()
        self._updates += 1

    def advice(self, observation: torch.Tensor) -> torch.Tensor:
        """What the teacher does [runs, batch, A] on observations [runs, batch, F]."""
        runs, batch, _ = observation.shape
        nothing = observation.new_zeros(runs, 0, batch, self.graph.action_size)
        since = torch.zeros(runs, batch, dtype=torch.int64)
        output = self.teacher.actor.head(observation.unsqueeze(1), nothing, since)
        return output.chunk(2, dim=-1)[0].tanh()

    # ---- telling ---------------------------------------------------------------------------------------------------

    def outcomes(self) -> list[Outcome]:
        """The student's outcome columns; the teacher's return beside them."""
        about = {"updates": self._updates, **graph_columns(self.graph, self._cell.interaction)}
        return [
            Outcome(
                {**self.evaluation.columns(run), **self.worlds.columns(run), **about},
                {"rtbench/teacher's return": float(self.teacher.evaluation.columns(run)["eval_return_final"])},
            )
            for run in range(len(self._seeds))
        ]

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """The students."""
        return policies(self._batch, self.actor, run_ids)

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The teacher, the student's network, optimiser, worlds and curve."""
        return {
            "teacher": self.teacher.state(),
            "student": self.actor.tensors,
            "optimiser": self._optimiser.state(),
            "torch": [rng.get_state() for rng in self._torch_rngs],
            "worlds": self.worlds.state(),
            "evaluation": self.evaluation.state(),
            "units": [self._student_units, self._updates],
        }

    def appended(self) -> dict[str, Any]:
        """What the replays have gained since the last call, the teacher's and the student's."""
        gained = {TEACHER: self.teacher.appended(), STUDENT: self.worlds.appended()}
        return gained | {"spent": min(found["spent"] for found in gained.values())}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, in place."""
        self.teacher.restore(state["teacher"], (segment[TEACHER] for segment in segments))
        for tensor, saved in zip(self.actor.tensors, state["student"], strict=True):
            tensor.copy_(saved)
        self.actor.refresh()
        self._optimiser.restore(state["optimiser"])
        for rng, saved in zip(self._torch_rngs, state["torch"], strict=True):
            rng.set_state(saved)
        self.worlds.restore(state["worlds"], (segment[STUDENT] for segment in segments))
        self.evaluation.restore(state["evaluation"])
        self._student_units, self._updates = state["units"]
