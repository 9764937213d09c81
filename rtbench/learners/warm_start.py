"""A warm start: what somebody did in the same environment, in a replay before anything is learnt.

A file (.npz, no pickle) holds, per environment step of all episodes one after another: `observations` [T, …] before the
step, `actions` [T] (numbers of discrete actions), `rewards` [T], `dones` [T] (0: the episode goes on, 1: it ended, 2:
it was cut off) and, if not every step is a decision, `decided` [T]. It says nothing of delays: they are put in here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.errors import RtbenchError

if TYPE_CHECKING:
    from rtbench.learners.experience import Experience
    from rtbench.learners.schedule import Schedule
    from rtbench.parts import EnvironmentSpec

GOES_ON, ENDED, CUT_OFF = range(3)
_NEEDED = ("observations", "actions", "rewards", "dones")


@dataclass(frozen=True, eq=False)
class Transitions:
    """Steps of episodes: observations [T, F] in the environment's numbers, actions [T, A] one-hot, the rest [T]."""

    observations: NDArray[Any]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float64]
    dones: NDArray[np.int64]
    decided: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.dones)

    @property
    def episodes(self) -> Iterator[range]:
        """The steps of each episode, one that is not over included."""
        ends = [0, *(np.flatnonzero(self.dones) + 1).tolist()]
        ends += [len(self)] if ends[-1] < len(self) else []
        return (range(first, end) for first, end in itertools.pairwise(ends))


def read(path: Path | str, spec: EnvironmentSpec) -> Transitions:
    """A file's transitions; RtbenchError if it is none, or none of this environment."""
    try:
        with np.load(path, allow_pickle=False) as file:
            given = {name: file[name] for name in (*_NEEDED, "decided") if name in file or name != "decided"}
    except (OSError, ValueError, KeyError) as error:
        raise _wrong(path, f"no transitions: {error}") from None
    steps = len(given["dones"])
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1 or not steps:
        raise _wrong(path, f"its arrays must have one entry per step, at least one: {lengths}")
    seen = given["observations"].reshape(steps, -1)
    if seen.shape[1] != spec.observation_size or seen.dtype != np.dtype(spec.observation_dtype):
        asked = f"{spec.observation_size} numbers of type {spec.observation_dtype}"
        raise _wrong(path, f"its observations are {seen.shape[1]} numbers of type {seen.dtype}, not {asked}")
    actions, dones = given["actions"].astype(np.int64), given["dones"].astype(np.int64)
    for name, values, most in (("actions", actions, spec.action_size - 1), ("dones", dones, CUT_OFF)):
        if values.ndim != 1 or values.min() < 0 or values.max() > most:
            raise _wrong(path, f"its {name} must be a list of whole numbers from 0 to {most}")
    decided = given.get("decided", np.ones(steps, np.bool_)).astype(np.bool_)
    return Transitions(
        seen, np.eye(spec.action_size, dtype=np.float32)[actions], given["rewards"].astype(np.float64), dones, decided
    )


def _wrong(path: Path | str, message: str) -> RtbenchError:
    hint = "np.savez(file, observations=…, actions=…, rewards=…, dones=…), as rtbench.learners.warm_start says"
    return RtbenchError(message, place=f"transitions {path}", hint=hint)


def fill(experience: Experience, given: Transitions, schedule: Schedule) -> None:
    """Put transitions into an experience as if decisions had come when those of the schedule's inferences do.

    What was done at the step where an inference's action arrives counts as decided from the observation that the
    inference reads; elsewhere, and where nothing was decided, it belongs to the decision before.
    """
    for episode, steps in enumerate(given.episodes):
        schedule.begin(episode, steps.start)
        experience.begin_episode(given.observations[steps.start])
        made: list[tuple[int, int]] = []
        count = 0
        for step, at in enumerate(steps):
            source = (0, step) if schedule.trivial else None
            if not schedule.trivial:
                if arrived := schedule.arrived(step):
                    source = made[arrived[-1]]
                made += [(process, read_step) for process, read_step, _ in schedule.started(step)]
            if source is not None and given.decided[at]:
                process, read_step = source
                experience.begin_inference(read_step, process)
                experience.apply(count)
                count += 1
            following = given.observations[at + 1] if at + 1 < steps.stop else given.observations[at]
            experience.end_step(given.actions[at], float(given.rewards[at]), following)
        experience.end_episode(given.dones[steps[-1]] == ENDED, None)
