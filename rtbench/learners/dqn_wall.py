"""Learning on the wall clock: a world, inference processes and learner processes, all of them real.

The world writes what happens into an experience that the learners share. Which observation an action was computed from
travels with the action: an observation carries the number of its row, and so does what is made of it. Parameters are
one array in shared memory (`rtbench.realtime.parameters`): inference reads the newest version without a lock, learners
compute from the version they last copied and add their changes in turn.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.interaction.timing import timing
from rtbench.learners.acting import actings
from rtbench.learners.actions import Actions
from rtbench.learners.base import Outcome
from rtbench.learners.dqn_program import check_discrete, mean_or_none
from rtbench.learners.dqn_trainer import Annealed, experience_sizes
from rtbench.learners.dqn_updates import Updates, head_of, network_of
from rtbench.learners.evaluation import final_columns
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.learners.shared_experience import SharedExperience
from rtbench.learners.wall import WallPolicy, WallRun
from rtbench.learners.wall_tally import Counted
from rtbench.plugins import build
from rtbench.realtime.alone import alone
from rtbench.realtime.engine import Engine, Limits
from rtbench.realtime.inference import Inference
from rtbench.realtime.parameters import Learning
from rtbench.realtime.shared import integers
from rtbench.seeds import derive, episode_seed, generator

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.dqn import Params
    from rtbench.learners.dqn_networks import QNetwork
    from rtbench.parts import EnvironmentSpec
    from rtbench.realtime.crew import Tell
    from rtbench.realtime.recording import Recording

Array = NDArray[np.float64]
_STAMP = 8
_NOBODY = -1.0
_POLL_S, _OVER_S = 0.001, 0.05
_PHASE = "train"


@dataclass
class Shared:
    """What the processes of one run have in common; made before they are forked."""

    cell: Cell
    spec: EnvironmentSpec
    p: Params
    seed: int
    network: QNetwork
    experience: SharedExperience
    newest: NDArray[np.float32]
    """Parameters as a learner last found them."""
    made: memoryview
    """How many updates each learner has made."""
    counted: Counted
    """What the world counts, in its process."""

    @classmethod
    def of(cls, cell: Cell, spec: EnvironmentSpec, p: Params, seed: int) -> Shared:
        """A fresh network, an empty experience."""
        network = network_of(cell, spec, p, torch.Generator().manual_seed(derive(seed, "network")))
        experience = SharedExperience(spec, **experience_sizes(cell, spec, p, len(network.graph.layers)))
        memory = np.frombuffer(mmap.mmap(-1, 4 * network.parameter_count), np.float32)
        memory[:] = network.flat()
        return cls(cell, spec, p, seed, network, experience, memory, integers(p.learners), Counted())


class LearningWorld:
    """A cell's environment, whose observations are bytes that end in the number of their row.

    Actions [A + 1] end in the row of the observation that they rest on, −1 where the default policy acts.
    """

    def __init__(self, shared: Shared) -> None:
        self._s = shared
        interaction, spec = shared.cell.interaction, shared.spec
        self._env, self._space = build(shared.cell.environment).make(), Actions(spec)
        self._default = self._space.default(build(interaction.default_policy).make(spec))
        self._rng = generator(shared.seed, _PHASE, "default policy")
        self._dtype = np.dtype(spec.observation_dtype)
        self.sample = np.zeros(spec.observation_size * self._dtype.itemsize + _STAMP, np.uint8)
        self._observation = self.sample
        self._episode_row, self._applied, self._episodes, self._steps = 0, 0, 0, 0

    def reset(self, episode: int) -> NDArray[np.uint8]:
        """An episode of training."""
        self._s.counted.begin()
        found, _ = self._env.reset(seed=episode_seed(self._s.seed, _PHASE, episode))
        first = np.asarray(found, self._dtype).reshape(-1)
        self._s.experience.begin_episode(first)
        self._episode_row, self._applied = self._s.experience.row_count - 1, 0
        return self._stamped(first)

    def observe(self) -> NDArray[np.uint8]:
        """What the last step led to."""
        return self._observation

    def step(self, action: Array) -> tuple[float, bool]:
        """A step, and what is to be remembered of it."""
        experience, row = self._s.experience, int(action[-1])
        if row >= self._episode_row:
            experience.begin_inference(row - self._episode_row)
            experience.apply(self._applied)
            self._applied += 1
        chosen = action[:-1].astype(np.float32)
        found, reward, terminated, truncated, info = self._env.step(self._space.to_environment(chosen))
        self._s.counted.note(info)
        following = np.asarray(found, self._dtype).reshape(-1)
        experience.end_step(chosen, float(reward), following)
        over = bool(terminated or truncated)
        if over:
            experience.end_episode(bool(terminated), None)
        experience.publish()
        self._stamped(following)
        self._count(over)
        return float(reward), over

    def _count(self, over: bool) -> None:
        self._steps += 1
        self._episodes += over
        budget = self._s.cell.budget
        if (self._steps if budget.unit == "env_steps" else self._episodes) >= budget.steps:
            self._s.experience.close()

    def default(self, last: Array | None) -> Array:
        """β."""
        action = self._default(None if last is None else last[:-1].astype(np.float32), self._rng)
        return np.append(action.astype(np.float64), _NOBODY)

    def _stamped(self, observation: NDArray[Any]) -> NDArray[np.uint8]:
        row = np.array([self._s.experience.row_count - 1], np.int64)
        self._observation = np.concatenate([observation.view(np.uint8), row.view(np.uint8)])
        return self._observation


class LearningActor:
    """What acts in an inference process, on its copy of the parameters; ε-greedy with a stream of its own."""

    def __init__(self, shared: Shared, process: int, parameters: NDArray[np.float32]) -> None:
        self._s, p = shared, shared.p
        shared.network.bind(parameters)
        graph, exploring = shared.network.graph, shared.network.exploring
        (self._acting, *_) = actings(shared.cell, graph, exploring, "zero", shared.seed)
        self._decide, self._space = HEADS[head_of(p)].decide, Actions(shared.spec)
        self._rng = generator(shared.seed, _PHASE, "random actions", process)
        self._epsilon = Annealed(p.epsilon_start, p.epsilon_end, p.epsilon_steps)
        self._dtype, self._scale = np.dtype(shared.spec.observation_dtype), np.float32(shared.spec.observation_scale)

    def restart(self, observation: NDArray[np.uint8]) -> None:
        """The network remembers nothing."""
        self._acting.restart(self._served(observation))

    def act(self, observation: NDArray[np.uint8], applied: Array) -> Array:
        """An action and the row that it rests on."""
        row = int(observation[-_STAMP:].view(np.int64)[0])
        if self._rng.random() < self._epsilon(row):
            action = self._space.random(self._rng)
        else:
            self._s.network.refresh()
            action = self._decide(self._acting.tick(self._served(observation), applied[:-1].astype(np.float32)))
        return np.append(action.astype(np.float64), float(row))

    def _served(self, observation: NDArray[np.uint8]) -> NDArray[np.float32]:
        return observation[:-_STAMP].view(self._dtype).astype(np.float32) * self._scale


class Learner:
    """What a learner process does with its copy of the parameters; its moments of Adam are its own."""

    def __init__(self, shared: Shared) -> None:
        self._s = shared
        self._updates: Updates | None = None
        self._last_steps = 0

    def __call__(self, parameters: NDArray[np.float32], process: int) -> None:
        """Wait until an update is due, then make one in place; nothing once the run is over."""
        shared = self._s
        updates = self._updates or self._begin(parameters, process)
        np.copyto(shared.newest, parameters)
        while not self._due():
            if shared.experience.over:
                time.sleep(_OVER_S)
                return
            time.sleep(_POLL_S)
        self._last_steps = shared.experience.steps
        updates.apply(updates.compute())
        shared.made[process] += 1

    def _begin(self, parameters: NDArray[np.float32], process: int) -> Updates:
        shared = self._s
        os.nice(5)  # acting comes first
        shared.network.bind(parameters)
        noise = torch.Generator().manual_seed(derive(shared.seed, "target noise", process))
        rng = generator(shared.seed, "dqn", process)
        self._updates = Updates(shared.network, shared.p, shared.experience, rng, noise)
        return self._updates

    def _due(self) -> bool:
        experience, p = self._s.experience, self._s.p
        experience.refresh()
        every = p.update_every * p.learners
        begun = experience.steps >= p.learning_starts and experience.ready(1)
        return begun and experience.steps - self._last_steps >= every


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
        return recording, shared.counted.episodes, shared.newest, sum(shared.made)

    def _take(  # type: ignore[override]  # what this class's `_carry_out` answers
        self, recording: Recording, counted: list[dict[str, float]], newest: NDArray[np.float32], updates: int
    ) -> None:
        super()._take(recording, counted)
        network = self._shared.network
        network.bind(np.array(newest))
        network.refresh(noisy=False)
        self.parameters = network.greedy
        self.updates = updates
        self.extras |= self.tally.extras()
        if self.updates:
            # Once the run is over a learner may come back with nothing done.
            ages = (np.arange(len(recording.updates.read)) - recording.updates.read)[: self.updates]
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
        latency=times.model(shared.seed, _PHASE, "wall"),
    )
    return Engine(
        world,
        world.sample,
        np.append(np.zeros(spec.action_size), _NOBODY),
        inference,
        met.processes,
        Limits(steps=budget.steps) if budget.unit == "env_steps" else Limits(episodes=budget.steps),
        holds=build(met.default_policy).holds,
        learning=Learning(shared.network.flat(), Learner(shared), p.learners),
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
