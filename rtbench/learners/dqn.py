"""Deep Q-learning in real time: the part. The program is `rtbench.learners.dqn_program`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtbench.learners.wall_support import wall_refusal
from rtbench.parts import Learner, param
from rtbench.plugins import part_class

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.base import Program


@dataclass(frozen=True)
class Params:
    """Staggered Asynchronous Inference, Sections 5 and A.1 (Atari), where not said otherwise."""

    gamma: float = param(0.99, unit="per environment step", doc="discount rate")
    batch_size: int = param(16, unit="decisions", doc="decisions per update")
    learning_rate: float = param(1e-5, doc="Adam")
    target_every: int = param(10_000, unit="updates", doc="updates between two copies into the target network")
    gradient_norm: float = param(10.0, doc="largest norm of all gradients together")
    epsilon_start: float = param(1.0, doc="share of random actions at first")
    epsilon_end: float = param(0.05, doc="share of random actions in the end")
    epsilon_steps: int = param(100_000, unit="environment steps", doc="how long it falls, linearly")
    replay_size: int = param(1_000_000, unit="environment steps", doc="capacity of the replay")
    learning_starts: int = param(1_000, unit="environment steps", doc="no updates before")
    update_every: int = param(4, unit="environment steps or actions", doc="how often an update is due")
    updates_per: Literal["env_steps", "actions"] = param("env_steps", doc="what `update_every` counts")
    learners: int = param(1, unit="processes", doc="learner processes; an update takes each the interaction's learning")
    learning: Literal["round-robin", "parallel"] = param(
        "round-robin", doc="an update of each in turn, or one of all together on a batch as many times as large"
    )
    bootstrap_observation: Literal["as_seen", "fresh"] = param(
        "as_seen", doc="next observation: the one the next decision rests on, or the newest when that is applied"
    )
    double: bool = param(False, doc="the trained network chooses the next action, the target values it")
    dueling: bool = param(False, doc="a stream for the value and one for the advantages")
    noisy: bool = param(False, doc="learnt noise on the weights of the last two layers")
    noise: float = param(0.5, doc="σ₀ of that noise at first")
    distributional: bool = param(False, doc="51 atoms of the distribution of returns (C51)")
    support_low: float = param(-10.0, unit="return", doc="lowest atom")
    support_high: float = param(10.0, unit="return", doc="highest atom")
    n_steps: int = param(1, unit="decisions", doc="decisions whose rewards are summed before bootstrapping")
    prioritised: bool = param(False, doc="draw decisions in proportion to their last error")
    priority_exponent: float = param(0.5, doc="α: how much the error counts")
    importance_exponent: float = param(0.4, doc="β: how much of the bias is corrected")
    transitions: str = param(
        "", added=True, file=True, doc="what others did (.npz), in the replay from the beginning as if delayed alike"
    )
    warm_updates: int = param(0, unit="updates", added=True, doc="updates from it before the first environment step")


class DQN(Learner):
    """Deep Q-learning of delayed decisions (Mnih et al. 2015; Staggered Asynchronous Inference, Section 5).

    A transition is the observation that an action was computed from, the action, the rewards from the step it was
    applied until the next one was, discounted per step, and the observation that the next action was computed from.
    Huber's loss, Adam, gradients clipped by their norm. ε falls with environment steps; its coins are the timeline's: a
    random action takes one step at most (on the wall clock as long as any other), and an agent that acts seldom
    explores seldom. Budgets count env_steps or episodes.

    Learning goes on beside acting, every update taking `learning` of the interaction (nothing without it); with too few
    `learners` updates come later than they are due, with several each is computed from parameters that others have
    changed since: `rtbench/parameter_age_updates` in the row is by how many updates, on average. Under scheduler
    `sequential` with `learning` every inference has its update, before or after it, in the same process.

    A warm start begins with `transitions` of others (`rtbench.learners.warm_start`), delayed as the agent's own are,
    and makes `warm_updates` from them before time begins.

    With `latency_convention = "published-code"` ε, updates and γ count decisions, as the code published with the paper
    does.

    The replay's room counts the frames with which episodes begin as steps: with short episodes it holds fewer steps
    than `replay_size`.

    Precision `bf16`: updates compute networks in bfloat16; acting, parameters, loss and Adam stay in single precision.

    On the wall clock learners are processes that learn as fast as they can; see `rtbench.learners.dqn_wall` for what
    differs.
    """

    Params = Params
    revision = 2
    preload = ("rtbench.learners.dqn_program",)
    reference_units_per_s = 60.0
    precisions = ("fp32", "bf16")

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Single discrete actions of whole inferences, a budget in env_steps or episodes, parameters within range."""
        return refusal(cell) or _out_of_range(cell)

    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""
        if batch.cell.interaction.clock == "wall":
            from rtbench.learners.dqn_wall import DQNOnWall

            return DQNOnWall(batch, self.params)
        from rtbench.learners.dqn_program import DQNProgram

        return DQNProgram(batch, self.params, self.files.get("transitions", ""))


