"""From what the worlds of this process counted to the numbers of one run's row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtbench.seeds import episode_seed

from rtbench_gameboy.journal import COUNTED, Episode, trails

PHASES = {"train": "train", "evaluate": "eval"}
"""The phases whose episodes are told of, and what they are called in a row."""
PER_CENT = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
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
        for name in episodes[0].counters:
            values = [episode.counters[name] for episode in episodes]
            total = max(values) if name in _STANDING else sum(values)
            found[f"gameboy/{called}_{name}"] = total if called == "train" else sum(values) / len(values)
        if called == "train" and len(episodes) == 1:
            found |= _course(episodes[0])
    return found


def _longest(episodes: list[Episode]) -> list[Episode]:
    """Of every reset the episode that went furthest: one that was continued begins again and is played up to there."""
    found: dict[int | None, Episode] = {}
    for episode in episodes:
        if episode.seed not in found or episode.frames >= found[episode.seed].frames:
            found[episode.seed] = episode
    return list(found.values())


def _course(episode: Episode) -> dict[str, float]:
    """What counts at every tenth of an episode, and how many actions that pressed something it took."""
    name = next((name for name in COUNTED if name in episode.counters), None)
    if name is None:
        return {}
    out: dict[str, float] = {}
    for per_cent in PER_CENT:
        reached = [rise for rise in episode.rises if rise[0] * 100 <= per_cent * episode.frames]
        out[f"gameboy/train_{name}_at_{per_cent:03d}"] = reached[-1][1] if reached else 0.0
    return out
