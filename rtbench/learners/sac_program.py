"""SAC's training program: a batch of runs in lockstep, each with its own worlds, replay and randomness."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.backends.torch_arithmetic import initial_parameters
from rtbench.interaction.timing import timeline_of
from rtbench.learners.adam import Adam
from rtbench.learners.base import Outcome
from rtbench.learners.loop import Loop
from rtbench.learners.replay import Replay, Sample
from rtbench.learners.sac_networks import (
    LOG_STD_HIGH,
    LOG_STD_LOW,
    Actor,
    Critics,
    minimum_q,
    soft_target,
    squashed,
    squashed_gradient,
)
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.seeds import derive, generator

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.learners.sac import Params

Array = NDArray[np.float32]
_PROBE_STEPS, _SLACK, _SPARE = 4000, 1.1, 1024


class SACProgram:
    """Trains; one `advance` is one unit of the budget (its ticks and its update) or one episode of evaluation."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        self._cell, self._seeds, self._p = batch.cell, batch.seeds, params
        cell, p, runs = batch.cell, params, len(batch.seeds)
        environment = build(cell.environment)
        spec = environment.spec()
        if not spec.continuous:
            raise ValueError("SAC needs continuous actions")
        self._sizes = (spec.observation_size, spec.action_size)
        self.graph = build(cell.architecture).make(PolicyShape(*self._sizes, 2 * spec.action_size))
        execution, delta = cell.interaction.execution, cell.interaction.delta or 1
        burn_in = p.burn_in_ticks if self.graph.recurrent else 0
        self._lags = self.graph.lags(execution, delta)
        plan = self.graph.plan(execution, delta, burn_in)
        self._torch_rngs = [torch.Generator().manual_seed(derive(seed, "network")) for seed in self._seeds]
        self._rngs = [generator(seed, "sac") for seed in self._seeds]

        trained = initial_parameters(self.graph, self._torch_rngs)
        self.actor = Actor(self.graph, self._lags, plan, trained, p.start)
        self._policy = [tensor.requires_grad_() for layer in trained.values() for tensor in layer.values()]
        past = self.graph.augmented_actions
        inputs = spec.observation_size + (past + 1) * spec.action_size
        self.critics = Critics(inputs, p.critic_width, p.critic_layers, self._torch_rngs)
        self._target = self.critics.copies()
        self._log_alpha = torch.zeros(runs, 1)
        self._optimisers = {
            "policy": Adam(self._policy, p.policy_learning_rate),
            "q": Adam(self.critics.members, p.q_learning_rate),
            "alpha": Adam([self._log_alpha], p.alpha_learning_rate),
        }
        self.replays = [self._new_replay(spec.step_s) for _ in self._seeds]
        self.sample = Sample.empty(
            runs, p.batch_size, self._sizes, (len(self.actor.observation_ticks), len(plan.action_ticks), past)
        )
        self._tensors = {name: torch.from_numpy(getattr(self.sample, name)) for name in Sample.__dataclass_fields__}
        self._loops = [self._new_loop(index, "train", spec) for index in range(runs)]
        self._evaluations = [self._new_loop(index, "evaluate", spec) for index in range(runs)]
        self._done_units = 0
        self._updates = 0
        self._curve: list[tuple[int, list[float]]] = []
        self._evaluating: list[list[float]] | None = None
        self._final: list[list[float]] | None = None
        self._reported = 0
        self._losses: dict[str, list[float]] = {}

    # ---- making ----------------------------------------------------------------------------------------------------

    def _new_replay(self, step_s: float) -> Replay:
        """Room for `replay_size` applied decisions and every row and inference that comes with them.

        How many those are is read off a stretch of the interaction's own timeline; the slack is for what is drawn.
        """
        cell, p = self._cell, self._p
        timeline = timeline_of(cell.interaction, len(self.graph.layers), step_s, _PROBE_STEPS, 0, "replay size")
        applied = max(1, int((timeline.source >= 0).sum()))
        kept = min(p.replay_size, cell.budget.steps)
        rows = ceil(kept * _SLACK * timeline.steps / applied) + _SPARE
        per_step = cell.budget.unit == "env_steps"
        return Replay(
            *self._sizes,
            decisions=ceil(rows * _SLACK * max(1.0, len(timeline.started_ns) / timeline.steps)) + _SPARE,
            rows=rows,
            gamma_decision=1.0 if per_step else p.gamma,
            gamma_step=p.gamma if per_step else 1.0,
        )

    def _views(self, run: int) -> dict[str, dict[str, Array]]:
        """NumPy views of one run's policy: acting sees every update at once."""
        return {
            name: {
                "weight": layer["weight"].detach()[run].numpy(),
                "bias": layer["bias"].detach()[run, 0].numpy(),
            }
            for name, layer in self.actor.parameters.items()
        }

    def _new_loop(self, run: int, phase: str, spec: Any) -> Loop:
        interaction = self._cell.interaction
        acting = build(self._cell.backend).make(
            self.graph, self._views(run), interaction.execution, interaction.delta or 1, self._p.start
        )
        training = phase == "train"
        return Loop(
            self._cell,
            self.graph,
            acting,
            self._explore(run) if training else mean_action,
            seed=self._seeds[run],
            phase=phase,
            recorder=self.replays[run] if training else None,
            spec=spec,
            start=self._p.start,
        )

    def _explore(self, run: int) -> Callable[[Array], Array]:
        """A sampled action; uniform until learning starts, while the pipeline already runs."""
        rng, size = self._rngs[run], self._sizes[1]

        def decide(output: Array) -> Array:
            if self._done_units <= self._p.learning_starts:  # units are counted from 1 while they run
                drawn: Array = rng.uniform(-1, 1, size).astype(np.float32)
                return drawn
            mean, raw = output[:size], output[size:]
            log_std = LOG_STD_LOW + 0.5 * (LOG_STD_HIGH - LOG_STD_LOW) * (np.tanh(raw) + 1)
            noise = rng.standard_normal(size, dtype=np.float32)
            action: Array = np.tanh(mean + np.exp(log_std) * noise)
            return action

        return decide

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def done_units(self) -> int:
        """Units of the budget behind it."""
        return self._done_units

    @property
    def total_units(self) -> int:
        """Units of the budget in all."""
        return self._cell.budget.steps

    @property
    def done(self) -> bool:
        """True when the final evaluation is over."""
        return self._final is not None and len(self._final[0]) >= self._cell.budget.final_eval_episodes

    def advance(self) -> None:
        """One unit of training, or one evaluation episode per run."""
        budget = self._cell.budget
        if self._evaluating is not None:
            self._evaluate()
            return
        if self._done_units >= budget.steps:
            self._final = self._final or [[] for _ in self._seeds]
            self._episode(self._final)
            return
        self._done_units += 1
        for loop in self._loops:
            self._act(loop)
        ready = all(replay.ready(self.actor.plan.window_ticks) for replay in self.replays)
        if self._done_units > self._p.learning_starts and ready:
            self.update()
        if self._done_units % budget.eval_every == 0 and budget.eval_episodes:
            self._evaluating = [[] for _ in self._seeds]

    def _act(self, loop: Loop) -> None:
        """Let a run's world go on until it has used up the budget so far."""
        per_step = self._cell.budget.unit == "env_steps"
        while (loop.tally.env_steps if per_step else loop.tally.ticks) < self._done_units:
            loop.advance()

    def _evaluate(self) -> None:
        assert self._evaluating is not None
        self._episode(self._evaluating)
        if len(self._evaluating[0]) >= self._cell.budget.eval_episodes:
            self._curve.append((self._done_units, [float(np.mean(returns)) for returns in self._evaluating]))
            self._evaluating = None

    def _episode(self, returns: list[list[float]]) -> None:
        for found, loop in zip(returns, self._evaluations, strict=True):
            found.append(loop.run_episode())

    # ---- learning --------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        plan = self.actor.plan
        for run, (replay, rng) in enumerate(zip(self.replays, self._rngs, strict=True)):
            chosen = replay.choose(rng, self._p.batch_size, plan.window_ticks)
            replay.fill(self.sample.run(run), chosen, self.actor.observation_ticks, plan.action_ticks)

    def _noise(self) -> torch.Tensor:
        shape = (self._p.batch_size, self._sizes[1])
        return torch.stack([torch.randn(shape, generator=rng) for rng in self._torch_rngs])

    def update(self) -> None:
        """One critic update; every `policy_frequency` updates as many policy and entropy updates on the same batch."""
        self._draw()
        t = self._tensors
        windows = len(self.actor.observation_ticks)
        window, next_window = t["observations"][:, 2 : 2 + windows], t["observations"][:, 2 + windows :]
        # The critics' state: the observation at the applied step and, where augmented, the actions applied before it.
        seen = [torch.cat([t["observations"][:, i], *t["past_actions"][:, i].unbind(1)], dim=-1) for i in (0, 1)]
        with torch.no_grad():
            output = self.actor.head(next_window, t["window_actions"][:, 1], t["since"][:, 1])
            next_action, next_log_p = squashed(output, self._noise())
            next_q = self.critics.value(*self._target, torch.cat([seen[1], next_action], dim=-1))
            goal = soft_target(t["rewards"], t["discounts"], next_q, next_log_p, self._log_alpha.exp())
            self._optimisers["q"].step(self.critics.gradients(torch.cat([seen[0], t["actions"]], dim=-1), goal))
        self._updates += 1
        if self._updates % self._p.policy_frequency == 0:
            for _ in range(self._p.policy_frequency):
                self._update_policy(window, seen[0])
        for target, source in zip(self._target, (self.critics.weights, self.critics.biases), strict=True):
            torch._foreach_lerp_(target, source, self._p.tau)

    def _update_policy(self, window: torch.Tensor, seen: torch.Tensor) -> None:
        """Down the gradients of mean(α log π − min Q) for the policy and −α mean(log π + H) for log α, H = −|A|."""
        t = self._tensors
        output = self.actor.head(window, t["window_actions"][:, 0], t["since"][:, 0])
        alpha, batch = self._log_alpha.exp(), self._p.batch_size
        with torch.no_grad():
            noise = self._noise()
            action, log_p = squashed(output, noise)
            _, slope = minimum_q(self.critics.weights, self.critics.biases, seen, action)
            to_output = squashed_gradient(output, noise, action, slope / -batch, (alpha / batch).unsqueeze(-1))
        to_policy = torch.autograd.grad(output, self._policy, to_output, materialize_grads=True)
        self._optimisers["policy"].step(to_policy)
        self._optimisers["alpha"].step([-alpha * (log_p - self._sizes[1]).mean(-1, keepdim=True)])

    # ---- telling ---------------------------------------------------------------------------------------------------

    def metrics(self) -> list[dict[str, float]]:
        """The evaluation return of every curve point since the last call."""
        fresh = self._curve[self._reported :]
        self._reported = len(self._curve)
        return [{"step": float(step), **{f"eval_return/{i}": r for i, r in enumerate(found)}} for step, found in fresh]

    def outcomes(self) -> list[Outcome]:
        """The outcome columns of every run."""
        return [self._outcome(run) for run in range(len(self._seeds))]

    def _outcome(self, run: int) -> Outcome:
        loop = self._loops[run]
        curve = [found[run] for _, found in self._curve]
        final = self._final[run] if self._final else []
        return Outcome(
            {
                "eval_return_final": float(np.mean(final)) if final else None,
                "eval_return_auc": float(np.mean(curve)) if curve else None,
                "eval_step": [step for step, _ in self._curve],
                "eval_return": curve,
                "episodes": len(loop.returns),
                "episode_length": float(np.mean(loop.lengths)) if loop.lengths else None,
                "train_return_mean": float(np.mean(loop.returns)) if loop.returns else None,
                "updates": self._updates,
                **loop.tally.columns(),
                **self._graph_columns(),
            }
        )

    def _graph_columns(self) -> dict[str, Any]:
        """What the graph says of itself: its size, and paths that break the constraint of pipelined execution."""
        interaction = self._cell.interaction
        broken = self.graph.violations(interaction.delta or 1) if interaction.execution == "pipelined" else []
        return {
            "parameters": self.graph.parameter_count(),
            "flops": self.graph.flops(),
            "constraint_violation": "; ".join(broken) or None,
        }

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Networks, optimisers, generators, worlds, curves."""
        return {
            "policy": [tensor.detach() for tensor in self._policy],
            "critics": self.critics.parameters,
            "target": [*self._target[0], *self._target[1]],
            "log_alpha": self._log_alpha,
            "optimisers": {name: optimiser.state() for name, optimiser in self._optimisers.items()},
            "torch": [rng.get_state() for rng in self._torch_rngs],
            "numpy": [rng.bit_generator.state for rng in self._rngs],
            "replays": [replay.state() for replay in self.replays],
            "loops": [loop.state() for loop in self._loops],
            "evaluations": [loop.state() for loop in self._evaluations],
            "done_units": self._done_units,
            "updates": self._updates,
            "curve": [[step, found] for step, found in self._curve],
            "evaluating": self._evaluating,
            "final": self._final,
            "reported": self._reported,
        }

    def appended(self) -> dict[str, Any]:
        """What every replay has gained since the last call."""
        return {"replays": [replay.appended() for replay in self.replays]}

    def restore(self, state: dict[str, Any], segments: list[dict[str, Any]]) -> None:
        """Back to a state, in place: acting keeps its views of the policy."""
        with torch.no_grad():
            groups = (
                (self._policy, state["policy"]),
                (self.critics.parameters, state["critics"]),
                ([*self._target[0], *self._target[1]], state["target"]),
                ([self._log_alpha], [state["log_alpha"]]),
            )
            for tensors, saved in groups:
                for tensor, value in zip(tensors, saved, strict=True):
                    tensor.copy_(value)
        for name, optimiser in self._optimisers.items():
            optimiser.restore(state["optimisers"][name])
        for torch_rng, saved in zip(self._torch_rngs, state["torch"], strict=True):
            torch_rng.set_state(saved)
        for rng, saved in zip(self._rngs, state["numpy"], strict=True):
            rng.bit_generator.state = saved
        for run, replay in enumerate(self.replays):
            replay.restore(state["replays"][run], [segment["replays"][run] for segment in segments])
        for loops, key in ((self._loops, "loops"), (self._evaluations, "evaluations")):
            for loop, saved in zip(loops, state[key], strict=True):
                loop.restore(saved)
        self._done_units, self._updates = state["done_units"], state["updates"]
        self._curve = [(step, list(found)) for step, found in state["curve"]]
        self._evaluating, self._final = state["evaluating"], state["final"]
        self._reported = state["reported"]


def mean_action(output: Array) -> Array:
    """tanh of the mean: how an agent is evaluated."""
    action: Array = np.tanh(output[: len(output) // 2])
    return action
