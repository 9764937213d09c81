"""What is to be run, as values: an interaction, a budget, a cell, a batch of runs of one cell."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from rtbench.parts import PartUse

Execution = Literal["instant", "sequential", "pipelined"]
Unit = Literal["ticks", "env_steps", "episodes", "seconds"]
Precision = Literal["fp32", "bf16"]
Counterfactual = Literal["none", "age-0"]
LatencyConvention = Literal["paper", "published-code"]

ID_VERSION = 1
"""Raised when the rules of identity change; part of every run_id."""


@dataclass(frozen=True)
class Latency:
    """A duration that is drawn: a constant, a distribution, the samples of a measured profile, or a mixture of these.

    `mean_s` for constant and lognormal (there with `cv`, standard deviation ÷ mean), `low_s`/`high_s` for uniform,
    `profile_digest` (content) and `profile_path` (where; not identity) for profile, `parts` (share, latency) for
    mixture.
    """

    distribution: Literal["constant", "uniform", "lognormal", "profile", "mixture"]
    mean_s: float = 0.0
    cv: float = 0.0
    low_s: float = 0.0
    high_s: float = 0.0
    profile_digest: str = ""
    profile_path: str = dataclasses.field(default="", compare=False)
    parts: tuple[tuple[float, Latency], ...] = ()

    def data(self) -> dict[str, Any]:
        """What of this latency changes a result."""
        if self.distribution == "mixture":
            return {"distribution": "mixture", "parts": [[share, part.data()] for share, part in self.parts]}
        names = {
            "constant": ("mean_s",),
            "uniform": ("low_s", "high_s"),
            "lognormal": ("mean_s", "cv"),
            "profile": ("profile_digest",),
        }[self.distribution]
        return {"distribution": self.distribution} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Interaction:
    """How the agent meets a world that does not wait.

    `delta` is the time of one layer in environment steps (0 under `instant`); with a `latency` instead, the time of one
    inference (sequential) or one tick (pipelined) is drawn from it. `delta_cv` makes delta the mean of a lognormal
    drawn per tick, with this standard deviation ÷ mean, then rounded to whole steps, at least one. `sensor_latency_s`
    and `actuator_latency_s` add to the age of what is read and to the time until an action acts. `learning` is the time
    of one update where learning and inference share a process; `epsilon` the share of inferences that give a random
    action, which takes no time; `lateness` how much too late a process wakes from a sleep. Under the counterfactual
    "age-0" actions arrive when the timeline says, but rest on the observation of the step that applies them. By
    `latency_convention` "published-code" (of Staggered Asynchronous Inference) the delay of n steps is counted in
    decisions: an action computed in n steps acts n² − 1 steps after its observation.
    """

    scheduler: PartUse
    execution: Execution
    delta: float
    default_policy: PartUse
    clock: Literal["virtual", "wall"] = "virtual"
    processes: int = 1
    on_reset: Literal["restart", "continue"] = "restart"
    latency: Latency | None = None
    sensor_latency_s: float = 0.0
    actuator_latency_s: float = 0.0
    delta_cv: float = 0.0
    learning: Latency | None = None
    epsilon: float = 0.0
    lateness: Latency | None = None
    counterfactual: Counterfactual = "none"
    latency_convention: LatencyConvention = "paper"

    def data(self) -> dict[str, Any]:
        """What of this interaction changes a result."""
        # What came later stays out at its default, so that earlier runs keep their identity.
        later: dict[str, Any] = {"delta_cv": self.delta_cv, "epsilon": self.epsilon}
        later |= {name: value.data() for name in ("learning", "lateness") if (value := getattr(self, name))}
        later |= {"counterfactual": self.counterfactual} if self.counterfactual != "none" else {}
        convention = self.latency_convention
        later |= {"latency_convention": convention} if convention != "paper" else {}
        return {name: value for name, value in later.items() if value} | {
            "scheduler": self.scheduler.data(),
            "execution": self.execution,
            "delta": self.delta,
            "default_policy": self.default_policy.data(),
            "clock": self.clock,
            "processes": self.processes,
            "on_reset": self.on_reset,
            "latency": self.latency.data() if self.latency else None,
            "sensor_latency_s": self.sensor_latency_s,
            "actuator_latency_s": self.actuator_latency_s,
        }


@dataclass(frozen=True)
class Budget:
    """How long a run trains and how it is evaluated; every `steps` counts `unit`s."""

    steps: int
    unit: Unit = "ticks"
    eval_every: int = 20_000
    eval_episodes: int = 10
    final_eval_episodes: int = 100

    def data(self) -> dict[str, Any]:
        """All of it changes a result."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Cell:
    """One combination of parts, an interaction and a budget; cell × seed = run."""

    environment: PartUse
    architecture: PartUse
    interaction: Interaction
    learner: PartUse
    backend: PartUse
    budget: Budget
    precision: Precision = "fp32"

    def data(self) -> dict[str, Any]:
        """Everything that changes a result but the seed."""
        return {
            "id_version": ID_VERSION,
            "environment": self.environment.data(),
            "architecture": self.architecture.data(),
            "interaction": self.interaction.data(),
            "learner": self.learner.data(),
            "backend": self.backend.data(),
            "precision": self.precision,
            "budget": self.budget.data(),
        }

    @property
    def parts(self) -> dict[str, PartUse]:
        """Every part this cell uses, by axis."""
        return {
            "environment": self.environment,
            "architecture": self.architecture,
            "scheduler": self.interaction.scheduler,
            "default_policy": self.interaction.default_policy,
            "learner": self.learner,
            "backend": self.backend,
        }


@dataclass(frozen=True)
class RunBatch:
    """Runs of one cell that a learner trains in one program, each with randomness of its own."""

    cell: Cell
    seeds: tuple[int, ...]


def _latency_from_json(data: dict[str, Any] | None) -> Latency | None:
    if data is None:
        return None
    parts = tuple((share, _latency_from_json(part)) for share, part in data.get("parts", ()))
    return Latency(**{**data, "parts": parts})


def cell_to_json(cell: Cell) -> dict[str, Any]:
    """A cell as plain data from which `cell_from_json` makes an equal one, labels included."""
    return dataclasses.asdict(cell)


def cell_from_json(data: dict[str, Any]) -> Cell:
    """The inverse of `cell_to_json`."""
    inter = dict(data["interaction"])
    for name in ("scheduler", "default_policy"):
        inter[name] = PartUse(**inter[name])
    for name in ("latency", "learning", "lateness"):
        inter[name] = _latency_from_json(inter.get(name))
    parts = {axis: PartUse(**data[axis]) for axis in ("environment", "architecture", "learner", "backend")}
    return Cell(**parts, interaction=Interaction(**inter), budget=Budget(**data["budget"]), precision=data["precision"])


def cell_from_data(data: dict[str, Any]) -> Cell:
    """The inverse of `Cell.data`: without labels, and without where files lie."""
    axes = {axis: {"kind": f"{axis}s", **data[axis]} for axis in ("environment", "architecture", "learner", "backend")}
    inter = dict(data["interaction"])
    inter["scheduler"] = {"kind": "schedulers", **inter["scheduler"]}
    inter["default_policy"] = {"kind": "default_policies", **inter["default_policy"]}
    return cell_from_json({**data, **axes, "interaction": inter})
