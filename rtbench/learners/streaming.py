"""Streaming temporal-difference learning: the parts. The program is `rtbench.learners.streaming_program`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rtbench.learners.dqn import refusal
from rtbench.learners.refusals import WALL
from rtbench.parts import Learner, param

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.base import Program


@dataclass(frozen=True)
class Params:
    """Elsayed, Vasan and Mahmood 2024, as published for discrete actions."""

    gamma: float = param(0.99, unit="per environment step", doc="discount rate")
    trace: float = param(0.8, doc="λ of eligibility traces, per decision")
    step_size: float = param(1.0, doc="α before it is bounded")
    value_overshoot: float = param(2.0, doc="κ: bounds the step of values")
    sparsity: float = param(0.9, doc="share of each neuron's initial weights that are 0")
    epsilon_start: float = param(1.0, doc="stream-q: share of random actions at first")
    epsilon_end: float = param(0.01, doc="stream-q: share of random actions in the end")
    epsilon_steps: int = param(100_000, unit="environment steps", doc="stream-q: how long it falls, linearly")
    normalise_observations: bool = param(True, doc="by the mean and variance of all observations so far")
    scale_rewards: bool = param(True, doc="by the standard deviation of the discounted return so far")


@dataclass(frozen=True)
class ActorCriticParams(Params):
    """The same with an actor."""

    policy_overshoot: float = param(3.0, doc="κ: bounds the step of the policy")
    entropy: float = param(0.01, doc="weight of the policy's entropy")


class StreamQ(Learner):
    """Stream Q(λ): one update per decision, from that decision, and nothing is kept (Elsayed et al. 2024).

    Watkins' Q(λ) with a step bounded so that it does not overshoot (ObGD), sparse initial weights, normalised
    observations and scaled rewards. A transition is that of `dqn`: under delay from the observation that an action was
    computed from to the one that the next was computed from. An action that was not the best by the values it is learnt
    from is still learnt from along the traces, which end after it. Updates take no time.

    Published networks also normalise every layer (without learnt scale) and rectify leakily; a graph of ours has
    neither, so the architecture's own activations are used.
    """

    Params: ClassVar[type] = Params
    revision = 2
    preload = ("rtbench.learners.streaming_program",)
    reference_units_per_s = 150.0

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """What `dqn` needs of a cell, on the virtual clock, with updates that take no time; shares within range."""
        p, name = cell.learner.params, cell.learner.name
        if cell.interaction.clock == "wall":
            return f"learner {name}: {WALL}"
        if cell.interaction.learning is not None:
            return f"learner {name} learns at every decision, in no time; leave the interaction's `learning` out"
        if cell.interaction.latency_convention != "paper":
            return f"learner {name} discounts and explores by environment steps: latency_convention = 'paper'"
        for key in ("gamma", "trace", "epsilon_start", "epsilon_end"):
            if not 0 <= p[key] <= 1:
                return f"learner {name}: {key} is a share between 0 and 1, got {p[key]}"
        if not 0 <= p["sparsity"] < 1:
            return f"learner {name}: sparsity is at least 0 and below 1, got {p['sparsity']}"
        if p["epsilon_steps"] < 1 or p["step_size"] <= 0:
            return f"learner {name}: epsilon_steps is at least 1 and step_size above 0"
        return refusal(cell)

    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""
        from rtbench.learners.streaming_program import StreamProgram

        return StreamProgram(batch, self.params)


class StreamAC(StreamQ):
    """Stream AC(λ): an actor and a critic, one update per decision, and nothing is kept (Elsayed et al. 2024).

    Actions are drawn from the policy's own probabilities, so there is no ε. Otherwise as `stream-q`.
    """

    Params = ActorCriticParams
    revision = 2
