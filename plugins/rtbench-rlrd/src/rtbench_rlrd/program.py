"""The training program of both learners: a batch of runs, each with networks, a world and randomness of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.backends.torch_arithmetic import initial_parameters
from rtbench.errors import RtbenchError
from rtbench.interaction.timing import graph_execution, timeline_of
from rtbench.learners.acting import actings
from rtbench.learners.base import Outcome
from rtbench.learners.evaluation import Evaluation
from rtbench.learners.loop import Loop
from rtbench.learners.policy import Policy as Kept
from rtbench.learners.policy import graph_columns, mean_action
from rtbench.learners.refusals import check_trainable
from rtbench.learners.sac_networks import LOG_STD_HIGH, LOG_STD_LOW
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.seeds import derive, generator
from rtbench_rlrd.fragments import Fragments, History
from rtbench_rlrd.networks import Policy, Twins, augmented, discounted, resampled

if TYPE_CHECKING:
    from torch import Tensor

    from rtbench.cell import RunBatch
    from rtbench_rlrd.learners import Params

Array = NDArray[np.float32]
_PROBE_STEPS = 64


class Trainee:
    """One run."""

    def __init__(self, batch: RunBatch, params: Params, seed: int, *, resamples: bool) -> None:
        cell = self._cell = batch.cell
        self._p, self._resamples, self.seed = params, resamples, seed
        spec = build(cell.environment).spec()
        check_trainable(cell.learner.name, spec)
        self._action_size = size = spec.action_size
        self.graph = build(cell.architecture).make(PolicyShape.of(spec, 2 * size))
        execution, delta = graph_execution(cell.interaction), cell.interaction.delta or 1
        self._torch_rng = torch.Generator().manual_seed(derive(seed, "network"))
        self._rng = generator(seed, cell.learner.name)
        parameters = initial_parameters(self.graph, [self._torch_rng])
        self._policy_tensors = [tensor.requires_grad_() for layer in parameters.values() for tensor in layer.values()]
        self.policy = Policy(
            self.graph, self.graph.lags(execution, delta), self.graph.plan(execution, delta), parameters
        )
        self._check_delay(spec.step_s)
        extra = 0 if resamples else 1
        inputs = spec.observation_size + (self.policy.delay + extra) * size
        self._critics = Twins(inputs, params.critic_width, params.critic_layers, self._torch_rng)
        self._target = [tensor.detach().clone() for tensor in self._critics.tensors]
        self._log_alpha = torch.zeros(1, requires_grad=True)
        self._optimisers = {
            "policy": torch.optim.Adam(self._policy_tensors, params.policy_learning_rate),
            "critics": torch.optim.Adam(self._critics.tensors, params.critic_learning_rate),
            "alpha": torch.optim.Adam([self._log_alpha], params.alpha_learning_rate),
        }
        self.history = History(spec.observation_size, size, self.policy.delay, self.policy.before)
        self.views = {
            name: {"weight": layer["weight"].detach()[0].numpy(), "bias": layer["bias"].detach()[0, 0].numpy()}
            for name, layer in parameters.items()
        }

        def world(phase: str, decide: Any, recorder: Any = None) -> Loop:
            own = actings(cell, self.graph, self.views, "zero", seed, phase)
            return Loop(
                cell, self.graph, own, decide, seed=seed, phase=phase, recorder=recorder, spec=spec, bootstraps=False
            )

        self.loop = world("train", self._explore, self.history)
        self.evaluating = world("evaluate", mean_action)
        self.units, self.updates = 0, 0

    def _check_delay(self, step_s: float) -> None:
        """RtbenchError unless every step has an action of the age that the graph says."""
        met = self._cell.interaction
        line = timeline_of(met, len(self.graph.layers), step_s, _PROBE_STEPS, 0, "delay")
        acted = np.flatnonzero(line.source >= 0)
        steady = len(acted) > 1 and (np.diff(acted) == 1).all()
        if not (steady and (acted - line.read_step[line.source[acted]] == 1).all()) or self.graph.recurrent:
            raise RtbenchError(
                "the delay is not constant, or some step has no action of its own",
                place=f"learner {self._cell.learner.name}",
                hint="pipelined with delta = 1, or sequential where layers · delta is 1; no recurrence",
            )

    def _explore(self, output: Array) -> Array:
        """A sampled action; uniform until learning starts."""
        size = self._action_size
        if self.units <= self._p.learning_starts:
            return self._rng.uniform(-1, 1, size).astype(np.float32)
        mean, raw = output[:size], output[size:]
        log_std = LOG_STD_LOW + 0.5 * (LOG_STD_HIGH - LOG_STD_LOW) * (np.tanh(raw) + 1)
        noise = self._rng.standard_normal(size, dtype=np.float32)
        action: Array = np.tanh(mean + np.exp(log_std) * noise)
        return action

    # ---- learning --------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """One unit of the budget in the world, and its update."""
        self.units += 1
        per_step = self._cell.budget.unit == "env_steps"
        while (self.loop.tally.env_steps if per_step else self.loop.tally.ticks) < self.units:
            self.loop.advance()
        if self.units > self._p.learning_starts and self.history.drawable:
            self.update(self.history.draw(self._rng, self._p.batch_size))

    def update(self, drawn: Fragments) -> None:
        """One step of the critics, of the policy and of α, then the target follows."""
        t = Fragments(*(torch.from_numpy(each) for each in drawn))  # type: ignore[arg-type]
        update = self._over_fragments if self._resamples else self._over_steps
        critic_loss, policy_loss, log_p = update(t)
        alpha_loss = -(self._log_alpha.exp() * (log_p.detach() - self._action_size)).mean()
        losses = {"critics": critic_loss, "policy": policy_loss, "alpha": alpha_loss}
        trained = {"critics": self._critics.tensors, "policy": self._policy_tensors, "alpha": [self._log_alpha]}
        for name, loss in losses.items():
            gradients = torch.autograd.grad(loss, trained[name])
            for tensor, gradient in zip(trained[name], gradients, strict=True):
                tensor.grad = gradient
        for optimiser in self._optimisers.values():
            optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self._target, self._critics.tensors, self._p.tau)
        self.updates += 1

    def _noise(self, steps: int, batch: int) -> Tensor:
        return torch.randn(steps, batch, self._action_size, generator=self._torch_rng)

    def _recorded(self, t: Any, count: int) -> list[Tensor]:
        """The recorded actions from t on."""
        return [t.actions[:, self.policy.before + step] for step in range(count)]

    def _over_fragments(self, t: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Both losses of the delay-correcting actor-critic, and log-probabilities."""
        policy, gamma, d = self.policy, self._p.gamma, self.policy.delay
        alpha = self._log_alpha.exp().detach()
        actions, log_p = resampled(policy, t.observations, t.actions, d, self._noise(d, len(t.rewards)))
        end = augmented(policy, t.observations, [*self._recorded(t, d), *actions], d)
        entropies = -alpha * log_p * t.alive[:, :d]
        with torch.no_grad():
            last = t.alive[:, d] * gamma**d * self._critics(end, self._target).amin(0)
            goal = discounted(t.rewards + entropies, gamma) + last
        begin = augmented(policy, t.observations, self._recorded(t, d), 0)
        critic_loss = (self._critics(begin) - goal).square().mean(1).sum()
        worth = discounted(entropies, gamma) + t.alive[:, d] * gamma**d * self._critics(end).amin(0)
        return critic_loss, -worth.mean(), log_p

    def _over_steps(self, t: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Both losses of SAC on augmented states, and log-probabilities."""
        policy, gamma, d = self.policy, self._p.gamma, self.policy.delay
        alpha, noise = self._log_alpha.exp().detach(), self._noise(2, len(t.rewards))
        own, log_p = policy.decided(t.observations, t.actions, [], 0, noise[0])
        recorded = self._recorded(t, d + 1)
        # Where an episode ended before it was applied, no decision is known.
        taken = torch.where(t.decided[:, None], recorded[d], own.detach())
        begin = augmented(policy, t.observations, recorded, 0)
        with torch.no_grad():
            following, next_log_p = policy.decided(t.observations, t.actions, [taken], 1, noise[1])
            after = augmented(policy, t.observations, [*recorded[:d], taken], 1)
            value = self._critics(torch.cat([after, following], dim=-1), self._target).amin(0) - alpha * next_log_p
            goal = t.rewards[:, 0] + gamma * t.alive[:, 1] * value
        critic_loss = (self._critics(torch.cat([begin, taken], dim=-1)) - goal).square().mean(1).sum()
        worth = self._critics(torch.cat([begin, own], dim=-1)).amin(0) - alpha * log_p
        return critic_loss, -worth.mean(), log_p

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    @property
    def _tensors(self) -> list[Tensor]:
        return [*self._policy_tensors, *self._critics.tensors, *self._target, self._log_alpha]

    def state(self) -> dict[str, Any]:
        """Everything but what the history has handed over."""
        return {
            "tensors": [tensor.detach() for tensor in self._tensors],
            "adam": {name: _moments(optimiser) for name, optimiser in self._optimisers.items()},
            "torch": self._torch_rng.get_state(),
            "rng": self._rng.bit_generator.state,
            "history": self.history.state(),
            "loop": self.loop.state(),
            "units": [self.units, self.updates],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, in place: acting keeps its views of the policy."""
        with torch.no_grad():
            for tensor, saved in zip(self._tensors, state["tensors"], strict=True):
                tensor.copy_(saved)
        for name, optimiser in self._optimisers.items():
            _set_moments(optimiser, state["adam"][name])
        self._torch_rng.set_state(state["torch"])
        self._rng.bit_generator.state = state["rng"]
        self.history.restore(state["history"])
        self.loop.restore(state["loop"])
        self.units, self.updates = state["units"]


def _moments(optimiser: torch.optim.Adam) -> list[dict[str, Tensor]]:
    """Adam's memory, tensor by tensor; empty before the first step."""
    return [dict(optimiser.state[tensor]) for tensor in optimiser.param_groups[0]["params"] if optimiser.state[tensor]]


def _set_moments(optimiser: torch.optim.Adam, saved: list[dict[str, Tensor]]) -> None:
    for tensor, kept in zip(optimiser.param_groups[0]["params"], saved, strict=False):
        optimiser.state[tensor] = {name: value.clone() for name, value in kept.items()}


class DelayedProgram:
    """One `advance` is one unit of every run, or one episode of evaluation."""

    def __init__(self, batch: RunBatch, params: Params, *, resamples: bool) -> None:
        self._batch = batch
        self.trainees = [Trainee(batch, params, seed, resamples=resamples) for seed in batch.seeds]
        self._evaluation = Evaluation(batch.cell.budget, [each.evaluating for each in self.trainees])

    @property
    def done_units(self) -> int:
        """Units of the budget behind it."""
        return self.trainees[0].units

    @property
    def total_units(self) -> int:
        """Units of the budget in all."""
        return self._batch.cell.budget.steps

    @property
    def done(self) -> bool:
        """True when training and the final evaluation are over."""
        return self.done_units >= self.total_units and not self._evaluation.running and self._evaluation.done

    def advance(self) -> None:
        """A point of the curve that is under way first, then training, then the final evaluation."""
        if self._evaluation.running:
            self._evaluation.advance(self.done_units)
        elif self.done_units < self.total_units:
            for trainee in self.trainees:
                trainee.advance()
            self._evaluation.after(self.done_units)
        else:
            self._evaluation.advance_final()

    def metrics(self) -> list[dict[str, float]]:
        """The points of the curve since the last call."""
        return self._evaluation.metrics()

    def outcomes(self) -> list[Outcome]:
        """The columns of every run's row; `rlrd/delay_steps` is d."""
        return [
            Outcome(
                self._columns(run),
                {**self._evaluation.extras(run), "rlrd/delay_steps": float(trainee.policy.delay)},
            )
            for run, trainee in enumerate(self.trainees)
        ]

    def _columns(self, run: int) -> dict[str, Any]:
        trainee = self.trainees[run]
        loop = trainee.loop
        return {
            **self._evaluation.columns(run),
            "episodes": len(loop.returns),
            "episode_length": float(np.mean(loop.lengths)) if loop.lengths else None,
            "train_return_mean": float(np.mean(loop.returns)) if loop.returns else None,
            "updates": trainee.updates,
            **loop.tally.columns(),
            **graph_columns(trainee.graph, self._batch.cell.interaction),
        }

    def policies(self, run_ids: Sequence[str]) -> list[Kept]:
        """What every run has learnt."""
        return [
            Kept(self._batch.cell, trainee.seed, run_id, trainee.views)
            for run_id, trainee in zip(run_ids, self.trainees, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """Everything small."""
        return {"trainees": [each.state() for each in self.trainees], "evaluation": self._evaluation.state()}

    def appended(self) -> dict[str, Any]:
        """What every history has gained since the last call."""
        return {"histories": [each.history.appended() for each in self.trainees]}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, given all segments in order."""
        for segment in segments:
            for trainee, gained in zip(self.trainees, segment["histories"], strict=True):
                trainee.history.absorb(gained)
        for trainee, saved in zip(self.trainees, state["trainees"], strict=True):
            trainee.restore(saved)
        self._evaluation.restore(state["evaluation"])
