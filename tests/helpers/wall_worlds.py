"""Worlds and policies whose every action tells where it came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtbench.plugins import build, use
from rtbench.realtime.engine import Engine, Limits
from rtbench.realtime.inference import Inference
from rtbench.realtime.recording import Recording

STEP_NS = 4_000_000
NOTHING, RANDOM = -1, -2


class Counting:
    """Observes (episode, step of the whole stretch); actions are numbers, β's is `NOTHING`; keeps what was applied."""

    def __init__(self, episode_steps: int = 10**9, rests: bool = False) -> None:
        self.episode_steps, self.rests = episode_steps, rests
        self.applied: list[tuple[int, ...]] = []
        self.observed: list[tuple[int, int]] = []
        self.episode, self.step_of_stretch, self.step_of_episode = -1, 0, 0

    def reset(self, episode: int) -> Any:
        if self.rests:
            self.step_of_stretch = 0
        self.episode, self.step_of_episode = episode, 0
        return self.observe()

    def observe(self) -> Any:
        return np.array([self.episode, self.step_of_stretch], np.int64)

    def step(self, action: Any) -> tuple[float, bool]:
        self.applied.append(tuple(np.asarray(action).tolist()))
        self.observed.append((self.episode, self.step_of_stretch))
        self.step_of_stretch += 1
        self.step_of_episode += 1
        return float(self.step_of_episode), self.step_of_episode >= self.episode_steps

    def default(self, last: Any) -> Any:
        return np.full(5, NOTHING, np.int64)


class Telling:
    """Answers (process, count of its inferences, episode and step it read, place in the chunk)."""

    def __init__(self, process: int, chunk: int = 1, parameters: Any = None) -> None:
        self.process, self.chunk, self.parameters = process, chunk, parameters
        self.count = -1
        self.restarts: list[int] = []

    def restart(self, observation: Any) -> None:
        self.restarts.append(int(observation[0]))

    def act(self, observation: Any, applied: Any) -> Any:
        assert self.restarts[-1] == observation[0], "told of the episode before it is asked"
        self.count += 1
        found = [
            np.array([self.process, self.count, *observation.tolist(), place], np.int64) for place in range(self.chunk)
        ]
        return found[0] if self.chunk == 1 else tuple(found)


def state_of(scheduler: str, processes: int, execution: str = "sequential", **params: Any) -> Any:
    return build(use("schedulers", scheduler, params)).make(processes, STEP_NS, execution)


def run_counting(
    scheduler: Any, processes: int = 1, *, steps: int = 50, world: Counting | None = None, **more: Any
) -> tuple[Counting, Recording]:
    """A short run; `more` goes to `Inference` and `Engine` by their fields (`learning` to the latter)."""
    world = world or Counting()
    inference = {
        "make_actor": lambda process, parameters: Telling(process, scheduler.chunk, parameters),
        **{
            name: more.pop(name) for name in list(more) if name in Inference.__dataclass_fields__ and name != "learning"
        },
    }
    engine = Engine(
        world,
        world.observe(),
        world.default(None),
        Inference(scheduler, STEP_NS, **inference),
        processes,
        more.pop("limits", Limits(steps=steps)),
        most_missed=1.0,  # what is tested does not depend on punctuality
        **more,
    )
    return world, engine.run()