def refusal(cell: Cell) -> str | None:
    """Why a learner of action values cannot train a cell, whatever its parameters; None if it can."""
    from rtbench.interaction.timing import chunk_of

    name, met = f"learner {cell.learner.name}", cell.interaction
    if cell.budget.unit not in ("env_steps", "episodes"):
        return (
            f"{name} counts its schedule in environment steps: budgets in env_steps or episodes, not {cell.budget.unit}"
        )
    if getattr(part_class("environments", cell.environment.name), "actions", "") == "continuous":
        return f"{name} learns the values of discrete actions, and those of {cell.environment.name} are continuous"
    if met.execution == "pipelined":
        return f"{name} learns from whole inferences (instant or sequential); pipelines are trained by ppo or sac"
    if chunk_of(met) > 1:
        return f"{name} decides one action per inference, not a chunk"
    if met.epsilon:
        return f"{name} anneals ε itself (epsilon_start, epsilon_end); leave the interaction's epsilon out"
    if met.counterfactual != "none":
        return f"{name} does not train under a counterfactual; its policy can be evaluated under one"
    if cell.architecture.params.get("dropout") or cell.architecture.params.get("lstm"):
        return f"{name} trains networks that read one observation: no dropout, no lstm"
    return None


def _out_of_range(cell: Cell) -> str | None:
    p, name = cell.learner.params, f"learner {cell.learner.name}"
    counts = ("batch_size", "target_every", "replay_size", "update_every", "learners", "n_steps", "epsilon_steps")
    for key in counts:
        if p[key] < 1:
            return f"{name}: {key} must be at least 1, got {p[key]}"
    for key in ("epsilon_start", "epsilon_end", "gamma", "priority_exponent", "importance_exponent"):
        if not 0 <= p[key] <= 1:
            return f"{name}: {key} is a share between 0 and 1, got {p[key]}"
    warm = p.get("warm_updates", 0)
    if warm < 0 or (warm and not p.get("transitions")):
        return f"{name}: warm_updates, at least 0, are made from transitions: name a file of them"
    if p["support_low"] >= p["support_high"]:
        return f"{name}: support_low must be below support_high"
    return _learning_refusal(cell)


def _learning_refusal(cell: Cell) -> str | None:
    p, name, met = cell.learner.params, f"learner {cell.learner.name}", cell.interaction
    if p["learners"] > 1 and met.scheduler.name == "sequential":
        return f"{name}: under scheduler sequential learning is in the one process, so learners must be 1"
    if met.clock == "wall":
        if met.on_reset != "continue":
            return f"{name} on the wall clock learns through resets: on_reset = 'continue'"
        if p["learning"] == "parallel" or met.scheduler.name == "sequential":
            return f"{name} on the wall clock has learner processes of its own (round-robin), beside inference"
        if p.get("transitions"):
            return f"{name} on the wall clock begins with an empty replay: transitions = ''"
        if cell.precision != "fp32" or p["prioritised"]:
            return f"{name} on the wall clock trains in fp32 and draws uniformly: prioritised = false"
        if met.learning is not None:
            return f"{name} on the wall clock learns as fast as it can: leave the interaction's `learning` out"
        if met.latency_convention != "paper":
            return f"{name} on the wall clock counts environment steps: latency_convention = 'paper'"
        return wall_refusal(cell)
    if p["learners"] > 1 and p["learning"] == "round-robin" and met.learning is None:
        return f"{name}: {p['learners']} learners in turn need `learning`, the time of one update, in the interaction"
    return None
