"""PPO's training program: every run of a batch has its own fleet of environments, networks and randomness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rtbench.errors import RtbenchError
from rtbench.interaction.timing import graph_execution
from rtbench.learners.acting import actings
from rtbench.learners.adam import Adam
from rtbench.learners.base import Outcome
from rtbench.learners.evaluation import Evaluation
from rtbench.learners.fleet import Fleet
from rtbench.learners.loop import Loop
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.learners.ppo_conventions import CONVENTIONS
from rtbench.learners.ppo_networks import (
    Actor,
    Critic,
    advantages,
    clip_norm,
    log_p_of,
    policy_loss,
    restored,
    value_loss,
)
from rtbench.learners.rollouts import Counting, Episode, Inputs, Results, Row, results
from rtbench.learners.training import Training
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.seeds import derive, generator

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.ppo import Params
    from rtbench.parts import EnvironmentSpec

_ADAM_EPSILON = 1e-5


class Trainer:
    """One run: a fleet, an actor, a critic; `advance` is a rollout and its update."""

    def __init__(self, cell: Cell, spec: EnvironmentSpec, params: Params, seed: int) -> None:
        self._cell, self._p, self.seed = cell, params, seed
        interaction, scale = cell.interaction, spec.observation_scale
        shape = PolicyShape.of(spec, spec.action_size)
        graph = build(cell.architecture).make(shape)
        drawn = torch.Generator().manual_seed(derive(seed, "network"))
        timing = graph_execution(interaction), interaction.delta or 1.0
        self.actor = Actor(graph, timing, params.start, drawn, scale, cell.precision)
        self.critic = Critic(graph, drawn, scale, cell.precision)
        self._tensors = [*self.actor.tensors, *self.critic.tensors]
        self._adam = Adam(self._tensors, params.learning_rate, _ADAM_EPSILON)
        per_step = cell.budget.unit == "env_steps"
        counting = Counting(
            1.0 if per_step else params.gamma,
            params.gamma if per_step else 1.0,
            sign=spec.training_reward == "sign",
        )
        self.fleet = Fleet(cell, spec, self.actor, params.environments, counting, seed)
        self._how = CONVENTIONS[params.conventions]
        self._first = self._how.masked_decisions if self.actor.lookback_ticks else 0
        self._rng = generator(seed, "ppo")
        self.updates, self._decisions = 0, 0

    @property
    def done_units(self) -> int:
        """Units of the budget behind it, over all its environments."""
        per_step = self._cell.budget.unit == "env_steps"
        return sum(loop.tally.env_steps for loop in self.fleet.loops) if per_step else self._decisions

    def advance(self) -> None:
        """A rollout and its update."""
        self._adam.learning_rate = self._p.learning_rate * max(0.0, 1 - self.done_units / self._cell.budget.steps)
        self.fleet.collect(self._p.rollout)
        self.update()
        self._decisions += self._p.rollout * self._p.environments
        if self._how.carries:
            self.fleet.renew()
        else:
            self.fleet.begin_anew()

    # ---- learning --------------------------------------------------------------------------------------------------

    def update(self) -> None:
        """Epochs over the rollout that the fleet holds."""
        found = results(self.fleet.recordings)
        every = np.arange(self._p.environments)
        whole = self.fleet.inputs()
        advantage, goals, old_values = self._judged(found)
        old = None if self._how.carries else self._acted(found)
        if self._p.minibatches > 1 and old is None:
            with torch.no_grad():
                old = self._log_p(whole, found, every)[1]
        for _ in range(self._p.epochs):
            shares = (
                [every] if self._p.minibatches == 1 else np.split(self._rng.permutation(every), self._p.minibatches)
            )
            for share in shares:
                given = whole if len(shares) == 1 else self.fleet.inputs(share.tolist())
                outputs, log_p = self._log_p(given, found, share)
                if old is None:  # the parameters are still those that acted
                    old = log_p.detach()
                gain, entropy = policy_loss(
                    outputs,
                    self._chosen(found, share),
                    old.view(len(every), -1)[share].view(-1),
                    self._of(advantage, share),
                    self._p.clip,
                )
                seen = torch.from_numpy(found.observations[share, self._first : -1]).flatten(0, 1)
                error = value_loss(
                    self.critic.values(seen), self._of(old_values, share), self._of(goals, share), self._p.clip
                )
                self._descend(gain - self._p.entropy * entropy + self._p.value * error)
        self.updates += 1

    def _judged(self, found: Results) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised advantages, value targets and values of all decisions, [E, T] each."""
        envs, length = found.rewards.shape
        with torch.no_grad():
            seen = torch.from_numpy(np.concatenate([found.observations.reshape(envs * (length + 1), -1), found.lasts]))
            values = self.critic.values(seen).numpy()
        here = values[: envs * (length + 1)].reshape(envs, length + 1)
        gained = advantages(found, here, values[envs * (length + 1) :], self._p.trace)
        scaled = self._how.normalised(gained)
        return torch.from_numpy(scaled), torch.from_numpy(gained + here[:, :-1]), torch.from_numpy(here[:, :-1].copy())

    def _log_p(self, given: Inputs, found: Results, share: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor]:
        """Logits [n, A] and log-probabilities [n] of the decisions of some environments."""
        places = torch.tensor([given.place[id(source)] for source in self._sources(share)])
        outputs = self.actor.outputs(given)[places]
        return outputs, log_p_of(outputs, self._chosen(found, share))

    def _acted(self, found: Results) -> Tensor:
        """Log-probabilities [n] that the decisions were drawn with."""
        every = np.arange(self._p.environments)
        outputs = torch.tensor(np.array([source.output for source in self._sources(every)]))
        return log_p_of(outputs, self._chosen(found, every))

    def _sources(self, share: np.ndarray[Any, Any]) -> list[Row | Episode]:
        """Where the decisions of some environments come from that losses count."""
        told = [self.fleet.recordings[index].decisions[self._first :] for index in share]
        return [decision.source for decisions in told for decision in decisions]

    def _chosen(self, found: Results, share: np.ndarray[Any, Any]) -> Tensor:
        return self._of(torch.from_numpy(found.actions), share)

    def _of(self, values: Tensor, share: np.ndarray[Any, Any]) -> Tensor:
        """Values [E, T] of those decisions, flat."""
        return values[share][:, self._first :].reshape(-1)

    def _descend(self, loss: Tensor) -> None:
        # Those of convolutions come with other strides than their weights, which a fused step would not notice.
        gradients = [gradient.contiguous() for gradient in torch.autograd.grad(loss, self._tensors)]
        clip_norm(gradients, self._p.gradient_norm)
        self._adam.step(gradients)

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Networks, optimiser, fleet, randomness; between rollouts."""
        return {
            "actor": [tensor.detach() for tensor in self.actor.tensors],
            "critic": [tensor.detach() for tensor in self.critic.tensors],
            "adam": self._adam.state(),
            "rng": self._rng.bit_generator.state,
            "fleet": self.fleet.state(),
            "counts": [self.updates, self._decisions],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, in place: acting keeps its views of the policy."""
        restored(self.actor, state["actor"])
        restored(self.critic, state["critic"])
        self._adam.restore(state["adam"])
        self._rng.bit_generator.state = state["rng"]
        self.fleet.restore(state["fleet"])
        self.updates, self._decisions = state["counts"]


