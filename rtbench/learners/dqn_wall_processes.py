"""What the processes of a run that learns on the wall clock do: the world, inference, learners (`dqn_wall`)."""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.learners.acting import actings
from rtbench.learners.actions import Actions
from rtbench.learners.dqn_trainer import Annealed, experience_sizes
from rtbench.learners.dqn_updates import Updates, head_of, network_of
from rtbench.learners.policy import HEADS
from rtbench.learners.shared_experience import SharedExperience
from rtbench.learners.wall_tally import Counted
from rtbench.plugins import build
from rtbench.realtime.shared import integers
from rtbench.seeds import derive, episode_seed, generator

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.learners.dqn import Params
    from rtbench.learners.dqn_networks import QNetwork
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float64]
PHASE, NOBODY = "train", -1.0
_STAMP = 16
"""Bytes of two numbers at an observation's end: its row, and the environment steps of all episodes before it."""
_POLL_S, _OVER_S = 0.001, 0.05


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
        first = versioned(network)
        memory = np.frombuffer(mmap.mmap(-1, first.nbytes), np.float32)
        memory[:] = first
        return cls(cell, spec, p, seed, network, experience, memory, integers(p.learners), Counted())


def versioned(network: QNetwork) -> NDArray[np.float32]:
    """Parameters before any update: what is trained, then how many updates have been made (exact up to 2²⁴)."""
    return np.append(network.flat(), np.float32(0))


def version_of(parameters: NDArray[np.float32]) -> int:
    """How many updates made them."""
    return int(parameters[-1])


class LearningWorld:
    """A cell's environment, whose observations are bytes that end in the number of their row and of their step.

    Actions [A + 1] end in the row of the observation that they rest on, −1 where the default policy acts.
    """

    def __init__(self, shared: Shared) -> None:
        self._s = shared
        interaction, spec = shared.cell.interaction, shared.spec
        self._env, self._space = build(shared.cell.environment).make(), Actions(spec)
        self._default = self._space.default(build(interaction.default_policy).make(spec))
        self._rng = generator(shared.seed, PHASE, "default policy")
        self._dtype = np.dtype(spec.observation_dtype)
        self.sample = np.zeros(spec.observation_size * self._dtype.itemsize + _STAMP, np.uint8)
        self._observation = self.sample
        self._episode_row, self._applied, self._episodes, self._steps = 0, 0, 0, 0

    def reset(self, episode: int) -> NDArray[np.uint8]:
        """An episode of training."""
        self._s.counted.begin()
        found, _ = self._env.reset(seed=episode_seed(self._s.seed, PHASE, episode))
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
        self._count(over)
        self._stamped(following)
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
        return np.append(action.astype(np.float64), NOBODY)

    def _stamped(self, observation: NDArray[Any]) -> NDArray[np.uint8]:
        stamp = np.array([self._s.experience.row_count - 1, self._steps], np.int64)
        self._observation = np.concatenate([observation.view(np.uint8), stamp.view(np.uint8)])
        return self._observation


class LearningActor:
    """What acts in an inference process, on its copy of the parameters; ε-greedy with a stream of its own.

    Noise on weights is the process's own too, drawn anew with every new version of the parameters.
    """

    def __init__(self, shared: Shared, process: int, parameters: NDArray[np.float32]) -> None:
        self._s, p = shared, shared.p
        shared.network.bind(parameters)
        self._noise = torch.Generator().manual_seed(derive(shared.seed, "noise", process))
        self._parameters, self._version = parameters, -1
        graph, exploring = shared.network.graph, shared.network.exploring
        (self._acting, *_) = actings(shared.cell, graph, exploring, "zero", shared.seed)
        self._decide, self._space = HEADS[head_of(p)].decide, Actions(shared.spec)
        self._rng = generator(shared.seed, PHASE, "random actions", process)
        self._epsilon = Annealed(p.epsilon_start, p.epsilon_end, p.epsilon_steps)
        self._dtype, self._scale = np.dtype(shared.spec.observation_dtype), np.float32(shared.spec.observation_scale)

    def restart(self, observation: NDArray[np.uint8]) -> None:
        """The network remembers nothing."""
        self._acting.restart(self._served(observation))

    def act(self, observation: NDArray[np.uint8], applied: Array) -> Array:
        """An action and the row that it rests on."""
        row, step = observation[-_STAMP:].view(np.int64).tolist()
        if self._rng.random() < self._epsilon(step):
            action = self._space.random(self._rng)
        else:
            self._take_newest()
            action = self._decide(self._acting.tick(self._served(observation), applied[:-1].astype(np.float32)))
        return np.append(action.astype(np.float64), float(row))

    def _take_newest(self) -> None:
        version = version_of(self._parameters)
        if version != self._version:
            self._version = version
            self._s.network.draw_from(self._noise)
            self._s.network.refresh()

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
        updates.follow(version_of(parameters))
        updates.step(updates.compute())
        parameters[-1] += 1
        shared.made[process] += 1

    def _begin(self, parameters: NDArray[np.float32], process: int) -> Updates:
        shared = self._s
        os.nice(5)  # acting comes first
        shared.network.bind(parameters)
        shared.network.draw_from(torch.Generator().manual_seed(derive(shared.seed, "learner noise", process)))
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
