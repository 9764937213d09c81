"""One run of a learner of action values: a world, an experience, a network, and learners beside them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timing import timeline_of, timing
from rtbench.learners.acting import actings
from rtbench.learners.dqn_updates import Updates, head_of, network_of
from rtbench.learners.experience import Ahead, Experience, Priority
from rtbench.learners.loop import Loop
from rtbench.learners.policy import HEADS
from rtbench.learners.round_robin import RoundRobin
from rtbench.learners.schedule import Schedule
from rtbench.learners.tally import told_by, training_columns
from rtbench.learners.warm_start import fill
from rtbench.plugins import build
from rtbench.seeds import derive, generator

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.learners.dqn import Params
    from rtbench.learners.warm_start import Transitions
    from rtbench.parts import EnvironmentSpec

_PROBE_STEPS, _SLACK, _SPARE = 4000, 1.1, 1024


class Annealed:
    """ε after so many environment steps: it falls linearly, then stays."""

    def __init__(self, start: float, end: float, steps: int) -> None:
        self._start, self._end, self._length = start, end, steps

    def __call__(self, step: int) -> float:
        return self._start + (self._end - self._start) * min(1.0, step / self._length)


class Trainer:
    """`advance` is one environment step and the updates that come with it."""

    def __init__(
        self, cell: Cell, spec: EnvironmentSpec, p: Params, seed: int, warm: Transitions | None = None
    ) -> None:
        """`warm`: what is in the replay before the first step."""
        self._cell, self._p, self.seed = cell, p, seed
        self.head = head_of(p)
        self.network = network_of(cell, spec, p, torch.Generator().manual_seed(derive(seed, "network")))
        layers = len(self.network.graph.layers)
        self._step_ns = timing(cell.interaction, layers, spec.step_s).step_ns
        self.experience = Experience(spec, **experience_sizes(cell, spec, p, layers, len(warm or ())))
        self._warm, self._warm_left = warm, p.warm_updates
        self._delays = Schedule(cell, layers, spec, seed, "warm start")
        noise = torch.Generator().manual_seed(derive(seed, "target noise"))
        self.updates = Updates(self.network, p, self.experience, generator(seed, "dqn"), noise)
        self._acting = actings(cell, self.network.graph, self.network.exploring, "zero", seed, "train")
        self.loop = Loop(
            cell,
            self.network.graph,
            self._acting,
            HEADS[self.head].decide,
            seed=seed,
            phase="train",
            recorder=self.experience,
            spec=spec,
            epsilon=Annealed(p.epsilon_start, p.epsilon_end, p.epsilon_steps * published_period(cell, spec)),
        )
        self._unused = np.zeros(self.network.graph.head.width, np.float32)
        met = cell.interaction
        model = LatencyModel(met.learning, seed, "train", "updates") if met.learning else None
        self._times: list[int] = []
        self._drawn = 0
        self._model = model
        self.learners = RoundRobin(
            1 if p.learning == "parallel" else p.learners, self._took_ns, self.updates.compute, self.updates.apply
        )
        scheduler = build(met.scheduler).make(met.processes, self._step_ns, met.execution)
        self._learns = scheduler.learns if met.learning and met.execution != "instant" else ""
        every = p.update_every * (p.learners if p.learning == "parallel" else 1)
        per_decision = published_period(cell, spec) if p.updates_per == "env_steps" else 1
        self._every, self._begun_units = every * per_decision, 0
        self._due_ns: int | None = None

    def _took_ns(self) -> int:
        """How long the next update takes."""
        if self._model is None:
            return 0
        while len(self._times) <= self._drawn:
            self._times += self._model.draw_block(0, 64).tolist()
        self._drawn += 1
        return self._times[self._drawn - 1]

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def done_units(self) -> int:
        """Units of the budget behind it."""
        return self.loop.tally.env_steps if self._cell.budget.unit == "env_steps" else len(self.loop.returns)

    def advance(self) -> None:
        """One environment step, or an update before the first; what is random is not computed."""
        loop = self.loop
        if self._warm is not None:
            fill(self.experience, self._warm, self._delays)
            self._warm = None
        if self._warm_left:
            self._warm_left -= 1
            self.updates.apply(self.updates.compute())
            return
        if not self._learns:
            self._learn()
        if loop.over:
            first = loop.served(loop.reset())
            loop.begin([acting.restart(first) for acting in self._acting].pop())
        for wanted in loop.before():
            if self._learns == "before":
                self._learn_within()
            output = self._unused
            if not wanted.random:
                output = self._acting[0].tick(loop.served(wanted.observation), wanted.action)
            loop.deliver(wanted, output)
            if self._learns == "after":
                self._learn_within()
        found, reward, terminated, truncated, info = loop.env.step(loop.chosen())
        loop.after(found, float(reward), bool(terminated), bool(truncated), told_by(info))

    # ---- learning --------------------------------------------------------------------------------------------------

    @property
    def _ready(self) -> bool:
        return self.loop.tally.env_steps >= self._p.learning_starts and self.experience.ready(1)

    def _learn(self) -> None:
        """What learners beside the world do until now."""
        tally = self.loop.tally
        now_ns = tally.env_steps * self._step_ns
        units = tally.env_steps if self._p.updates_per == "env_steps" else tally.arrived
        if self._due_ns is None and units - self._begun_units >= self._every and self._ready:
            self._due_ns = now_ns
        if self.learners.until(now_ns, self._due_ns):
            self._due_ns, self._begun_units = None, units

    def _learn_within(self) -> None:
        """The update that belongs to an inference."""
        if self._ready:
            self.learners.at_once()

    # ---- telling ---------------------------------------------------------------------------------------------------

    def columns(self) -> dict[str, Any]:
        """The training columns of a row."""
        return training_columns([self.loop]) | {"updates": self.updates.count}

    def extras(self) -> dict[str, float]:
        """How old the parameters were that updates were computed from, how often there was one, what worlds counted."""
        made, tally = self.learners.version, self.loop.tally
        if not made:
            return tally.extras()
        trained = tally.env_steps - self._p.learning_starts
        return tally.extras() | {
            "rtbench/parameter_age_updates": self.learners.age_sum / made,
            "rtbench/parameter_age_max_updates": float(self.learners.age_most),
            "rtbench/update_interval_steps": trained / made,
        }

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All but what the experience has appended."""
        return {
            "updates": self.updates.state(),
            "experience": self.experience.state(),
            "loop": self.loop.state(),
            "learners": self.learners.state(),
            "drawn": self._drawn,
            "begun_units": self._begun_units,
            "due_ns": self._due_ns,
            "warm": [self._warm is None, self._warm_left],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state; the experience has absorbed its segments."""
        self.updates.restore(state["updates"])
        self.experience.restore(state["experience"])
        self.loop.restore(state["loop"])
        self.learners.restore(state["learners"])
        filled, self._warm_left = state.get("warm", (True, 0))
        self._warm = None if filled else self._warm
        self._drawn, self._begun_units, self._due_ns = (state[name] for name in ("drawn", "begun_units", "due_ns"))


def published_period(cell: Cell, spec: EnvironmentSpec) -> int:
    """Environment steps that count as one under latency_convention = "published-code": those of a decision."""
    met = cell.interaction
    if met.latency_convention == "paper":
        return 1
    line = timeline_of(met, 1, spec.step_s, _PROBE_STEPS, 0, "period")
    found = line.summary(holds=False).action_interval_steps
    return max(1, round(found or 1))


def experience_sizes(cell: Cell, spec: EnvironmentSpec, p: Params, layers: int, warm_steps: int = 0) -> dict[str, Any]:
    """Room for `replay_size` environment steps and the inferences that come with them, and how it is discounted.

    Of a budget in env_steps no more is needed than those and the `warm_steps` that are there before. An episode's first
    observation takes a row per frame beside those of its steps; beyond a spare they take the room of the oldest steps.

    How many inferences those are is read off a stretch of the interaction's own timeline; where exploring is quicker
    than inference there is at most one per process and step, and the slack is for that.
    """
    virtual = cell.interaction.latency is not None or cell.interaction.clock == "virtual"
    per_step = 1.0
    if virtual:
        timeline = timeline_of(cell.interaction, layers, spec.step_s, _PROBE_STEPS, 0, "replay size")
        per_step = max(1.0, len(timeline.started_ns) / timeline.steps)
    kept = min(p.replay_size, cell.budget.steps + warm_steps) if cell.budget.unit == "env_steps" else p.replay_size
    rows = kept + _SPARE
    period = published_period(cell, spec)
    return {
        "decisions": ceil(rows * _SLACK * per_step) + _SPARE,
        "rows": rows,
        "gamma_decision": 1.0 if period == 1 else p.gamma,
        "gamma_step": p.gamma if period == 1 else 1.0,
        "ahead": Ahead(p.n_steps, p.bootstrap_observation == "fresh"),
        "priority": Priority(p.priority_exponent, p.importance_exponent) if p.prioritised else None,
    }
