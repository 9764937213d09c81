"""Replay of a delayed semi-MDP: every environment step once, decisions as indices into it.

A *row* is an emitted observation with the action applied on it and the reward that followed. A *decision* is one
inference: the row it read, the row it was applied on, the rewards until the next decision was applied. Windows of
earlier reads never cross an episode's start: they repeat its first observation, and the start rule masks what lies
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
NOT_APPLIED = -1
_TRIES = 64


@dataclass(frozen=True)
class Sample:
    """A batch of decisions of one run, as arrays to be filled (views of one allocation per program).

    `observations` [2 + 2·W, batch, F]: where the decision was applied, where the next one was, then the windows that
    decided them, W ticks each in the plan's order; `window_actions` [2, V, batch, A]; `past_actions` [2, K, batch, A]:
    the K actions applied before, for a critic that sees them; `since` [2, batch]: ticks from the episode's start to the
    deciding inference.
    """

    observations: Array
    window_actions: Array
    past_actions: Array
    actions: Array
    rewards: Array
    discounts: Array
    since: NDArray[np.int64]

    @classmethod
    def empty(cls, runs: int, batch: int, sizes: tuple[int, int], ticks: tuple[int, int, int]) -> Sample:
        """Arrays for all runs; `sizes` = (observation, action), `ticks` = (observations, actions, past actions)."""
        (f, a), (w, v, k) = sizes, ticks
        return cls(
            observations=np.empty((runs, 2 + 2 * w, batch, f), np.float32),
            window_actions=np.empty((runs, 2, v, batch, a), np.float32),
            past_actions=np.empty((runs, 2, k, batch, a), np.float32),
            actions=np.empty((runs, batch, a), np.float32),
            rewards=np.empty((runs, batch), np.float32),
            discounts=np.empty((runs, batch), np.float32),
            since=np.empty((runs, 2, batch), np.int64),
        )

    def run(self, index: int) -> Sample:
        """The views of one run."""
        return Sample(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


class Replay:
    """Rows and decisions in two rings; written by the acting loop, sampled uniformly over finished decisions."""

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        *,
        decisions: int,
        rows: int,
        gamma_decision: float = 1.0,
        gamma_step: float = 1.0,
        dtype: type[np.generic] = np.float32,
    ) -> None:
        """`gamma_decision` discounts once per decision, `gamma_step` once per environment step a decision lasts.

        `dtype` is how observations are stored (bytes for frames); they are served as float32.
        """
        self._rows, self._decisions = rows, decisions
        self._gamma_decision, self._gamma_step = gamma_decision, gamma_step
        self.observations: NDArray[Any] = np.empty((rows, observation_size), dtype)
        self.actions = np.zeros((rows, action_size), np.float32)
        # One record per decision, so that one fetch from memory brings all of it.
        self._records = np.zeros((decisions, 6), np.int64)
        self.read, self.applied, self.since, self.first, self.next, self.previous = self._records.T
        self.reward = np.zeros(decisions, np.float32)
        self.discount = np.zeros(decisions, np.float32)
        self.closed = np.zeros(decisions, np.bool_)
        self.row_count = 0
        self.decision_count = 0
        self.closed_count = 0
        self._episode_row = 0
        self._episode_decision = 0
        self._open = NOT_APPLIED
        self._return, self._weight = 0.0, 1.0
        self._oldest = 0
        self._saved = (0, 0)
        self._stride: int | None = None
        self._straight = True

    # ---- recording (rtbench.learners.loop.Recorder) ----------------------------------------------------------------

    def begin_episode(self, observation: Array) -> None:
        """The first observation of an episode."""
        self._episode_row, self._episode_decision = self.row_count, self.decision_count
        self._open, self._return, self._weight = NOT_APPLIED, 0.0, 1.0
        self._append_row(observation)

    def begin_inference(self, read_step: int) -> None:
        """An inference has started on the observation of `read_step` of this episode."""
        at = self.decision_count % self._decisions
        since = self.decision_count - self._episode_decision
        self._records[at] = (self._episode_row + read_step, NOT_APPLIED, since, self._episode_row, 0, NOT_APPLIED)
        self._observe_stride(since, read_step)
        self.closed_count -= int(self.closed[at])
        self.closed[at] = False
        self.decision_count += 1

    def _observe_stride(self, since: int, read_step: int) -> None:
        """Note whether all inferences so far read every so many steps from an episode's start on."""
        if self._stride is None and since:
            self._stride = read_step // since
        self._straight = self._straight and read_step == (self._stride or 0) * since

    def apply(self, inference: int) -> None:
        """This episode's inference number `inference` is applied on the newest row."""
        decision = self._episode_decision + inference
        self._close(decision, terminated=False)
        at = decision % self._decisions
        self.applied[at] = self.row_count - 1
        self.previous[at] = self._open
        self._open, self._return, self._weight = decision, 0.0, 1.0

    def end_step(self, action: Array, reward: float, observation: Array) -> None:
        """The newest row's action and reward, and the observation that followed."""
        self.actions[(self.row_count - 1) % self._rows] = action
        self._return += self._weight * reward
        self._weight *= self._gamma_step
        self._append_row(observation)

    def end_episode(self, terminated: bool, bootstrap: int | None) -> None:
        """The episode is over; `bootstrap` is the inference whose action would have been applied next."""
        if terminated or bootstrap is None:
            self._close(self._open, terminated=True if terminated else None)
        else:
            decision = self._episode_decision + bootstrap
            self.applied[decision % self._decisions] = self.row_count - 1
            self.previous[decision % self._decisions] = self._open
            self._close(decision, terminated=False)
        self._open = NOT_APPLIED

    def _close(self, following: int, terminated: bool | None) -> None:
        """Finish the decision that was being applied; None: it cannot be bootstrapped and is left out."""
        if self._open == NOT_APPLIED or terminated is None:
            return
        at = self._open % self._decisions
        self.next[at] = following
        self.reward[at] = self._return
        self.discount[at] = 0.0 if terminated else self._gamma_decision * self._weight
        self.closed_count += int(not self.closed[at])
        self.closed[at] = True

    def _append_row(self, observation: Array) -> None:
        at = self.row_count % self._rows
        self.observations[at] = observation
        self.actions[at] = 0.0
        self.row_count += 1

    # ---- sampling --------------------------------------------------------------------------------------------------

    def _alive_from(self, window_ticks: int) -> int:
        """The oldest decision whose window, rows and predecessors have not been overwritten."""
        low = max(0, self.decision_count - self._decisions) + (
            window_ticks if self.decision_count > self._decisions else 0
        )
        first_row = self.row_count - self._rows
        self._oldest = max(self._oldest, low)
        if first_row > 0:
            while self._oldest < self.decision_count and self.read[self._oldest % self._decisions] < first_row:
                self._oldest += 1
            return min(self._oldest + window_ticks, self.decision_count)
        return self._oldest

    def choose(self, rng: np.random.Generator, batch: int, window_ticks: int) -> NDArray[np.int64]:
        """Finished decisions, uniformly; unfinished ones (an episode's last) are drawn again."""
        low = self._alive_from(window_ticks)
        chosen = rng.integers(low, self.decision_count, batch)
        for _ in range(_TRIES):
            wrong = np.flatnonzero(~self.closed[chosen % self._decisions])
            if not len(wrong):
                return chosen
            chosen[wrong] = rng.integers(low, self.decision_count, len(wrong))
        # Hardly any is finished (many processes, few steps): draw among those that are.
        live = np.arange(low, self.decision_count)
        finished = live[self.closed[live % self._decisions]]
        return finished[rng.integers(0, len(finished), batch)]

    def ready(self, window_ticks: int) -> bool:
        """Whether any decision can be drawn."""
        if not self.closed_count:
            return False
        if self.decision_count <= self._decisions and self.row_count <= self._rows:
            return True
        live = np.arange(self._alive_from(window_ticks), self.decision_count) % self._decisions
        return bool(self.closed[live[:_TRIES]].any() or self.closed[live].any())

    def fill(
        self, out: Sample, chosen: NDArray[np.int64], observation_ticks: Sequence[int], action_ticks: Sequence[int]
    ) -> None:
        """Gather the chosen decisions and their windows into `out`, without a loop over samples."""
        at = chosen % self._decisions
        discount = self.discount.take(at)
        records = np.empty((2, *self._records.shape[1:], len(chosen)), np.int64)
        records[0] = self._records.take(at, axis=0).T
        # A terminated decision has no next one; its own stands in, masked by a discount of 0.
        pair = np.stack([chosen, np.where(discount == 0.0, chosen, records[0, 4])])
        ring_pair = pair % self._decisions
        records[1] = self._records.take(ring_pair[1], axis=0).T
        applied, since, first = (records[:, column] for column in (1, 2, 3))
        w = len(observation_ticks)
        rows = np.empty((2 + 2 * w, len(chosen)), np.int64)
        rows[:2] = applied
        for side in (0, 1):
            rows[2 + side * w : 2 + (side + 1) * w] = self._read(
                ring_pair[side], since[side], first[side], observation_ticks
            )
        self._serve(rows, out.observations)
        for index, ticks in enumerate(action_ticks):
            for side in (0, 1):
                read = self._read(ring_pair[side], since[side], first[side], (ticks,))[0]
                np.take(self.actions, read - self._base, axis=0, out=out.window_actions[side, index], mode="wrap")
            if ticks and (since < ticks).any():
                out.window_actions[:, index] *= (since >= ticks)[..., None]
        self._fill_past(out.past_actions, records[:, 5])
        np.take(self.actions, applied[0] - self._base, axis=0, out=out.actions, mode="wrap")
        np.take(self.reward, at, out=out.rewards, mode="clip")
        out.discounts[:] = discount
        out.since[:] = since

    @property
    def _base(self) -> int:
        """Row numbers less this are places in the ring, or, if negative, places counted from its end."""
        return (self.row_count - 1) // self._rows * self._rows

    def _serve(self, rows: NDArray[np.int64], out: Array) -> None:
        """Observations of these rows as float32."""
        if self.observations.dtype == np.float32:
            np.take(self.observations, rows - self._base, axis=0, out=out, mode="wrap")
        else:
            out[:] = self.observations[rows % self._rows]

    def _read(
        self, at: NDArray[np.int64], since: NDArray[np.int64], first: NDArray[np.int64], ticks: Sequence[int]
    ) -> NDArray[np.int64]:
        """Rows [ticks, batch] read so many ticks before some decisions; before an episode its first row."""
        back = np.asarray(ticks)[:, None]
        if self._straight:
            straight: NDArray[np.int64] = first + (self._stride or 0) * np.maximum(since - back, 0)
            return straight
        inside = self.read[at - np.minimum(back, since)]
        return np.where(back > since, first, inside)

    def _fill_past(self, out: Array, before: NDArray[np.int64]) -> None:
        """The actions of the decisions applied before, newest first; zeros before the episode's first.

        `before` [2, batch]: the decision applied before each.
        """
        known = np.ones(before.shape, np.bool_)
        for k in range(out.shape[1]):
            # A predecessor that has been overwritten counts as none.
            known &= before > max(NOT_APPLIED, self.decision_count - self._decisions - 1)
            records = self._records.take(np.where(known, before, 0) % self._decisions, axis=0)
            rows, before = records[..., 1], records[..., 5]
            known &= rows >= self.row_count - self._rows
            np.take(self.actions, rows - self._base, axis=0, out=out[:, k], mode="wrap")
            if not known.all():
                out[:, k] *= known[..., None]

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    _COLUMNS = ("read", "applied", "since", "first", "next", "previous", "reward", "discount", "closed")

    def state(self) -> dict[str, Any]:
        """Counters and the decisions of the current episode, which are still changing."""
        live = np.arange(min(self._episode_decision, self.decision_count), self.decision_count) % self._decisions
        return {
            "counts": [self.row_count, self.decision_count, self.closed_count],
            "episode": [self._episode_row, self._episode_decision, self._open],
            "pending": [self._return, self._weight],
            "live": {name: getattr(self, name)[live] for name in self._COLUMNS},
            "row": self.actions[(self.row_count - 1) % self._rows].copy() if self.row_count else np.zeros(0),
            "oldest": self._oldest,
        }

    def appended(self) -> dict[str, Any]:
        """Rows, and decisions of finished episodes, since the last call; at most a ring's length."""
        row_from = max(self._saved[0], self.row_count - self._rows, 0)
        decision_from = max(self._saved[1], self.decision_count - self._decisions, 0)
        # The newest row has no action yet: it is written again by the next segment.
        row_to, decision_to = max(row_from, self.row_count - 1), max(decision_from, self._episode_decision)
        rows = np.arange(row_from, self.row_count) % self._rows
        decisions = np.arange(decision_from, decision_to) % self._decisions
        self._saved = (row_to, decision_to)
        return {
            "row_from": row_from,
            "decision_from": decision_from,
            "observations": self.observations[rows],
            "actions": self.actions[rows],
            **{name: getattr(self, name)[decisions] for name in self._COLUMNS},
        }

    def restore(self, state: dict[str, Any], segments: Sequence[dict[str, Any]]) -> None:
        """Back to `state`, given every segment in order."""
        for segment in segments:
            rows = (int(segment["row_from"]) + np.arange(len(segment["observations"]))) % self._rows
            self.observations[rows], self.actions[rows] = segment["observations"], segment["actions"]
            decisions = (int(segment["decision_from"]) + np.arange(len(segment["read"]))) % self._decisions
            for name in self._COLUMNS:
                getattr(self, name)[decisions] = segment[name]
        self.row_count, self.decision_count, self.closed_count = state["counts"]
        self._episode_row, self._episode_decision, self._open = state["episode"]
        self._return, self._weight = state["pending"]
        self._oldest = state["oldest"]
        live = np.arange(self._episode_decision, self.decision_count) % self._decisions
        for name in self._COLUMNS:
            getattr(self, name)[live] = state["live"][name]
        self._saved = (max(0, self.row_count - 1), self._episode_decision)
        alive = np.arange(max(0, self.decision_count - self._decisions), self.decision_count) % self._decisions
        steps, since = (self.read - self.first)[alive], self.since[alive]
        later = np.flatnonzero(since)
        self._stride = int(steps[later[0]] // since[later[0]]) if len(later) else None
        self._straight = bool(np.all(steps == (self._stride or 0) * since))
