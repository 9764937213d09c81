"""Replay of the augmented decision process: decisions in the order they were made, drawn as fragments.

A row is a decision: what it read, the action decided, the rewards from that observation to the next decision's. An
episode that can be continued from its end, or has terminated, has one more row for the state it ended in. A fragment
begins at a decision and goes on as long as what is read cannot have been changed by the fragment's own actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rtbench_rlrd.delays import Delays

Array = NDArray[np.float32]
_TRIES = 64
_NEVER = -1
_COLUMNS = ("observation", "action", "reward", "discount", "since", "length")


@dataclass(frozen=True)
class Batch:
    """Fragments of up to L decisions: arrays [L + 1, batch, F], [batch, K·A], [batch, A], [L, batch] twice, [batch].

    `in_flight` are the actions decided before the first decision, newest first, zeros before the episode's first;
    `length` is how many decisions each fragment has. What lies after a fragment's end repeats its last observation, its
    rewards and discounts mean nothing.
    """

    observations: Array
    in_flight: Array
    actions: Array
    rewards: Array
    discounts: Array
    length: NDArray[np.int64]


class Fragments:
    """A ring of rows, written by the acting loop (a `Recorder`), drawn uniformly over decisions that begin a fragment.

    `correcting`: fragments end where their own actions may begin to matter; else each is one decision long.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        *,
        size: int,
        delays: Delays,
        correcting: bool,
        gamma_decision: float = 1.0,
        gamma_step: float = 1.0,
    ) -> None:
        """`gamma_decision` discounts once per decision, `gamma_step` once per environment step between two reads."""
        self._size, self._delays, self._correcting = size, delays, correcting
        self._most = delays.fragment if correcting else 1
        self._gamma_decision, self._gamma_step = gamma_decision, gamma_step
        self.observation = np.zeros((size, observation_size), np.float32)
        self.action = np.zeros((size, action_size), np.float32)
        self.reward = np.zeros(size, np.float32)
        self.discount = np.zeros(size, np.float32)
        self.since = np.zeros(size, np.int64)
        """Decisions of the episode before this one."""
        self.length = np.zeros(size, np.int64)
        """Decisions of the fragment that begins here; 0: none does."""
        self.count = 0
        self._episode = 0
        self._base = self._step = 0
        self._seen: list[Array] = []
        self._rewards: list[float] = []
        self._open: list[list[int]] = []
        self._decision = np.zeros(action_size, np.float32)
        self._any = False
        self._saved, self._ends = 0, list[int]()

    # ---- recording (rtbench.learners.recorder.Recorder) ------------------------------------------------------------

    def begin_episode(self, observation: NDArray[Any]) -> None:
        """The first observation of an episode."""
        self._episode, self._base, self._step = self.count, 0, 0
        self._seen, self._rewards, self._open = [np.array(observation, np.float32)], [], []

    def decided(self, action: Array) -> None:
        """The action of the inference that is told next."""
        self._decision = action

    def begin_inference(self, read_step: int, process: int = 0) -> None:
        """A decision on the observation of `read_step` of this episode."""
        self._follow(read_step, terminated=False)
        self._append(self._decision)
        self._open.append([self.count - 1, _NEVER])

    def apply(self, inference: int) -> None:
        """This episode's decision number `inference` is applied from this step on."""
        for decision in self._open:
            if decision[0] == self._episode + inference:
                decision[1] = self._step

    def end_step(self, action: Array, reward: float, observation: NDArray[Any]) -> None:
        """A step's reward, and the observation that followed."""
        self._rewards.append(reward)
        self._seen.append(np.array(observation, np.float32))
        self._step += 1

    def end_episode(self, terminated: bool, bootstrap: int | None) -> None:
        """The episode is over: what came since the last decision counts if it ended the world, or lasts till the next.

        After a time limit the last decision is followed by the observation that the next one would have read.
        """
        read_step = self._step if terminated else self._base + self._delays.stride_steps
        if self.count > self._episode and read_step <= self._step:
            self._follow(read_step, terminated)
            self._append(np.zeros_like(self._decision))
        self._open.clear()

    def _follow(self, read_step: int, terminated: bool) -> None:
        """What is read at `read_step` follows the newest decision."""
        passed = read_step - self._base
        if self.count > self._episode:
            weights = self._gamma_step ** np.arange(passed + 1)
            at = (self.count - 1) % self._size
            self.reward[at] = np.dot(weights[:-1], self._rewards[:passed])
            self.discount[at] = 0.0 if terminated else self._gamma_decision * weights[-1]
            self._lengthen(read_step)
        del self._seen[:passed], self._rewards[:passed]
        self._base = read_step

    def _lengthen(self, read_step: int) -> None:
        if not self._correcting:
            self.length[(self.count - 1) % self._size] = 1
            self._any = True
            return
        # A decision that is applied at the very step that is read changes what comes after it, not what is read.
        self._open = [[row, applied] for row, applied in self._open if applied == _NEVER or read_step <= applied]
        for row, _ in self._open:
            self.length[row % self._size] = min(self.count - row, self._most)
            self._any = True

    def _append(self, action: Array) -> None:
        at = self.count % self._size
        self.observation[at], self.action[at] = self._seen[0], action
        self.reward[at] = self.discount[at] = 0.0
        self.since[at], self.length[at] = self.count - self._episode, 0
        self.count += 1

    # ---- drawing ---------------------------------------------------------------------------------------------------

    @property
    def _alive_from(self) -> int:
        """The oldest row whose earlier actions have not been overwritten."""
        low = max(0, self.count - self._size)
        return low + self._delays.in_flight if low else 0

    @property
    def ready(self) -> bool:
        """Whether any fragment can be drawn."""
        if not self._any or self.count <= self._size:
            return self._any
        return bool(self.length[np.arange(self._alive_from, self.count) % self._size].any())

    def choose(self, rng: np.random.Generator, batch: int) -> NDArray[np.int64]:
        """Rows that fragments begin with, uniformly; others are drawn again."""
        low = self._alive_from
        chosen = rng.integers(low, self.count, batch)
        for _ in range(_TRIES):
            wrong = np.flatnonzero(self.length[chosen % self._size] == 0)
            if not len(wrong):
                return chosen
            chosen[wrong] = rng.integers(low, self.count, len(wrong))
        alive = np.arange(low, self.count)
        good: NDArray[np.int64] = alive[self.length[alive % self._size] > 0]
        return good[rng.integers(0, len(good), batch)]

    def gather(self, chosen: NDArray[np.int64]) -> Batch:
        """The fragments that begin with these rows."""
        length = self.length[chosen % self._size]
        onward = chosen + np.minimum(np.arange(self._most + 1)[:, None], length)
        back = np.arange(self._delays.in_flight)[:, None]
        # A place further back than the episode is no action of it.
        inside = back < self.since[chosen % self._size]
        earlier = self.action[(chosen - 1 - back) % self._size] * inside[..., None]
        return Batch(
            self.observation[onward % self._size],
            np.ascontiguousarray(earlier.transpose(1, 0, 2).reshape(len(chosen), -1)),
            self.action[chosen % self._size],
            self.reward[onward[:-1] % self._size],
            self.discount[onward[:-1] % self._size],
            length,
        )

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    @property
    def _settled(self) -> int:
        """Rows before this one change no more."""
        newest = max(self._episode, self.count - 1)
        return min([newest, *(row for row, _ in self._open)])

    def appended(self) -> dict[str, Any]:
        """Rows that have settled since the last call; at most a ring's length."""
        begin, end = max(self._saved, self.count - self._size, 0), self._settled
        rows = np.arange(begin, max(begin, end)) % self._size
        self._saved = max(begin, end)
        self._ends.append(self._saved)
        return {"from": begin, **{name: getattr(self, name)[rows] for name in _COLUMNS}}

    @property
    def spent(self) -> int:
        """How many segments, from the first on, hold only what has been overwritten."""
        return sum(end <= self.count - self._size for end in self._ends)

    def state(self) -> dict[str, Any]:
        """Counters, what may still change, and the steps since the newest decision."""
        rows = np.arange(self._settled, self.count) % self._size
        return {
            "counts": [self.count, self._episode, self._base, self._step, int(self._any), self._saved],
            "live": {name: getattr(self, name)[rows] for name in _COLUMNS},
            "seen": [*self._seen],
            "rewards": [*self._rewards],
            "open": [[*decision] for decision in self._open],
            "decision": self._decision,
            "ends": [*self._ends],
        }

    def absorb(self, segment: dict[str, Any]) -> None:
        """What `appended` gave, segment by segment in order, the spent ones left out; `restore` comes after them."""
        rows = (int(segment["from"]) + np.arange(len(segment["reward"]))) % self._size
        for name in _COLUMNS:
            getattr(self, name)[rows] = segment[name]

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, after every segment."""
        self.count, self._episode, self._base, self._step, found, self._saved = state["counts"]
        self._any = bool(found)
        rows = np.arange(self._settled_of(state), self.count) % self._size
        for name in _COLUMNS:
            getattr(self, name)[rows] = state["live"][name]
        self._seen = [np.asarray(seen, np.float32) for seen in state["seen"]]
        self._rewards = [float(reward) for reward in state["rewards"]]
        self._open = [[int(row), int(applied)] for row, applied in state["open"]]
        self._decision = np.asarray(state["decision"], np.float32)
        self._ends = [int(end) for end in state["ends"]]

    def _settled_of(self, state: dict[str, Any]) -> int:
        return self.count - len(state["live"]["reward"])
