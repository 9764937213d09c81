"""SAC's training program: a batch of runs in lockstep, each with its own worlds, replay and randomness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.backends.torch_arithmetic import initial_parameters
from rtbench.interaction.timing import graph_execution
from rtbench.learners.adam import Adam
from rtbench.learners.base import Outcome
from rtbench.learners.cuts import cut
from rtbench.learners.evaluation import WHOLE, Evaluation
from rtbench.learners.loop import Loop
from rtbench.learners.policy import Policy, graph_columns, mean_action
from rtbench.learners.refusals import check_trainable
from rtbench.learners.sac_networks import (
    LOG_STD_HIGH,
    LOG_STD_LOW,
    Actor,
    Critics,
    soft_target,
    squashed,
    squashed_gradient,
)
from rtbench.learners.training import Training
from rtbench.learners.worlds import Sampling, Worlds, new_loop, policies, views
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.seeds import derive, generator

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.learners.sac import Params
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]


class SACProgram(Training):
    """Trains; one `advance` is one unit of the budget (its ticks and its update) or one episode of evaluation."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        super().__init__(batch)
        self._p = params
        cell, p, runs = batch.cell, params, len(batch.seeds)
        environment = build(cell.environment)
        spec = environment.spec()
        check_trainable("sac", spec)
        self._sizes = (spec.observation_size, spec.action_size)
        self.graph = build(cell.architecture).make(PolicyShape.of(spec, 2 * spec.action_size))
        execution, delta = graph_execution(cell.interaction), cell.interaction.delta or 1
        burn_in = p.burn_in_ticks if self.graph.recurrent else 0
        self._lags = self.graph.lags(execution, delta)
        plan = self.graph.plan(execution, delta, burn_in)
        self._torch_rngs = [torch.Generator().manual_seed(derive(seed, "network")) for seed in self._seeds]
        self._rngs = [generator(seed, "sac") for seed in self._seeds]

        trained = initial_parameters(self.graph, self._torch_rngs)
        self.actor = Actor(
            self.graph,
            self._lags,
            plan,
            trained,
            p.start,
            precision=cell.precision,
            generators=self._torch_rngs,
        )
        inputs = spec.observation_size + (self.graph.augmented_actions + 1) * spec.action_size
        self.critics = Critics(inputs, p.critic_width, p.critic_layers, self._torch_rngs, cell.precision)
        self._log_alpha = torch.zeros(runs, 1)
        self._optimisers = {
            "policy": Adam(self.actor.tensors, p.policy_learning_rate),
            "q": Adam(self.critics.members, p.q_learning_rate),
            "alpha": Adam([self._log_alpha], p.alpha_learning_rate),
        }
        self.worlds = Worlds(
            batch, spec, self.actor, self._explore, Sampling(p.replay_size, p.batch_size, p.gamma), self._rngs
        )
        self.evaluation = self._new_evaluation(spec)
        self._done_units = 0
        self._updates = 0

    # ---- making ----------------------------------------------------------------------------------------------------

    def _new_evaluation(self, spec: EnvironmentSpec) -> Evaluation:
        for edge in self._p.cuts:
            cut(self.graph, views(self.actor, 0), edge)  # names the edges that can be cut before anything is trained

        def loops(edge: str = "") -> list[Loop]:
            own = [views(self.actor, run) for run in range(len(self._seeds))]
            return [
                new_loop(
                    self._cell,
                    self.actor,
                    cut(self.graph, parameters, edge) if edge else parameters,
                    mean_action,
                    spec,
                    seed=seed,
                    phase="evaluate",
                )
                for seed, parameters in zip(self._seeds, own, strict=True)
            ]

        cuts = {edge: partial(loops, edge) for edge in self._p.cuts}
        return Evaluation(self._cell.budget, loops(), {WHOLE: loops, **cuts} if cuts else {})

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
    def trained_units(self) -> int:
        """Units of the budget behind it."""
        return self._done_units

    def _train(self) -> None:
        """One unit, and its update."""
        self._done_units += 1
        self.worlds.advance(self._done_units)
        if self._done_units > self._p.learning_starts and self.worlds.ready:
            self.update()

    # ---- learning --------------------------------------------------------------------------------------------------

    def _noise(self) -> torch.Tensor:
        shape = (self._p.batch_size, self._sizes[1])
        return torch.stack([torch.randn(shape, generator=rng) for rng in self._torch_rngs])

    def update(self) -> None:
        """One critic update; every `policy_frequency` updates as many policy and entropy updates on the same batch."""
        self.worlds.draw()
        t, (window, next_window), seen = self.worlds.tensors, self.worlds.windows, self.worlds.seen
        output = self.actor.head(next_window, t["window_actions"][:, 1], t["since"][:, 1])
        next_action, next_log_p = squashed(output, self._noise())
        next_q = self.critics.target_layers.q(torch.cat([seen[1], next_action], dim=-1))
        goal = soft_target(t["rewards"], t["discounts"], next_q, next_log_p, self._log_alpha.exp())
        self._optimisers["q"].step(self.critics.layers.gradients(torch.cat([seen[0], t["actions"]], dim=-1), goal))
        self.critics.layers.refresh()
        self._updates += 1
        if self._updates % self._p.policy_frequency == 0:
            for _ in range(self._p.policy_frequency):
                self._update_policy(window, seen[0])
        self.critics.follow(self._p.tau)

    def _update_policy(self, window: torch.Tensor, seen: torch.Tensor) -> None:
        """Down the gradients of mean(α log π − min Q) for the policy and −α mean(log π + H) for log α, H = −|A|."""
        t = self.worlds.tensors
        output, way_back = self.actor.trained(window, t["window_actions"][:, 0], t["since"][:, 0])
        alpha, batch, noise = self._log_alpha.exp(), self._p.batch_size, self._noise()
        action, log_p = squashed(output, noise)
        _, slope = self.critics.layers.minimum(seen, action)
        to_output = squashed_gradient(output, noise, action, slope / -batch, (alpha / batch).unsqueeze(-1))
        self._optimisers["policy"].step(way_back(to_output))
        self.actor.refresh()
        self._optimisers["alpha"].step([-alpha * (log_p - self._sizes[1]).mean(-1, keepdim=True)])

    # ---- telling ---------------------------------------------------------------------------------------------------

    def outcomes(self) -> list[Outcome]:
        """The outcome columns of every run."""
        about = {"updates": self._updates, **graph_columns(self.graph, self._cell.interaction)}
        return [
            Outcome(
                {**self.evaluation.columns(run), **self.worlds.columns(run), **about},
                self.worlds.loops[run].tally.extras() | self.evaluation.extras(run),
            )
            for run in range(len(self._seeds))
        ]

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """What every run has learnt."""
        return policies(self._batch, self.actor, run_ids)

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Networks, optimisers, generators, worlds, curves."""
        return {
            "policy": self.actor.tensors,
            "critics": self.critics.parameters,
            "target": self.critics.target,
            "log_alpha": self._log_alpha,
            "optimisers": {name: optimiser.state() for name, optimiser in self._optimisers.items()},
            "torch": [rng.get_state() for rng in self._torch_rngs],
            "worlds": self.worlds.state(),
            "evaluation": self.evaluation.state(),
            "done_units": self._done_units,
            "updates": self._updates,
        }

    def appended(self) -> dict[str, Any]:
        """What every replay has gained since the last call."""
        return self.worlds.appended()

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, in place: acting keeps its views of the policy."""
        groups = (
            (self.actor.tensors, state["policy"]),
            (self.critics.parameters, state["critics"]),
            (self.critics.target, state["target"]),
            ([self._log_alpha], [state["log_alpha"]]),
        )
        for tensors, saved in groups:
            for tensor, value in zip(tensors, saved, strict=True):
                tensor.copy_(value)
        for copies in (self.actor, self.critics.layers, self.critics.target_layers):
            copies.refresh()
        for name, optimiser in self._optimisers.items():
            optimiser.restore(state["optimisers"][name])
        for torch_rng, saved in zip(self._torch_rngs, state["torch"], strict=True):
            torch_rng.set_state(saved)
        self.worlds.restore(state["worlds"], segments)
        self._done_units, self._updates = state["done_units"], state["updates"]
        self.evaluation.restore(state["evaluation"])
