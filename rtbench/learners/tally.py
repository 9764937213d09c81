"""Counting what happened in real time: ages, inaction, intervals, what a world counts; little however long the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

PROGRESS = "rtbench_progress"
"""The key of a step's `info` under which a world says what it has counted since its reset, by name."""
_COLUMNS = ("progress", "non_idle_actions")
Counts = Mapping[str, float]


@dataclass
class Tally:
    """Counts over environment steps and inferences, accumulated step by step.

    Steps before an episode's first action are `startup`; a step after it without a new action is `inaction`, any other
    `fresh`, of which those that use a later action of a chunk are `continued`. Ages are environment steps between the
    emission of the observation behind an action and the step that uses it. `counted` is what the world counts
    (`info["rtbench_progress"]`), summed over episodes, one under way included.
    """

    env_steps: int = 0
    ticks: int = 0
    startup: int = 0
    inaction: int = 0
    fresh: int = 0
    continued: int = 0
    arrived: int = 0
    newest: Counter[int] = field(default_factory=Counter)
    oldest: Counter[int] = field(default_factory=Counter)
    intervals: Counter[int] = field(default_factory=Counter)
    counted: dict[str, float] = field(default_factory=dict)

    def count(self, before: Counts, now: Counts) -> None:
        """An episode's counts were `before` and are `now`."""
        for name, value in now.items():
            self.counted[name] = self.counted.get(name, 0.0) + float(value) - float(before.get(name, 0.0))

    def columns(self) -> dict[str, Any]:
        """The real-time columns of a row."""
        acted = self.fresh + self.inaction
        ages = {"observation_age": self.newest, "oldest_age": self.oldest}
        return {
            **{
                f"{name}_{label}_steps": percentile(counts, percent)
                for name, counts in ages.items()
                for label, percent in (("p50", 50), ("p95", 95), ("max", 100))
            },
            "inaction_share": self.inaction / acted if acted else None,
            "overwritten_share": 1 - (self.fresh - self.continued) / self.arrived if self.arrived else None,
            "action_interval_steps": _mean(self.intervals),
            "tick_steps": self.env_steps / self.ticks if self.ticks else None,
            "env_steps": self.env_steps,
            "ticks": self.ticks,
            **{name: round(self.counted[name]) for name in _COLUMNS if name in self.counted},
        }

    def extras(self) -> dict[str, float]:
        """What the world counts besides those that have columns, as further numbers of a row."""
        return {f"rtbench/total_{name}": value for name, value in self.counted.items() if name not in _COLUMNS}

    def state(self) -> dict[str, Any]:
        """Plain data."""
        names = ("env_steps", "ticks", "startup", "inaction", "fresh", "continued", "arrived")
        counts = {name: getattr(self, name) for name in names}
        tables = {name: sorted(getattr(self, name).items()) for name in ("newest", "oldest", "intervals")}
        return counts | {name: [[k, v] for k, v in table] for name, table in tables.items()} | {"counted": self.counted}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Tally:
        """From `state`."""
        tables = {name: Counter(dict(state[name])) for name in ("newest", "oldest", "intervals")}
        return cls(**{**state, **tables, "counted": dict(state.get("counted", {}))})

    @classmethod
    def over(cls, tallies: Iterable[Tally]) -> Tally:
        """Of several loops together."""
        total = cls()
        for tally in tallies:
            total.count({}, tally.counted)
            for each in fields(cls):
                if each.name != "counted":
                    setattr(total, each.name, getattr(total, each.name) + getattr(tally, each.name))
        return total


def told_by(info: Mapping[str, Any]) -> Counts | None:
    """What a world says that it has counted since its reset; None if it says nothing."""
    return info.get(PROGRESS)


def mean_counts(episodes: Sequence[Counts]) -> dict[str, float]:
    """The mean of what episodes of an evaluation counted, as further numbers of a row."""
    names = dict.fromkeys(name for counts in episodes for name in counts)
    return {
        f"rtbench/eval_{name}": sum(float(counts.get(name, 0.0)) for counts in episodes) / len(episodes)
        for name in names
    }


def percentile(counts: Counter[int], percent: int) -> int | None:
    """Nearest-rank percentile of counted values: the smallest that `percent` % of them do not exceed."""
    rank = -(-percent * counts.total() // 100)
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    return None


def _mean(counts: Counter[int]) -> float | None:
    total = counts.total()
    return sum(value * count for value, count in counts.items()) / total if total else None


class Played(Protocol):
    """Something that finished episodes: their returns and lengths, environment steps, and what was counted."""

    returns: list[float]
    lengths: list[int]
    tally: Tally


def training_columns(played: Sequence[Played]) -> dict[str, Any]:
    """The training columns of a row, over all worlds that a run trained in."""
    returns = [value for one in played for value in one.returns]
    lengths = [length for one in played for length in one.lengths]
    return {
        "episodes": len(returns),
        "episode_length": float(np.mean(lengths)) if lengths else None,
        "train_return_mean": float(np.mean(returns)) if returns else None,
        **Tally.over(one.tally for one in played).columns(),
    }
