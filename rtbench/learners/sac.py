"""Soft actor-critic under delay: the part. The program that trains is `rtbench.learners.sac_program`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtbench.learners.refusals import refusal
from rtbench.parts import Learner, param

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.base import Program


@dataclass(frozen=True)
class Params:
    """Handling Delay, Table 7, where not said otherwise."""

    gamma: float = param(0.99, unit="per budget unit", doc="discount rate")
    tau: float = param(0.005, doc="share of the critic that its target takes over per update")
    batch_size: int = param(256, unit="decisions", doc="decisions per update")
    learning_starts: int = param(10_000, unit="budget units", doc="uniformly random actions first, no updates")
    replay_size: int = param(1_000_000, unit="decisions", doc="capacity of the replay")
    policy_learning_rate: float = param(3e-4, doc="Adam, policy")
    q_learning_rate: float = param(1e-3, doc="Adam, critics")
    alpha_learning_rate: float = param(1e-3, doc="Adam, entropy coefficient (the published code's critic rate)")
    policy_frequency: int = param(2, unit="updates", doc="every so many updates, as many policy updates in a row")
    critic_layers: int = param(2, unit="layers", doc="hidden layers of each critic")
    critic_width: int = param(256, unit="neurons", doc="neurons of each critic's hidden layers")
    start: Literal["zero", "hold"] = param("zero", doc="what layers hold before an episode's first tick")
    burn_in_ticks: int = param(4, unit="ticks", doc="ticks a recurrent graph is run before the trained one")
    cuts: tuple[str, ...] = param(
        (), doc="edges of the policy, each cut for an evaluation of its own at the end: 'observation->head'", added=True
    )


class SAC(Learner):
    """Soft actor-critic with undelayed twin critics and an actor trained on windows (Handling Delay, Section 4.3).

    The critics see the newest observation at the step a decision is applied (and the augmentation's past actions); the
    actor is unrolled over exactly the window of observations its graph had. One critic update per budget unit, the
    actor twice in every second, entropy coefficient learned towards −|A|. Time limits bootstrap, terminations do not.

    Precision `bf16`: the matrix products of hidden layers are taken in bfloat16 (accumulated in single precision); the
    parameters, Adam, the heads, losses and log-probabilities stay in single precision. A CPU without instructions for
    bfloat16 runs it too, more slowly than `fp32`.
    """

    Params = Params
    revision = 2  # gradients by hand in another order of summation than revision 1's: the same to rounding, not to bits
    preload = ("rtbench.learners.sac_program",)
    reference_units_per_s = 120.0
    precisions = ("fp32", "bf16")

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Single continuous actions, the virtual clock, a budget in ticks or steps, parameters within range."""
        reason = refusal("sac", cell)
        if reason:
            return reason
        params = cell.learner.params
        if params["learning_starts"] >= params["replay_size"]:
            return "learner sac: learning_starts must be smaller than replay_size"
        for name in ("batch_size", "policy_frequency", "critic_layers", "critic_width", "replay_size"):
            if params[name] < 1:
                return f"learner sac: {name} must be at least 1, got {params[name]}"
        return None

    @classmethod
    def run_bytes(cls, cell: Cell) -> int:
        """Parameters, targets, Adam's moments, gradients, replay, an update's values."""
        from rtbench.learners.sac_memory import run_memory

        return run_memory(cell).total

    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""
        from rtbench.learners.sac_program import SACProgram

        return SACProgram(batch, self.params)
