"""Conditions on cells, as excludes, profiles and `normalise` write them.

A condition is a table per axis: `{ architecture = { label = "SAC" }, interaction = { delta = [1, 2] } }`. Parts are
seen as their name (`use`), their `label` and their parameters, the learner with its `precision`; an interaction as its
keys, its parts by name, the scheduler also by label. A list holds if one of its values does; equal numbers are equal
whatever their type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.parts import PartUse
from rtbench.suites.document import AXES, Match

View = dict[str, dict[str, Any]]


def view(cell: Cell) -> View:
    """A cell as conditions see it."""
    parts = {axis: part_view(getattr(cell, axis)) for axis in AXES if axis != "interaction"}
    parts["learner"]["precision"] = cell.precision
    met = cell.interaction
    return {**parts, "interaction": interaction_view(met.data(), met.scheduler.title)}


def interaction_view(met: Mapping[str, Any], scheduler_label: str) -> dict[str, Any]:
    """An interaction as conditions see it, from `Interaction.data()`; durations that are drawn by their mean, in s."""
    names = ("execution", "delta", "clock", "processes", "on_reset", "sensor_latency_s", "actuator_latency_s")
    return {
        **{name: met[name] for name in names},
        **{name: met[name]["name"] for name in ("scheduler", "default_policy")},
        "scheduler_label": scheduler_label,
        **{name: met.get(name, 0.0) for name in ("delta_cv", "epsilon")},
        "latency_s": mean_s(met["latency"]) if met["latency"] else None,  # delta may stand in for it
        "latency_cv": (met["latency"] or {}).get("cv", 0.0),
        **{f"{name}_s": mean_s(met[name]) if met.get(name) else 0.0 for name in ("learning", "lateness")},
        "counterfactual": met.get("counterfactual", "none"),
        "latency_convention": met.get("latency_convention", "paper"),
    }


def mean_s(latency: Mapping[str, Any]) -> float | None:
    """The mean of a `Latency.data()` in seconds; None for a measured profile, which lies in a file."""
    if latency["distribution"] == "mixture":
        means = [(share, mean_s(part)) for share, part in latency["parts"]]
        known = [share * mean for share, mean in means if mean is not None]
        return round(sum(known), 12) if len(known) == len(means) else None
    if latency["distribution"] == "uniform":
        return float(latency["low_s"] + latency["high_s"]) / 2
    return float(latency["mean_s"]) if "mean_s" in latency else None


def part_view(part: PartUse) -> dict[str, Any]:
    """A part as conditions see it; a part without a label is labelled by its title."""
    return {**part.params, "use": part.name, "label": part.title}


def holds(match: Match, seen: View) -> bool:
    """True if every condition holds for the cell."""
    for axis, conditions in match.items():
        there = seen[axis]
        for key, wanted in conditions.items():
            if key not in there:
                return False
            values = wanted if isinstance(wanted, list) else [wanted]
            if there[key] not in values:
                return False
    return True


def check(match: Match, views: Iterable[View], *, place: str) -> None:
    """SuiteError if a condition names an axis or a key that no cell has: such a condition could never hold."""
    known: dict[str, set[str]] = {axis: set() for axis in AXES}
    for seen in views:
        for axis, keys in seen.items():
            known[axis].update(keys)
    for axis, conditions in match.items():
        if axis not in known:
            raise SuiteError(f"unknown axis {axis!r} in a condition", place=place, given=axis, allowed=AXES)
        for key in conditions:
            if key not in known[axis]:
                raise SuiteError(f"no {axis} has a key {key!r}", place=place, given=key, allowed=sorted(known[axis]))


def field_value(seen: Mapping[str, Mapping[str, Any]], name: str) -> Any:
    """The value of a `group_by` field: an axis (its label) or axis.key; None if this cell's part has no such key."""
    axis, _, key = name.partition(".")
    return seen[axis].get(key or "label")
