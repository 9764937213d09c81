"""The worlds that a batch of runs trains in, and what they leave in replay: one loop and one replay per run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.interaction.timing import timeline_of
from rtbench.learners.acting import actings
from rtbench.learners.loop import Loop
from rtbench.learners.policy import Policy
from rtbench.learners.replay import Replay
from rtbench.learners.sample import Sample
from rtbench.learners.tally import training_columns

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.graph import Plan
    from rtbench.learners.sac_networks import Actor
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]
Decide = Callable[[Array], Array]
_PROBE_STEPS, _SLACK, _SPARE = 4000, 1.1, 1024


@dataclass(frozen=True)
class Sampling:
    """What a learner draws from replay: capacity in applied decisions, batch size, discount per budget unit."""

    replay_size: int
    batch_size: int
    gamma: float = 1.0


def views(actor: Actor, run: int) -> dict[str, dict[str, Array]]:
    """NumPy views of one run's policy: acting sees every update at once."""
    return {
        name: {"weight": layer["weight"][run].numpy(), "bias": layer["bias"][run, 0].numpy()}
        for name, layer in actor.parameters.items()
    }


def policies(batch: RunBatch, actor: Actor, run_ids: Sequence[str]) -> list[Policy]:
    """What every run has learnt, as values of their own."""
    return [
        Policy(batch.cell, seed, run_id, views(actor, run), start=actor.start)
        for run, (seed, run_id) in enumerate(zip(batch.seeds, run_ids, strict=True))
    ]


def new_loop(
    cell: Cell,
    actor: Actor,
    parameters: Mapping[str, Any],
    decide: Decide,
    spec: EnvironmentSpec,
    *,
    seed: int,
    phase: str,
    recorder: Replay | None = None,
) -> Loop:
    """A run's world in one phase; `parameters` as the backend reads them: without a recorder, once an episode."""
    return Loop(
        cell,
        actor.graph,
        actings(cell, actor.graph, parameters, actor.start, seed, phase, fixed=recorder is None),
        decide,
        seed=seed,
        phase=phase,
        recorder=recorder,
        spec=spec,
        start=actor.start,
    )


def replay_room(cell: Cell, layers: int, step_s: float, replay_size: int) -> tuple[int, int]:
    """Rows and inferences that replay has room for: `replay_size` applied decisions and all that comes with them.

    How many those are is read off a stretch of the interaction's own timeline; the slack is for what is drawn.
    """
    timeline = timeline_of(cell.interaction, layers, step_s, _PROBE_STEPS, 0, "replay size")
    applied = max(1, int((timeline.source >= 0).sum()))
    rows = ceil(min(replay_size, cell.budget.steps) * _SLACK * timeline.steps / applied) + _SPARE
    return rows, ceil(rows * _SLACK * max(1.0, len(timeline.started_ns) / timeline.steps)) + _SPARE


class Worlds:
    """Loops in training and their replays; `explore(run)` turns a head's output into the action taken."""

    def __init__(
        self,
        batch: RunBatch,
        spec: EnvironmentSpec,
        actor: Actor,
        explore: Callable[[int], Decide],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
    ) -> None:
        self._cell, self._sampling, self._rngs = batch.cell, sampling, rngs
        self._actor = actor
        plan: Plan = actor.plan
        self._plan = plan
        self.replays = [self._new_replay(spec) for _ in batch.seeds]
        self.sample = Sample.empty(
            len(batch.seeds),
            sampling.batch_size,
            (spec.observation_size, spec.action_size),
            (len(actor.observation_ticks), len(plan.action_ticks), actor.graph.augmented_actions),
        )
        self.tensors = {name: torch.from_numpy(getattr(self.sample, name)) for name in Sample.__dataclass_fields__}
        """The sample as tensors over the same memory."""
        self.loops = [
            new_loop(
                batch.cell,
                actor,
                views(actor, run),
                explore(run),
                spec,
                seed=seed,
                phase="train",
                recorder=self.replays[run],
            )
            for run, seed in enumerate(batch.seeds)
        ]

    def _new_replay(self, spec: EnvironmentSpec) -> Replay:
        """Empty."""
        cell, gamma = self._cell, self._sampling.gamma
        layers = len(self._actor.graph.layers)
        rows, decisions = replay_room(cell, layers, spec.step_s, self._sampling.replay_size)
        per_step = cell.budget.unit == "env_steps"
        return Replay(
            spec.observation_size,
            spec.action_size,
            decisions=decisions,
            rows=rows,
            gamma_decision=1.0 if per_step else gamma,
            gamma_step=gamma if per_step else 1.0,
        )

    def advance(self, units: int) -> None:
        """Let every world go on until it has used up so many units of the budget."""
        per_step = self._cell.budget.unit == "env_steps"
        for loop in self.loops:
            while (loop.tally.env_steps if per_step else loop.tally.ticks) < units:
                loop.advance()

    @property
    def ready(self) -> bool:
        """Whether every replay has something to draw."""
        return all(replay.ready(self._plan.window_ticks) for replay in self.replays)

    def draw(self) -> None:
        """Fill `sample` with a batch of decisions of every run."""
        for run, (replay, rng) in enumerate(zip(self.replays, self._rngs, strict=True)):
            chosen = replay.choose(rng, self._sampling.batch_size, self._plan.window_ticks)
            replay.fill(self.sample.run(run), chosen, self._actor.observation_ticks, self._plan.action_ticks)

    @property
    def windows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The observations [runs, W, batch, F] that decided each drawn decision, and its next one."""
        t, count = self.tensors["observations"], len(self._actor.observation_ticks)
        return t[:, 2 : 2 + count], t[:, 2 + count :]

    @property
    def seen(self) -> list[torch.Tensor]:
        """The state where each drawn decision, and its next one, was applied: [runs, batch, ·].

        The observation and, where the policy's are augmented, the actions applied before.
        """
        t = self.tensors
        return [torch.cat([t["observations"][:, i], *t["past_actions"][:, i].unbind(1)], dim=-1) for i in (0, 1)]

    def columns(self, run: int) -> dict[str, Any]:
        """The training columns of a run's row."""
        return training_columns([self.loops[run]])

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Loops, replays without what `appended` has given, random streams."""
        return {
            "loops": [loop.state() for loop in self.loops],
            "replays": [replay.state() for replay in self.replays],
            "rngs": [rng.bit_generator.state for rng in self._rngs],
        }

    def appended(self) -> dict[str, Any]:
        """What every replay has gained since the last call."""
        gained = [replay.appended() for replay in self.replays]
        return {"replays": gained, "spent": min(replay.spent for replay in self.replays)}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, given all segments in order; one at a time is looked at."""
        for rng, saved in zip(self._rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved
        for segment in segments:
            for replay, gained in zip(self.replays, segment["replays"], strict=True):
                replay.absorb(gained)
        for replay, saved in zip(self.replays, state["replays"], strict=True):
            replay.restore(saved)
        for loop, saved in zip(self.loops, state["loops"], strict=True):
            loop.restore(saved)
