"""From what the worlds of this process counted to the numbers of one run's row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rtbench.seeds import episode_seed

from rtbench_gameboy.journal import Episode, trails

PER_CENT = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
COURSE = "gameboy/train_progress_at_"


def achievements(seed: int, outcome: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the run with this seed, beside what every row has."""
    return _whatever_was_played(outcome) | _course_of_training(seed)


def _whatever_was_played(outcome: Mapping[str, Any]) -> dict[str, float]:
    """Return and progress under one name for those who train (in all of it) and those who do not (per episode)."""
    returned = (outcome.get("train_return_mean"), outcome.get("eval_return_final"))
    found = {"gameboy/episode_return": next((value for value in returned if value is not None), None)}
    progress = outcome.get("progress")
    if progress is not None:
        found["gameboy/progress"] = progress if outcome.get("updates") else progress / max(1, outcome["episodes"])
    return {name: float(value) for name, value in found.items() if value is not None}


def _course_of_training(seed: int) -> dict[str, float]:
    """Where training is one episode, its course; one that was continued was played again up to there."""
    first, second = (episode_seed(seed, "train", number) for number in (0, 1))
    episodes = [episode for trail in trails for episode in trail.episodes]
    played = [episode for episode in episodes if episode.seed == first]
    if not played or any(episode.seed == second for episode in episodes):
        return {}
    return _course(max(played, key=lambda episode: episode.frames))


def _course(episode: Episode) -> dict[str, float]:
    """Progress at every tenth of an episode."""
    out: dict[str, float] = {}
    for per_cent in PER_CENT:
        reached = [rise for rise in episode.rises if rise[0] * 100 <= per_cent * episode.frames]
        out[f"{COURSE}{per_cent:03d}"] = reached[-1][1] if reached else 0.0
    return out


def told(rows: Iterable[Mapping[str, Any]]) -> str | None:
    """The course of every run that has one, as a table in Markdown; None if none has."""
    lines = []
    for row in rows:
        extras = row.get("extras") or {}
        if f"{COURSE}100" in extras:
            names = (row["environment_label"] or row["environment_name"], _interaction(row), f"seed {row['seed']}")
            lines.append([*names, *(f"{extras[f'{COURSE}{per_cent:03d}']:g}" for per_cent in PER_CENT)])
    if not lines:
        return None
    head = ["environment", "learner, scheduler", "run", *(f"{per_cent} %" for per_cent in PER_CENT)]
    table = [head, ["---"] * len(head), *sorted(lines)]
    rendered = "\n".join("| " + " | ".join(cells) + " |" for cells in table)
    return f"Won or caught after so much of the time (`{COURSE}…`):\n\n{rendered}\n"


def _interaction(row: Mapping[str, Any]) -> str:
    return ", ".join(row[f"{axis}_label"] or row[f"{axis}_name"] for axis in ("learner", "scheduler"))
