"""Recorded episodes, for a warm start: an environment, the seed of its reset, and the actions taken.

Screens are not kept: an episode is exactly its seed and its actions, so that a recording is small, holds nothing of
the cartridge, and can be played again with its observations delayed as one likes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rtbench import files, plugins
from rtbench.errors import RtbenchError
from rtbench.learners.warm_start import CUT_OFF

FORMAT = 1
PLAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "falling_blocks": ("gameboy/falling-blocks", {}),
    "battles": ("gameboy/encounters", {"mode": "battles"}),
    "catching": ("gameboy/encounters", {"mode": "catching"}),
}
"""The scripted players of `rtbench_gameboy.players`, and the environment each plays."""


class Step(NamedTuple):
    """One frame of a recording: what was seen before it, the action, what it earned, whether the episode ended."""

    observation: NDArray[np.uint8]
    action: int
    reward: float
    over: bool


@dataclass(frozen=True)
class Recording:
    """An episode: the environment, its parameters and revision, the seed of the reset, the actions, the return."""

    environment: str
    params: dict[str, Any]
    revision: int
    seed: int
    actions: tuple[int, ...]
    total: float

    @property
    def non_idle(self) -> int:
        """Actions that pressed something."""
        return sum(action != 0 for action in self.actions)

    def write(self, path: Path) -> None:
        """As JSON; actions are digits, one a frame."""
        text = "".join(str(action) for action in self.actions)
        data = {"format": FORMAT, **vars(self), "actions": text}
        files.write(path, (json.dumps(data, indent=1) + "\n").encode(), kind="recording")

    @classmethod
    def read(cls, path: Path) -> Recording:
        """From a file; RtbenchError if it is none."""
        try:
            data = json.loads(path.read_text())
            if data.pop("format") != FORMAT:
                raise ValueError(f"this version reads format {FORMAT}")
            return cls(**{**data, "actions": tuple(int(digit) for digit in data["actions"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RtbenchError(
                f"not a recording: {error}", place=str(path), hint="`rtbench gameboy record` writes them"
            ) from error

    def play(self) -> Iterator[Step]:
        """Every frame again; RtbenchError if the environment has changed since, or earns another return."""
        use = plugins.use("environments", self.environment, dict(self.params))
        if use.revision != self.revision:
            raise RtbenchError(
                f"recorded in revision {self.revision} of {self.environment}, which now has {use.revision}",
                place="recording",
                hint="record it again",
            )
        env = plugins.build(use).make()
        observation, _ = env.reset(seed=self.seed)
        total = 0.0
        for action in self.actions:
            found, reward, terminated, truncated, _ = env.step(action)
            yield Step(observation, action, float(reward), bool(terminated or truncated))
            observation, total = found, total + float(reward)
        if total != self.total:
            raise RtbenchError(f"played again it earns {total:g}, not {self.total:g}", place="recording")


def export(recordings: Iterable[Recording], path: Path) -> int:
    """Write recordings as `transitions` of learner `dqn` (`rtbench.learners.warm_start`); how many decisions they hold.

    Frames at which nothing was pressed are no decisions.
    """
    columns: dict[str, list[Any]] = {"observations": [], "actions": [], "rewards": [], "dones": []}
    for recording in recordings:
        for step in recording.play():
            for name, value in zip(columns, (step.observation, step.action, step.reward, int(step.over)), strict=True):
                columns[name].append(value)
        columns["dones"][-1] = columns["dones"][-1] or CUT_OFF
    actions = np.array(columns["actions"], np.uint8)
    buffer = io.BytesIO()
    arrays = {name: np.array(values) for name, values in columns.items()} | {"actions": actions, "decided": actions > 0}
    np.savez_compressed(buffer, **arrays)
    files.write(path, buffer.getbuffer(), kind="recording")
    return int((actions > 0).sum())


def record_player(player: str, seed: int, frames: int) -> Recording:
    """An episode of a scripted player, cut off after so many frames."""
    from rtbench_gameboy import players

    name, params = PLAYERS[player]
    use = plugins.use("environments", name, dict(params))
    env, policy = plugins.build(use).make(), getattr(players, player)
    observation, _ = env.reset(seed=seed)
    actions: list[int] = []
    total, over = 0.0, False
    while not over and len(actions) < frames:
        actions.append(policy(observation))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        total, over = total + float(reward), bool(terminated or truncated)
    return Recording(name, params, use.revision, seed, tuple(actions), total)
