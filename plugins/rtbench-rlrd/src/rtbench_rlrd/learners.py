"""The two learners: what they are called, what they take, what they cannot run. Their program is in `program.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rtbench.learners.refusals import refusal
from rtbench.parts import Learner, param

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.base import Program


@dataclass(frozen=True)
class Params:
    """As rtbench's `sac`, so that the two are compared and not their settings."""

    gamma: float = param(0.99, unit="per step", doc="discount rate")
    tau: float = param(0.005, doc="share of the critic that its target takes over per update")
    batch_size: int = param(256, unit="fragments", doc="fragments per update")
    learning_starts: int = param(10_000, unit="budget units", doc="uniformly random actions first, no updates")
    policy_learning_rate: float = param(3e-4, doc="Adam, policy")
    critic_learning_rate: float = param(1e-3, doc="Adam, critics")
    alpha_learning_rate: float = param(1e-3, doc="Adam, entropy coefficient")
    critic_layers: int = param(2, unit="layers", doc="hidden layers of each critic")
    critic_width: int = param(256, unit="neurons", doc="neurons of each critic's hidden layers")


class _Delayed(Learner):
    """What both have in common: a constant delay, a new action in every step, twin critics of the augmented state."""

    Params = Params
    preload = ("rtbench_rlrd.program",)
    reference_units_per_s = 100.0
    resamples: ClassVar[bool]
    called: ClassVar[str]

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Single continuous actions in simulated time, one decision in every step at a constant delay."""
        interaction = cell.interaction
        reason = refusal(cls.called, cell)
        if reason:
            return reason
        # A δ such as 1/3, as a decimal, makes one step of three layers to a nanosecond.
        layers = int(cell.architecture.params.get("layers", 1))
        steps = {"pipelined": interaction.delta, "sequential": layers * interaction.delta}.get(interaction.execution, 0)
        if abs(steps - 1) > 1e-9 or interaction.latency or interaction.delta_cv or interaction.processes > 1:
            return (
                f"learner {cls.called} needs a new action in every step at a constant delay: pipelined with delta = 1, "
                "or sequential where layers · delta is 1"
            )
        if interaction.sensor_latency_s or interaction.actuator_latency_s or interaction.epsilon:
            return f"learner {cls.called} knows no sensor or actuator latency and no epsilon"
        if interaction.counterfactual != "none":
            return f"learner {cls.called} does not train under a counterfactual"
        if cell.architecture.params.get("lstm") or cell.architecture.params.get("dropout"):
            return f"learner {cls.called} trains neither recurrent nor random layers"
        for name in ("batch_size", "critic_layers", "critic_width"):
            if cell.learner.params[name] < 1:
                return f"learner {cls.called}: {name} must be at least 1, got {cell.learner.params[name]}"
        return None

    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""
        from rtbench_rlrd.program import DelayedProgram

        return DelayedProgram(batch, self.params, resamples=self.resamples)


class DelayCorrecting(_Delayed):
    """Delay-correcting actor-critic: values of the augmented state, from fragments resampled under the policy of now.

    With a constant delay of d steps nothing that is recorded within d steps depends on what was decided meanwhile. So a
    recorded fragment can be given the actions that today's policy would have decided, and its d rewards then are a
    sample of that policy's: a value target over d steps without any correction,
    Σ_{i<d} γ^i (r_{t+i} − α log π(a*_{t+d+i} | x*_i)) + γ^d min V̄(x*_d), x_i = (s_{t+i}, a_{t+i} … a_{t+i+d−1}). The
    policy ascends the same sum with the critics of now. The critics see the augmented state; what the policy sees is
    its graph's matter (`mlp` with augmentation "in-flight" sees all of it).

    Departures from the published code: α is learned towards −|A| as in rtbench's `sac` (there a constant), and updates
    begin with whole windows, so that decisions at the very beginning of an episode are not trained on.

    Source: Bouteiller et al. 2021, Reinforcement Learning with Random Delays (delay-correcting actor-critic), for a
    constant delay.
    """

    revision = 1
    resamples = True
    called = "rlrd/dcac"


class AugmentedSAC(_Delayed):
    """Plain SAC on the augmented state: twin critics Q(s_t, a_t … a_{t+d−1}, a_{t+d}), targets over one step.

    rtbench's own `sac` is another: there critics see the newest observation without delay, which is known in training.
    Source: Katsikopoulos and Engelbrecht 2003 for the augmented state; the baseline of Bouteiller et al. 2021.
    """

    revision = 1
    resamples = False
    called = "rlrd/sac"
