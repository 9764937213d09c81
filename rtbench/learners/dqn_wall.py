"""Learning on the wall clock: a world, inference processes and learner processes, all of them real.

The world writes what happens into an experience that the learners share. Which observation an action was computed from
travels with the action: an observation carries the number of its row, and so does what is made of it. Parameters are
one array in shared memory (`rtbench.realtime.parameters`): inference reads the newest version without a lock, learners
compute from the version they last copied and add their changes in turn. The array's last number counts the updates.

What differs from learning on the virtual clock: with several learners each keeps moments of Adam of its own, so that a
change is made of its own gradients alone; an episode that a time limit ends gives no transition for its last decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.interaction.timing import timing
from rtbench.learners.base import Outcome
from rtbench.learners.dqn_program import check_discrete, mean_or_none
from rtbench.learners.dqn_updates import head_of
from rtbench.learners.dqn_wall_processes import NOBODY, PHASE, Learner, LearningActor, LearningWorld, Shared, versioned
from rtbench.learners.evaluation import final_columns
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.learners.wall import WallPolicy, WallRun
from rtbench.plugins import build
from rtbench.realtime.alone import alone
from rtbench.realtime.engine import Engine, Limits
from rtbench.realtime.inference import Inference
from rtbench.realtime.parameters import Learning

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.dqn import Params
    from rtbench.parts import EnvironmentSpec
    from rtbench.realtime.crew import Tell
    from rtbench.realtime.parameters import Updates
    from rtbench.realtime.recording import Recording


class LearningRun(WallRun):
    """One run: training on the wall clock, carried out beside this process, once."""

    def __init__(self, cell: Cell, spec: EnvironmentSpec, p: Params, seed: int) -> None:
        self._shared = Shared.of(cell, spec, p, seed)
        network = self._shared.network
        self.parameters: dict[str, dict[str, NDArray[np.float32]]] = {}
        self.updates, self.trained = 0, network.parameter_count
        policy = WallPolicy(network.graph, _no_acting, lambda process: HEADS[head_of(p)].decide)
        super().__init__(cell, spec, policy, seed)

    def _carry_out(self, tell: Tell) -> tuple[Any, ...]:
        tell()
        shared = self._shared
        with alone():
            recording = engine_of(shared).run()
        return recording, shared.counted.episodes, shared.newest, list(shared.made)

    def _take(  # type: ignore[override]  # what this class's `_carry_out` answers
        self, recording: Recording, counted: list[dict[str, float]], newest: NDArray[np.float32], made: list[int]
    ) -> None:
        super()._take(recording, counted)
        network = self._shared.network
        network.bind(np.array(newest))
        network.refresh(noisy=False)
        self.parameters = network.greedy
        ages = ages_of(recording.updates, made)
        self.updates = len(ages)
        self.extras |= self.tally.extras()
        if self.updates:
            self.extras |= {
                "rtbench/parameter_age_updates": float(ages.mean()),
                "rtbench/parameter_age_max_updates": float(ages.max()),
                "rtbench/update_interval_steps": self.tally.env_steps / self.updates,
            }

    @property
    def over(self) -> bool:
        """Whether it has been carried out."""
        return self.tally.env_steps > 0

    def columns(self) -> dict[str, Any]:
        """The columns of a row; nothing is evaluated: the score is that of training."""
        return {
            **final_columns([], self.spec.step_s),
            "eval_step": [],
            "eval_return": [],
            "episodes": len(self.returns),
            "episode_length": mean_or_none([float(length) for length in self.lengths]),
            "train_return_mean": mean_or_none(self.returns),
            "updates": self.updates,
            **self.tally.columns(),
            **graph_columns(self._shared.network.graph, self._cell.interaction),
            "parameters": self.trained,
            **self.times,
        }

    def state(self) -> dict[str, Any]:
        """What a run that is over has to say."""
        return {**super().state(), "updates": self.updates, "parameters": self.parameters}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        super().restore(state)
        self.updates, self.parameters = state["updates"], state["parameters"]


def ages_of(updates: Updates, made: Sequence[int]) -> NDArray[np.int64]:
    """How many updates were applied between each one's reading of the parameters and its own turn, in order.

    `made` [learners]: how many each computed. Once the run is over a learner may come back with nothing done, between
    the last updates of others: that is no update.
    """
    real = np.zeros(len(updates.read), np.bool_)
    for process, count in enumerate(made):
        real[np.flatnonzero(updates.process == process)[:count]] = True
    before = np.append(0, np.cumsum(real))
    ages: NDArray[np.int64] = (before[:-1] - before[updates.read])[real]
    return ages


def _no_acting(process: int) -> Any:
    raise AssertionError("a learning run makes its actors itself")


def engine_of(shared: Shared) -> Engine:
    """The engine of a run that learns; the environment is made here."""
    cell, spec, p = shared.cell, shared.spec, shared.p
    met, budget = cell.interaction, cell.budget
    times = timing(met, len(shared.network.graph.layers), spec.step_s)
    world = LearningWorld(shared)
    inference = Inference(
        scheduler=build(met.scheduler).make(met.processes, times.step_ns, met.execution),
        step_ns=times.step_ns,
        make_actor=lambda process, parameters: LearningActor(shared, process, parameters),
        latency=times.model(shared.seed, PHASE, "wall"),
    )
    return Engine(
        world,
        world.sample,
        np.append(np.zeros(spec.action_size), NOBODY),
        inference,
        met.processes,
        Limits(steps=budget.steps) if budget.unit == "env_steps" else Limits(episodes=budget.steps),
        holds=build(met.default_policy).holds,
        learning=Learning(versioned(shared.network), Learner(shared), p.learners),
        seed=shared.seed,
    )


class DQNOnWall:
    """Runs of a batch, one after the other: side by side they would take each other's time."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        self._cell = batch.cell
        spec = build(batch.cell.environment).spec()
        check_discrete(spec, batch.cell.learner.name)
        self._head, self._seeds = head_of(params), batch.seeds
        self.runs = [LearningRun(batch.cell, spec, params, seed) for seed in batch.seeds]

    @property
    def done_units(self) -> int:
        """Units of the runs that are over, per run."""
        return self.total_units * sum(run.over for run in self.runs) // len(self.runs)

    @property
    def total_units(self) -> int:
        """Units of the budget in all."""
        return self._cell.budget.steps

    @property
    def done(self) -> bool:
        """True when every run is over."""
        return all(run.over for run in self.runs)

    def advance(self) -> None:
        """Listen for a moment to the run under way."""
        next(run for run in self.runs if not run.over).run_episode()

    def metrics(self) -> list[dict[str, float]]:
        """Nothing on the way."""
        return []

    def outcomes(self) -> list[Outcome]:
        """What every run has to say."""
        return [Outcome(run.columns(), run.extras, run.kept) for run in self.runs]

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """What every run has learnt, but for its last update."""
        return [
            Policy(self._cell, seed, run_id, run.parameters, self._head, "zero")
            for run, seed, run_id in zip(self.runs, self._seeds, run_ids, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """Runs that are over; one under way begins anew."""
        return {"runs": [run.state() for run in self.runs]}

    def appended(self) -> dict[str, Any]:
        """Nothing grows."""
        return {}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state."""
        for run, saved in zip(self.runs, state["runs"], strict=True):
            run.restore(saved)
