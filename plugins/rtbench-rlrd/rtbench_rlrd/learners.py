"""Both learners as parts; torch is imported when one is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtbench.learners.refusals import refusal
from rtbench.parts import Learner, param

if TYPE_CHECKING:
    from rtbench.cell import Cell, Interaction, Latency, RunBatch
    from rtbench.learners.base import Program

_AT_LEAST_ONE = ("batch_size", "critic_layers", "critic_width", "replay_size")


@dataclass(frozen=True)
class Params:
    """Of Bouteiller et al. 2021 and their published code, for both algorithms."""

    gamma: float = param(0.99, unit="per budget unit", doc="discount rate")
    tau: float = param(0.005, doc="share of the critics that their target takes over per update")
    batch_size: int = param(128, unit="decisions", doc="fragments, or transitions, per update")
    learning_starts: int = param(10_000, unit="budget units", doc="uniformly random actions first, no updates")
    replay_size: int = param(1_000_000, unit="decisions", doc="capacity of the replay; an episode's end counts as one")
    learning_rate: float = param(3e-4, doc="Adam, policy and critics")
    reward_scale: float = param(5.0, doc="what rewards are multiplied by in the losses")
    entropy_scale: float = param(1.0, doc="weight of the policy's entropy, not learned")
    critic_layers: int = param(2, unit="layers", doc="hidden layers of each critic")
    critic_width: int = param(256, unit="neurons", doc="neurons of each critic's hidden layers")


class DCAC(Learner):
    """Delay-correcting actor-critic on observations augmented by the actions in flight (Bouteiller et al. 2021).

    One process decides on an observation beside the actions it has decided and the world has not yet been through.
    What is seen before a decision is applied does not depend on it: recorded fragments up to there have their actions
    drawn anew from the current policy, which makes them on-policy, and twin critics of the augmented state's value
    learn from them over several steps without importance weights. Evaluated by the mean action.
    """

    Params = Params
    revision = 1
    preload = ("rtbench_rlrd.dcac",)

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """One sequential process on the virtual clock, single continuous actions, no random actions from outside."""
        reason = _refusal("rlrd/dcac", cell)
        if reason is None and cell.interaction.execution == "instant":
            return "learner rlrd/dcac corrects a delay, and under execution = 'instant' there is none: use sac"
        return reason

    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""
        from rtbench_rlrd.dcac import DCACProgram

        return DCACProgram(batch, self.params)


class AugmentedSAC(Learner):
    """Soft actor-critic whose actor and critics see the actions in flight beside the observation.

    The baseline of Bouteiller et al. 2021: a delay makes the observation alone no state, and the actions on their way
    make it one (Katsikopoulos and Engelbrecht 2003). Twin critics Q(observation and actions in flight, action) learn
    from single transitions; rewards belong to the observations they follow, not to the steps of the decision.
    """

    Params = Params
    revision = 1
    preload = ("rtbench_rlrd.augmented_sac",)

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """One sequential process, or no delay, on the virtual clock; single continuous actions."""
        return _refusal("rlrd/augmented-sac", cell)

    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""
        from rtbench_rlrd.augmented_sac import AugmentedSACProgram

        return AugmentedSACProgram(batch, self.params)


def _refusal(learner: str, cell: Cell) -> str | None:
    """Why neither learner can train a cell, or None."""
    reason = refusal(learner, cell) or _interaction_refusal(learner, cell.interaction)
    if reason:
        return reason
    params = cell.learner.params
    for name in _AT_LEAST_ONE:
        if params[name] < 1:
            return f"learner {learner}: {name} must be at least 1, got {params[name]}"
    if params["learning_starts"] >= params["replay_size"]:
        return f"learner {learner}: learning_starts must be smaller than replay_size"
    return None


def _interaction_refusal(learner: str, met: Interaction) -> str | None:
    if met.execution == "pipelined":
        return (
            f"learner {learner} needs a policy that computes a whole action on one observation and the actions in "
            "flight: execution = 'sequential', not 'pipelined'"
        )
    if met.processes > 1:
        return (
            f"learner {learner} needs to know the actions in flight, and with {met.processes} processes some are still "
            "being computed: processes = 1"
        )
    if met.epsilon:
        return f"learner {learner} draws all actions from its policy: epsilon must be 0, not {met.epsilon}"
    if met.counterfactual != "none":
        return f"learner {learner} learns what a delay does, and a counterfactual has another one"
    drawn = met.delta_cv or any(_drawn(value) for value in (met.latency, met.learning, met.lateness))
    if drawn and (met.sensor_latency_s or met.actuator_latency_s):
        return (
            f"learner {learner}: with times that are drawn, it is not known when actions on their way to the actuator "
            "will be applied; sensor_latency_s and actuator_latency_s must be 0"
        )
    return None


def _drawn(latency: Latency | None) -> bool:
    return latency is not None and latency.distribution != "constant"
