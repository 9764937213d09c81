"""What happened, row by row, and fragments of it: the observations, actions and rewards around a step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NEVER = 2**62
Array = NDArray[np.float32]


class Fragments(NamedTuple):
    """A batch of fragments around steps t; indices are relative to t.

    observations [B, 1 + before + d, F] from −before to d, actions [B, before + d + 1, A] from −before to d, rewards
    [B, d]; alive [B, d + 1] is 1 as long as no step before has terminated the episode, decided [B] where the action d
    was taken.
    """

    observations: Array
    actions: Array
    rewards: Array
    alive: Array
    decided: NDArray[np.bool_]


class History:
    """A recorder that keeps every step: an episode of L steps has L + 1 rows, the last one its last observation.

    A step t can be drawn once the observation d steps later is there, or the episode has terminated before; its window
    of `before` rows lies within the episode. Actions after a termination, which were never taken, are zeros.
    """

    def __init__(self, observation_size: int, action_size: int, delay: int, before: int) -> None:
        self._delay, self._before = delay, before
        self._rows: dict[str, Any] = {
            "observations": np.zeros((1024, observation_size), np.float32),
            "actions": np.zeros((1024, action_size), np.float32),
            "rewards": np.zeros(1024, np.float32),
            "acted": np.zeros(1024, np.bool_),
        }
        self._count, self._complete, self._first = 0, 0, 0
        self._drawable: list[int] = []
        self._stops: dict[int, int] = {}
        self._saved = [0, 0]

    # ---- recording -------------------------------------------------------------------------------------------------

    def begin_episode(self, observation: NDArray[Any]) -> None:
        """Its first observation."""
        self._first = self._count
        self._put(observation)

    def begin_inference(self, read_step: int, process: int = 0) -> None:
        """Nothing: the delay is constant."""

    def apply(self, inference: int) -> None:
        """Nothing."""

    def end_step(self, action: Array, reward: float, observation: NDArray[Any]) -> None:
        """A step from the newest row to the next."""
        row = self._count - 1
        self._rows["actions"][row], self._rows["rewards"][row], self._rows["acted"][row] = action, reward, True
        self._complete = self._count
        self._put(observation)
        self._offer(row + 1 - self._delay)

    def end_episode(self, terminated: bool, bootstrap: int | None) -> None:
        """After a termination nothing follows; after a time limit the last d steps stay without a target."""
        last = self._count - 2
        if terminated:
            for step in range(max(self._first, last + 1 - self._delay), last + 1):
                self._stops[step] = last
                if step > last + 1 - self._delay:
                    self._offer(step)
        self._complete = self._count

    def _offer(self, step: int) -> None:
        if step - self._before >= self._first:
            self._drawable.append(step)

    def _put(self, observation: NDArray[Any]) -> None:
        if self._count == len(self._rows["rewards"]):
            self._rows = {name: np.concatenate([rows, np.zeros_like(rows)]) for name, rows in self._rows.items()}
        self._rows["observations"][self._count] = observation
        self._count += 1

    # ---- drawing ---------------------------------------------------------------------------------------------------

    @property
    def drawable(self) -> int:
        """Steps that can be drawn."""
        return len(self._drawable)

    def draw(self, rng: np.random.Generator, size: int) -> Fragments:
        """So many, uniformly, with replacement."""
        chosen = rng.integers(len(self._drawable), size=size)
        return self.around(np.asarray([self._drawable[index] for index in chosen], np.int64))

    def around(self, steps: NDArray[np.int64]) -> Fragments:
        """The fragments around these steps."""
        d, before = self._delay, self._before
        last = np.asarray([self._stops.get(int(step), NEVER) for step in steps], np.int64)[:, None]
        span = steps[:, None] + np.arange(-before, d + 1)
        # Up to the row of the last observation, whose action and reward are zeros; never into the next episode.
        rows = np.minimum(np.minimum(span, last + 1), self._count - 1)
        ahead = steps[:, None] + np.arange(d + 1)
        rewards = self._rows["rewards"][rows[:, before : before + d]]
        return Fragments(
            self._rows["observations"][rows],
            self._rows["actions"][rows],
            rewards * (ahead[:, :d] <= last),
            (ahead - 1 < last).astype(np.float32),
            self._rows["acted"][rows[:, -1]] & (ahead[:, d] <= last[:, 0]),
        )

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What `appended` has not given: the row that is under way, and the ends of episodes."""
        under_way = self._rows["observations"][self._complete : self._count].copy()
        stops = np.asarray(sorted(self._stops.items()), np.int64).reshape(-1, 2)
        return {"first": self._first, "under_way": under_way, "stops": stops}

    def appended(self) -> dict[str, Any]:
        """Rows that are complete, and steps that can be drawn, since the last call."""
        rows, drawable = self._saved
        self._saved = [self._complete, len(self._drawable)]
        found = {name: values[rows : self._complete].copy() for name, values in self._rows.items()}
        return {**found, "drawable": np.asarray(self._drawable[drawable:], np.int64)}

    def absorb(self, segment: dict[str, Any]) -> None:
        """What `appended` gave, in order."""
        for index in range(len(segment["rewards"])):
            self._put(segment["observations"][index])
            for name in ("actions", "rewards", "acted"):
                self._rows[name][self._count - 1] = segment[name][index]
        self._drawable += [int(step) for step in segment["drawable"]]
        self._complete = self._count
        self._saved = [self._complete, len(self._drawable)]

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, after all segments."""
        self._first = state["first"]
        self._stops = {int(step): int(last) for step, last in state["stops"]}
        for observation in state["under_way"]:
            self._put(observation)
