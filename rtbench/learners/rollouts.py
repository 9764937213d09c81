"""What an agent did in one environment, decision by decision, and the rollout of many environments as tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from rtbench.graph import LayerGraph

Array = NDArray[np.float32]


@dataclass(eq=False, slots=True)
class Episode:
    """An episode, by the observation it began with (flat, as the environment gives it).

    `output`: what the head gave by the start rule.
    """

    first: NDArray[Any]
    output: Array | None = None


@dataclass(eq=False, slots=True)
class Row:
    """One inference: what it read, the action applied on that, its place among its process's since the episode's start.

    `held`: what recurrent layers finished in it; `output`: what the head gave when it acted.
    """

    episode: Episode
    since: int
    observation: NDArray[Any]
    action: Array | None = None
    held: dict[str, Array] = field(default_factory=dict)
    output: Array | None = None


@dataclass(eq=False, slots=True)
class Decision:
    """An action that was applied: by which inference (or an episode's start), on which observation, with what result.

    `reward` is what was earned until the next decision was applied, `discount` the weight of what is earned from then
    on (0 after a termination). `last`: the observation after a time limit.
    """

    source: Row | Episode
    observation: NDArray[Any]
    action: int = -1
    reward: float = 0.0
    discount: float = 1.0
    ended: bool = False
    last: NDArray[Any] | None = None


@dataclass(frozen=True)
class Counting:
    """How rewards count: discount per decision and per environment step, by their sign alone or as they are."""

    gamma_decision: float = 1.0
    gamma_step: float = 1.0
    sign: bool = False


class Recording:
    """What happens in one environment, as a loop's recorder: the rows of every process, and the decisions.

    A process without a memory of its own shares the column of process 0. `held_start`: an episode begins with an action
    of the start rule, a decision as any other.
    """

    def __init__(self, counting: Counting, *, columns: int, lookback_steps: int, held_start: bool) -> None:
        self._counting, self._held_start = counting, held_start
        self.columns: list[list[Row]] = [[] for _ in range(columns)]
        self.decisions: list[Decision] = []
        self.episode: Episode | None = None
        """The one under way."""
        self.ticks = [0] * columns
        """Inferences of every column in this episode."""
        self.begins = [0] * columns
        """Where the rows of this rollout begin in every column; those before are only looked back at."""
        self._observations: deque[NDArray[Any]] = deque(maxlen=lookback_steps + 1)
        self._taken: deque[Array] = deque(maxlen=lookback_steps + 1)
        self._under_way: dict[int, tuple[int, Row]] = {}
        self._waiting: list[tuple[int, Row]] = []
        self._step, self._made = 0, 0
        self._current: Decision | None = None

    # ---- being told (rtbench.learners.loop.Recorder) ---------------------------------------------------------------

    def begin_episode(self, observation: NDArray[Any]) -> None:
        """An episode begins."""
        self.episode = Episode(observation)
        self.ticks = [0] * len(self.columns)
        self._observations.clear()
        self._taken.clear()
        self._observations.append(observation)
        self._step, self._made, self._current = 0, 0, None

    def begin_inference(self, read_step: int, process: int = 0) -> None:
        """An inference reads the observation of a step."""
        assert self.episode is not None
        column = process % len(self.columns)
        row = Row(self.episode, self.ticks[column], self._observations[read_step - self._step - 1])
        self.ticks[column] += 1
        self.columns[column].append(row)
        self._under_way[self._made] = column, row
        self._made += 1
        if read_step < self._step:
            row.action = self._taken[read_step - self._step]
        else:
            self._waiting.append((read_step, row))

    def apply(self, inference: int) -> None:
        """The action of an inference is applied from this step on."""
        _, row = self._under_way.pop(inference)
        self._decide(row)

    def _decide(self, source: Row | Episode) -> None:
        if self._current:
            self._current.discount *= self._counting.gamma_decision
        self._current = Decision(source, self._observations[-1])
        self.decisions.append(self._current)

    def end_step(self, action: Array, reward: float, observation: NDArray[Any]) -> None:
        """A step is over."""
        assert self.episode is not None
        if self._step == 0 and self._current is None and self._held_start:
            self._decide(self.episode)
        if self._current:
            if self._current.action < 0:
                self._current.action = int(action.argmax())
            counted = float(np.sign(reward)) if self._counting.sign else reward
            self._current.reward += self._current.discount * counted
            self._current.discount *= self._counting.gamma_step
        for read_step, row in self._waiting:
            assert read_step == self._step
            row.action = action
        self._waiting.clear()
        self._observations.append(observation)
        self._taken.append(action)
        self._step += 1

    def end_episode(self, terminated: bool, bootstrap: int | None) -> None:
        """An episode is over; inferences whose action came too late are forgotten."""
        if self._current:
            self._current.ended = True
            self._current.discount *= 0.0 if terminated else self._counting.gamma_decision
            self._current.last = None if terminated else self._observations[-1]
        late = {id(row) for _, row in self._under_way.values()}
        for rows in self.columns:
            while rows and id(rows[-1]) in late:
                rows.pop()
        self._under_way.clear()
        self._waiting.clear()
        self.episode, self._current = None, None

    # ---- between rollouts ------------------------------------------------------------------------------------------

    @property
    def observation(self) -> NDArray[Any]:
        """The newest observation."""
        return self._observations[-1]

    def close(self) -> None:
        """The decision under way is complete: at the next step another one is applied."""
        if self._current:
            self._current.discount *= self._counting.gamma_decision
            self._current = None

    @property
    def under_way(self) -> list[tuple[int, Row]]:
        """Inferences that are neither applied nor overwritten: number and row, oldest first."""
        return [(m, row) for m, (_, row) in sorted(self._under_way.items())]

    def forget(self, flying: Collection[int], lookback_ticks: int) -> None:
        """Drop decisions, and rows that nobody looks back at; the next rollout begins with what is `flying`."""
        self.decisions.clear()
        self._under_way = {m: kept for m, kept in self._under_way.items() if m in flying}
        ids = {id(row) for _, row in self._under_way.values()}
        for column, rows in enumerate(self.columns):
            front = next((i for i, row in enumerate(rows) if id(row) in ids), len(rows))
            del rows[: max(0, front - lookback_ticks)]
            self.begins[column] = min(front, lookback_ticks)

    def begin_anew(self) -> None:
        """Let the rows that are kept, and what follows in this episode, count as if it began with them."""
        if self.episode is None:
            return
        assert len(self.columns) == 1
        rows = self.columns[0]
        self.episode = Episode(rows[0].observation if rows else self._observations[-1])
        self.ticks = [len(rows)]
        for since, row in enumerate(rows):
            row.episode, row.since = self.episode, since

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Between rollouts: rows kept, the newest observations, what is under way."""
        episodes: dict[int, tuple[int, Episode]] = {}

        def number(episode: Episode) -> int:
            return episodes.setdefault(id(episode), (len(episodes), episode))[0]

        def plain(row: Row) -> dict[str, Any]:
            kept = {"since": row.since, "observation": row.observation, "action": row.action, "held": dict(row.held)}
            return kept | {"episode": number(row.episode)}

        columns = [[plain(row) for row in rows] for rows in self.columns]
        where = {id(row): i for rows in self.columns for i, row in enumerate(rows)}
        return {
            "columns": columns,
            "under_way": [[m, column, where[id(row)]] for m, (column, row) in self._under_way.items()],
            "episode": -1 if self.episode is None else number(self.episode),
            "firsts": [episode.first for _, episode in episodes.values()],
            "ticks": list(self.ticks),
            "begins": list(self.begins),
            "observations": list(self._observations),
            "taken": list(self._taken),
            "counts": [self._step, self._made],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back to a state."""
        episodes = [Episode(np.asarray(first)) for first in state["firsts"]]

        def row(kept: Mapping[str, Any]) -> Row:
            held = {node: np.asarray(value, np.float32) for node, value in kept["held"].items()}
            action = None if kept["action"] is None else np.asarray(kept["action"], np.float32)
            return Row(episodes[kept["episode"]], kept["since"], np.asarray(kept["observation"]), action, held)

        self.columns = [[row(kept) for kept in rows] for rows in state["columns"]]
        self._under_way = {m: (column, self.columns[column][i]) for m, column, i in state["under_way"]}
        self.episode = None if state["episode"] < 0 else episodes[state["episode"]]
        self.ticks, self.begins = list(state["ticks"]), list(state["begins"])
        for kept, values in ((self._observations, state["observations"]), (self._taken, state["taken"])):
            kept.clear()
            kept.extend(np.asarray(value) for value in values)
        self._step, self._made = state["counts"]
        self._current = None
        self.decisions.clear()
        self._waiting.clear()


@dataclass(frozen=True)
class Inputs:
    """What a graph read in some columns, one run: rows of the rollout, with those that it looks back at in front.

    `observations` [1, R, columns, F] as the environment gives them, `actions` [1, R, columns, A], `since` and `episode`
    [1, R, columns] (the latter a row of `first` [1, P, F]), `carried[node]` [1, front, columns, S]; columns with fewer
    rows are filled up: in front where the run has begun, at the end otherwise.
    """

    observations: Tensor
    actions: Tensor
    since: Tensor
    episode: Tensor
    first: Tensor
    carried: Mapping[str, Tensor]
    place: Mapping[int, int]
    """id of a row or an episode -> where its output lies among those of all rows, then of all episodes."""


def inputs(recordings: Sequence[Recording], graph: LayerGraph, lookback_ticks: int, state: Sequence[str]) -> Inputs:
    """The rows of some environments since the last `forget`, and those they look back at in front.

    `state`: the recurrent layers.
    """
    columns = [(recording, column) for recording in recordings for column in range(len(recording.columns))]
    pads = [lookback_ticks - recording.begins[column] for recording, column in columns]
    length = max(pad + len(recording.columns[column]) for pad, (recording, column) in zip(pads, columns, strict=True))
    kind = recordings[0].observation.dtype
    shape = (length, len(columns))
    observations = np.zeros((*shape, graph.observation_size), kind)
    actions = np.zeros((*shape, graph.action_size), np.float32)
    since, episode = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    carried = {
        node: np.zeros((lookback_ticks, len(columns), graph.by_name[node].state_width), np.float32) for node in state
    }
    firsts: dict[int, tuple[int, Episode]] = {}
    place: dict[int, int] = {}

    def number(wanted: Episode) -> int:
        return firsts.setdefault(id(wanted), (len(firsts), wanted))[0]

    for c, (pad, (recording, column)) in enumerate(zip(pads, columns, strict=True)):
        for r, row in enumerate(recording.columns[column], start=pad):
            observations[r, c], since[r, c] = row.observation, row.since
            if row.action is not None:
                actions[r, c] = row.action
            if row.since < lookback_ticks:
                episode[r, c] = number(row.episode)
            place[id(row)] = r * len(columns) + c
            if r < lookback_ticks:
                for node, values in carried.items():
                    values[r, c] = row.held[node]
    for recording in recordings:
        begun = [decision.source for decision in recording.decisions if isinstance(decision.source, Episode)]
        for wanted in (*begun, *([recording.episode] if recording.episode else [])):
            number(wanted)
    place |= {key: length * len(columns) + at for key, (at, _) in firsts.items()}
    first = np.zeros((len(firsts), graph.observation_size), kind)
    for at, wanted in firsts.values():
        first[at] = wanted.first

    def one_run(values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).unsqueeze(0)

    return Inputs(
        one_run(observations),
        one_run(actions),
        one_run(since),
        one_run(episode),
        one_run(first),
        {node: one_run(values) for node, values in carried.items()},
        place,
    )


@dataclass(frozen=True)
class Results:
    """What came of the decisions of some environments [E, T].

    `observations` [E, T + 1, F]: where each was applied, and where the next one will be; `lasts` [n, F] those after
    time limits, of the decisions `cut` [n] (flat indices); `ended` whether an episode ended with it.
    """

    observations: NDArray[Any]
    actions: NDArray[np.int64]
    rewards: Array
    discounts: Array
    ended: NDArray[np.bool_]
    cut: NDArray[np.int64]
    lasts: NDArray[Any]


def results(recordings: Sequence[Recording]) -> Results:
    """Of all decisions since the last `forget`; every environment has made as many."""
    table = [recording.decisions for recording in recordings]
    every = [decision for row in table for decision in row]
    shape = (len(table), len(table[0]))
    seen = np.stack([np.stack([*(d.observation for d in rec.decisions), rec.observation]) for rec in recordings])
    lasts = [(i, decision.last) for i, decision in enumerate(every) if decision.last is not None]
    return Results(
        seen,
        np.array([decision.action for decision in every]).reshape(shape),
        np.array([decision.reward for decision in every], np.float32).reshape(shape),
        np.array([decision.discount for decision in every], np.float32).reshape(shape),
        np.array([decision.ended for decision in every]).reshape(shape),
        np.array([i for i, _ in lasts], np.int64),
        np.stack([last for _, last in lasts]) if lasts else np.zeros((0, *seen.shape[2:]), seen.dtype),
    )