class PPOProgram(Training):
    """Trains; one `advance` is a rollout and an update of every run, or one episode of evaluation."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        super().__init__(batch)
        spec = build(batch.cell.environment).spec()
        if spec.continuous:
            raise RtbenchError("this environment's actions are continuous", place="learner ppo", given="continuous")
        self.trainers = [Trainer(batch.cell, spec, params, seed) for seed in batch.seeds]
        self._segments = 0
        self.evaluation = Evaluation(batch.cell.budget, [self._evaluating(each, spec) for each in self.trainers])

    def _evaluating(self, trainer: Trainer, spec: EnvironmentSpec) -> Loop:
        actor, seed, phase = trainer.actor, trainer.seed, "evaluate"
        return Loop(
            self._cell,
            actor.graph,
            actings(self._cell, actor.graph, actor.views(), actor.start, seed, phase, fixed=True),
            HEADS["categorical"].decider(seed, phase),
            seed=seed,
            phase=phase,
            spec=spec,
            start=actor.start,
            bootstraps=False,
        )

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def trained_units(self) -> int:
        """Units of the budget behind every run; the last rollout may go beyond the budget."""
        return min(self.total_units, *(trainer.done_units for trainer in self.trainers))

    def _train(self) -> None:
        """A rollout and its update of every run that has not used up the budget."""
        for trainer in self.trainers:
            if trainer.done_units < self.total_units:
                trainer.advance()

    # ---- telling ---------------------------------------------------------------------------------------------------

    def outcomes(self) -> list[Outcome]:
        """The outcome columns of every run."""
        return [
            Outcome(
                {
                    **self.evaluation.columns(run),
                    **trainer.fleet.columns(),
                    "updates": trainer.updates,
                    **graph_columns(trainer.actor.graph, self._cell.interaction),
                },
                trainer.fleet.tally.extras() | self.evaluation.extras(run),
            )
            for run, trainer in enumerate(self.trainers)
        ]

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """What every run has learnt."""
        return [
            Policy(self._cell, trainer.seed, run_id, trainer.actor.views(), "categorical", trainer.actor.start)
            for trainer, run_id in zip(self.trainers, run_ids, strict=True)
        ]

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Every run's trainer, the curves."""
        return {
            "trainers": [trainer.state() for trainer in self.trainers],
            "evaluation": self.evaluation.state(),
            "done_units": self.done_units,
            "segments": self._segments,
        }

    def appended(self) -> dict[str, Any]:
        """Nothing: a rollout is used up before a checkpoint is taken, and every earlier segment is as empty."""
        self._segments += 1
        return {"spent": self._segments - 1}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, in place."""
        for trainer, saved in zip(self.trainers, state["trainers"], strict=True):
            trainer.restore(saved)
        self.evaluation.restore(state["evaluation"])
        self._segments = state["segments"]
