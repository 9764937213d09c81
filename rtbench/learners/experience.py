"""Replay for learners of action values: frames stored once, several decisions ahead, uniform or by priority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.errors import RtbenchError
from rtbench.learners.priorities import Priorities
from rtbench.learners.replay import NONE, Replay

if TYPE_CHECKING:
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]
Indices = NDArray[np.int64]
_TRIES = 64
_LEAST = 1e-6


@dataclass(frozen=True)
class Ahead:
    """What is drawn of a decision: rewards of `decisions` in a row, and the state they led to.

    `fresh`: as next observation the newest one when the next decision is applied, not the one that decides it.
    """

    decisions: int = 1
    fresh: bool = False


@dataclass(frozen=True)
class Priority:
    """Draws are made with probability ∝ (|error| + 10⁻⁶)^`exponent`, corrected by weights ∝ probability^−`correction`.

    Schaul et al. 2016, Section 3.3: what has no error is drawn now and then all the same.
    """

    exponent: float
    correction: float


@dataclass(frozen=True)
class Transitions:
    """A batch: observations as the environment gives them [n, F], actions [n], returns, discounts and weights [n]."""

    decisions: Indices
    observations: NDArray[Any]
    actions: Indices
    returns: Array
    discounts: Array
    following: NDArray[Any]
    weights: Array


class Experience(Replay):
    """A `Replay` whose rows are single frames, also where observations stack the newest few.

    Before the first row of an episode stand the other frames of its first observation, so that the stack of any row is
    the row and those before it. 1 000 000 frames of 84 × 84 bytes are 7.06 GB; there is no second copy of a next
    observation.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        *,
        decisions: int,
        rows: int,
        gamma_decision: float = 1.0,
        gamma_step: float = 1.0,
        ahead: Ahead | None = None,
        priority: Priority | None = None,
    ) -> None:
        self._frames = spec.stacked_frames
        self._pixels = spec.observation_size // self._frames
        self._signs = spec.training_reward == "sign"
        super().__init__(
            self._pixels,
            spec.action_size,
            decisions=decisions,
            rows=rows,
            gamma_decision=gamma_decision,
            gamma_step=gamma_step,
            dtype=np.dtype(spec.observation_dtype).type,
        )
        self._ahead, self._priority = ahead or Ahead(), priority
        self._priorities = Priorities(decisions) if priority else None
        self._greatest = 1.0

    # ---- recording -------------------------------------------------------------------------------------------------

    def begin_episode(self, observation: NDArray[Any]) -> None:
        """The first observation of an episode; of a stack the earlier frames go before it."""
        stack = observation.reshape(-1, self._frames)
        for back in range(self._frames - 1):
            super()._append_row(stack[:, back])
        super().begin_episode(observation)

    def begin_inference(self, read_step: int, process: int = 0) -> None:
        """As in any replay; what stood in its place cannot be drawn any more."""
        if self._priorities is not None and self.decision_count >= self._decisions:
            self._priorities.set_one(self.decision_count % self._decisions, 0.0)
        super().begin_inference(read_step, process)

    def end_step(self, action: Array, reward: float, observation: NDArray[Any]) -> None:
        """As in any replay, with the reward that is trained on."""
        super().end_step(action, float(np.sign(reward)) if self._signs else reward, observation)

    def _append_row(self, observation: NDArray[Any]) -> None:
        super()._append_row(observation.reshape(-1, self._frames)[:, -1])

    def _close(self, following: int, terminated: bool | None) -> None:
        decision = self._open
        super()._close(following, terminated)
        if self._priorities is not None and decision != NONE and terminated is not None:
            self._priorities.set_one(decision % self._decisions, self._greatest)

    # ---- drawing ---------------------------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator, batch: int) -> Transitions:
        """A batch of finished decisions and where they led."""
        chosen, weights = self._by_priority(rng, batch) if self._priorities else (self._uniform(rng, batch), None)
        at = chosen % self._decisions
        returns, discounts, last = self.reward[at].copy(), self.discount[at].copy(), self.next[at] % self._decisions
        for _ in range(self._ahead.decisions - 1):
            # Beyond a terminal state the discount is 0; an unfinished decision is as far as can be looked.
            known = (self.next[last] != NONE) & (self.next[last] < self.decision_count)
            returns += np.where(known, discounts * self.reward[last], 0)
            discounts *= np.where(known, self.discount[last], 1)
            last = np.where(known, self.next[last] % self._decisions, last)
        following = self.applied[last] if self._ahead.fresh else self.read[last]
        return Transitions(
            chosen,
            self._observed(self.read[at]),
            self.actions[self.applied[at] % self._rows].argmax(1),
            returns,
            discounts,
            self._observed(following),
            np.ones(batch, np.float32) if weights is None else weights,
        )

    def prioritise(self, drawn: Transitions, found: Array) -> None:
        """Set the priorities of what was drawn, as far as it is still there; RtbenchError of errors not finite."""
        if self._priorities is None or self._priority is None:
            return
        if not np.isfinite(found).all():
            raise RtbenchError(
                f"training diverged: the errors of {np.count_nonzero(~np.isfinite(found))} of {len(found)} decisions "
                "are not finite, and decisions are drawn in proportion to them",
                place="prioritised replay",
                hint="a smaller learning_rate",
            )
        values = (np.abs(found).astype(np.float64) + _LEAST) ** self._priority.exponent
        here = drawn.decisions >= self.decision_count - self._decisions
        if here.any():
            self._priorities.set(drawn.decisions[here] % self._decisions, values[here])
            self._greatest = max(self._greatest, float(values[here].max()))

    def _uniform(self, rng: np.random.Generator, batch: int) -> Indices:
        chosen = self.choose(rng, batch, 1)
        for _ in range(_TRIES):
            wrong = np.flatnonzero(self._stale(chosen))
            if not len(wrong):
                break
            chosen[wrong] = self.choose(rng, len(wrong), 1)
        return chosen

    def _by_priority(self, rng: np.random.Generator, batch: int) -> tuple[Indices, Array]:
        assert self._priorities is not None
        assert self._priority is not None
        found = np.empty(0, np.int64)
        for _ in range(_TRIES):
            places = self._priorities.draw(rng, batch - len(found))
            newest = self.decision_count - 1
            decisions = newest - (newest - places) % self._decisions
            usable = self._priorities.of(places) > 0
            stale = usable & self._stale(decisions)
            if stale.any():
                self._priorities.set(np.unique(places[stale]), np.zeros(len(np.unique(places[stale]))))
            found = np.concatenate([found, decisions[usable & ~stale]])
            if len(found) == batch:
                break
        shares = self._priorities.of(found % self._decisions) / self._priorities.total
        weights = (shares * min(self.closed_count, self._decisions)) ** -self._priority.correction
        return found, (weights / weights.max()).astype(np.float32)

    def _stale(self, decisions: Indices) -> NDArray[np.bool_]:
        """Whether something that is looked up for them may have been overwritten, decisions or frames.

        Each of the decisions ahead may have begun before the one that it follows (processes overtake each other): what
        began so many before must still be there, and what it read, as reads are in the order of beginnings.
        """
        furthest = decisions - self._ahead.decisions * self._pattern.overtaken
        gone: NDArray[np.bool_] = furthest < self.decision_count - self._decisions
        read = self.read[np.maximum(furthest, 0) % self._decisions]
        gone |= read - (self._frames - 1) < self.row_count - self._rows
        return gone

    def _observed(self, rows: Indices) -> NDArray[Any]:
        """Observations [n, F] of some rows."""
        if self._frames == 1:
            return np.take(self.observations, rows % self._rows, axis=0)
        back = np.arange(self._frames)[::-1]
        stacks = np.take(self.observations, (rows[:, None] - back) % self._rows, axis=0)
        return np.ascontiguousarray(stacks.transpose(0, 2, 1)).reshape(len(rows), -1)

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """As of any replay, and the priorities."""
        if self._priorities is None:
            return super().state()
        return super().state() | {"priorities": self._priorities.values(), "greatest": self._greatest}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        super().restore(state)
        if self._priorities is not None:
            self._priorities.restore(np.asarray(state["priorities"]))
            self._greatest = state["greatest"]
