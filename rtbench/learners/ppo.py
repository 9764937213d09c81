"""Proximal policy optimisation under delay: the part. The program is `rtbench.learners.ppo_program`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtbench.learners.refusals import WALL
from rtbench.parts import Learner, param
from rtbench.plugins import part_class

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.base import Program


@dataclass(frozen=True)
class Params:
    """Handling Delay, Table 7, where not said otherwise."""

    environments: int = param(32, doc="environments acted in side by side")
    rollout: int = param(32, unit="decisions", doc="applied decisions of every environment per update")
    epochs: int = param(4, doc="passes over a rollout")
    minibatches: int = param(1, doc="shares of the environments that an epoch goes through one by one")
    gamma: float = param(0.99, unit="per budget unit", doc="discount rate")
    trace: float = param(0.95, doc="λ of generalised advantages, per decision")
    learning_rate: float = param(2.5e-4, doc="Adam (ε 1e-5), falling linearly to 0 over the budget")
    clip: float = param(0.1, doc="how far the ratio may leave 1, and a value its old one")
    entropy: float = param(0.01, doc="weight of the entropy")
    value: float = param(0.5, doc="weight of the value loss")
    gradient_norm: float = param(0.5, doc="largest norm of the gradients of actor and critic together")
    start: Literal["zero", "hold"] = param("hold", doc="what layers hold before an episode's first tick")
    conventions: Literal["exact", "published-code"] = param(
        "exact", doc="rollouts that carry on, or begin anew with ticks masked, advantages per tick", added=True
    )


class PPO(Learner):
    """Proximal policy optimisation for discrete actions that arrive late (Handling Delay, Sections 5.2, 6, Table 7).

    A decision is an action that was applied, with the value of the observation where it was applied and what was earned
    until the next one was; time limits bootstrap from the last observation. The critic is a network of its own, the
    actor's layers in a plain chain, on the newest observation and without delay. Every environment makes `rollout`
    decisions per update; ticks are counted so, over all environments together.

    A graph is restarted at every episode start, and with `hold` the episode's first action is one of its decisions.
    Whatever lies before the rollout is carried along: observations and past actions as far back as the action looks,
    and recurrent layers' values, as constants. After an update the inferences under way are done anew with the new
    parameters, so that the next rollout's ratios begin at exactly 1 and nothing is masked out of the loss (published
    code begins every rollout anew and masks seven ticks). Actions are drawn in evaluation, too.

    `conventions = "published-code"` trains as that code does, for comparison: layers begin a rollout by the start rule
    wherever it cuts into an episode, the first seven decisions of every environment are left out of all losses (if the
    action looks back at all), ratios are to the probabilities that were acted with, and advantages are normalised over
    the environments at each tick.

    Precision `bf16`: both networks compute in bfloat16; parameters, losses and Adam stay in single precision.
    """

    Params = Params
    revision = 1
    preload = ("rtbench.learners.ppo_program",)
    reference_units_per_s = 500.0
    precisions = ("fp32", "bf16")

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Single discrete actions, the virtual clock, a budget in ticks or steps, parameters within range."""
        return _refusal(cell) or _out_of_range(cell)

    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""
        from rtbench.learners.ppo_program import PPOProgram

        return PPOProgram(batch, self.params)


def _refusal(cell: Cell) -> str | None:
    from rtbench.interaction.timing import chunk_of

    interaction = cell.interaction
    if cell.budget.unit not in ("ticks", "env_steps"):
        return f"learner ppo counts its schedule in ticks or env_steps, not {cell.budget.unit}"
    if interaction.clock == "wall":
        return f"learner ppo: {WALL}"
    if getattr(part_class("environments", cell.environment.name), "actions", "") == "continuous":
        return f"learner ppo draws discrete actions, and those of {cell.environment.name} are continuous"
    if chunk_of(interaction) > 1:
        return "learner ppo decides one action per inference, not a chunk"
    if interaction.epsilon:
        return "learner ppo explores by its own policy; actions that it did not draw (epsilon) have no ratio"
    if interaction.counterfactual != "none":
        return "learner ppo does not train under a counterfactual; its policy can be evaluated under one"
    if cell.architecture.params.get("dropout"):
        return "learner ppo trains no dropout: the same inputs must give the same ratio"
    return None


def _out_of_range(cell: Cell) -> str | None:
    params = cell.learner.params
    for name in ("environments", "rollout", "epochs", "minibatches"):
        if params[name] < 1:
            return f"learner ppo: {name} must be at least 1, got {params[name]}"
    if params["environments"] % params["minibatches"]:
        return f"learner ppo: {params['minibatches']} minibatches do not share {params['environments']} environments"
    if params["environments"] * params["rollout"] < 2:
        return "learner ppo: advantages of a single decision cannot be normalised"
    return _not_as_published(cell) if params.get("conventions", "exact") != "exact" else None


def _not_as_published(cell: Cell) -> str | None:
    from rtbench.learners.ppo_conventions import CONVENTIONS

    params, masked = cell.learner.params, CONVENTIONS["published-code"].masked_decisions
    if cell.interaction.processes > 1:
        return "learner ppo: published code has one inference process; conventions 'exact' train with several"
    if params["environments"] < 2:
        return "learner ppo: advantages of a single environment cannot be normalised per tick"
    if params["rollout"] <= masked:
        return f"learner ppo: published code masks {masked} decisions, so a rollout needs more, got {params['rollout']}"
    return None
