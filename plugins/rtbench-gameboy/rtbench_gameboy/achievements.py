"""From what the worlds of this process counted to the numbers of one run's row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rtbench.seeds import episode_seed

from rtbench_gameboy.journal import COUNTED, Episode, trails

PHASES = {"train": "train", "evaluate": "eval"}
"""The phases whose episodes are told of, and what they are called in a row."""
PER_CENT = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
COURSE = "gameboy/train_progress_at_"
_BEYOND = 10_000
_STANDING = ("level",)
"""Counters that are a height, not a sum."""


def achievements(seed: int, outcome: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the run with this seed; a phase some of whose episodes another process played is left out."""
    played = {episode.seed: episode for trail in trails for episode in _longest(trail.episodes)}
    reach = _BEYOND + len(played) + int(outcome.get("episodes") or 0)
    found: dict[str, float] = {}
    for phase, called in PHASES.items():
        numbers = {k: played[known] for k in range(reach) if (known := episode_seed(seed, phase, k)) in played}
        episodes = [numbers[k] for k in sorted(numbers)]
        if not episodes or max(numbers) != len(episodes) - 1:
            continue
        counters = [_with_progress(episode.counters) for episode in episodes]
        for name in counters[0]:
            values = [counted[name] for counted in counters]
            total = max(values) if name in _STANDING else sum(values)
            found[f"gameboy/{called}_{name}"] = total if called == "train" else sum(values) / len(values)
        if called == "train" and len(episodes) == 1:
            found |= _course(episodes[0])
    return found | _whatever_was_played(found, outcome)


def _whatever_was_played(found: Mapping[str, float], outcome: Mapping[str, Any]) -> dict[str, float]:
    """Progress and return under one name for those who train and those who do not."""
    told = {
        "gameboy/episode_return": (outcome.get("train_return_mean"), outcome.get("eval_return_final")),
        "gameboy/progress": (found.get("gameboy/train_progress"), found.get("gameboy/eval_progress")),
    }
    first = {name: next((value for value in values if value is not None), None) for name, values in told.items()}
    return {name: float(value) for name, value in first.items() if value is not None}


def _with_progress(counters: Mapping[str, float]) -> dict[str, float]:
    """What counts in every game under one name, too."""
    progress = [counters[name] for name in COUNTED if name in counters]
    return {**counters, **({"progress": progress[0]} if progress else {})}


def _longest(episodes: list[Episode]) -> list[Episode]:
    """Of every reset the episode that went furthest: one that was continued begins again and is played up to there."""
    found: dict[int | None, Episode] = {}
    for episode in episodes:
        if episode.seed not in found or episode.frames >= found[episode.seed].frames:
            found[episode.seed] = episode
    return list(found.values())


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
