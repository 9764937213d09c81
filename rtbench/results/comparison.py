"""Methods compared across the tasks of a suite, by normalised scores; and lines ranked where they may be compared.

Only methods whose runs are all there on every task take part; the others are named. Nothing is compared across blocks:
budgets, clocks, and machines where the clock is the wall's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.parts import canonical_json
from rtbench.results import intervals
from rtbench.results.aggregates import STATISTICS
from rtbench.results.figures import SYMBOLS
from rtbench.results.groups import NO_PROFILE, CellRows, LineKey
from rtbench.results.intervals import Estimate
from rtbench.results.leaderboard import Leaderboard, Scale, world_of
from rtbench.results.ranks import Rank, ranks
from rtbench.results.summary import scores
from rtbench.suites.match import field_value
from rtbench.suites.model import Suite

CONDITIONS = ("delta", "delta_cv", "latency_s", "latency_cv", "learning_s", "lateness_s", "epsilon")
"""What of an interaction is the world's and no choice of the agent's: only lines that share it are ranked."""
THRESHOLDS = 21
"""Points of a performance profile, from 0 to the highest score."""
MOST_PAIRS = 16
"""Methods of which all pairs are compared."""


@dataclass(frozen=True)
class Method:
    """One method over all tasks: statistics of normalised scores by name, its profile, and its place."""

    label: str
    values: tuple[Any, ...]
    runs: int
    statistics: Mapping[str, Estimate]
    profile: tuple[Estimate, ...]
    rank: Rank | None


@dataclass(frozen=True)
class Comparison:
    """The methods of one block, best first; `left_out` says of the others why.

    `improvement` has, for methods a and b by index, the probability that a run of a beats one of b; empty if there are
    too many methods to pair.
    """

    block: tuple[str, str, str, str]
    tasks: tuple[str, ...]
    fields: tuple[str, ...]
    methods: tuple[Method, ...]
    left_out: Mapping[str, str]
    thresholds: tuple[float, ...]
    improvement: Mapping[tuple[int, int], Estimate]


def ranked(suite: Suite, board: Leaderboard) -> list[Rank | None]:
    """The rank of every line among those of its block, tasks and conditions (`CONDITIONS`); None if nobody is beside.

    By the reduced statistic's interval, of complete lines only.
    """
    groups: dict[str, list[int]] = {}
    for number, (line, (key, cells)) in enumerate(zip(board.lines, board.made_of, strict=True)):
        if line["status"] == "complete" and line["low"] is not None and key.profile != NO_PROFILE:
            groups.setdefault(_conditions(key, cells), []).append(number)
    out: list[Rank | None] = [None] * len(board.lines)
    for members in groups.values():
        bounds = [(board.lines[number]["low"], board.lines[number]["high"]) for number in members]
        found = ranks(bounds, higher=suite.leaderboard.better == "higher")
        for number, rank in zip(members, found, strict=True):
            out[number] = rank
    return out


def _conditions(key: LineKey, cells: Mapping[str, CellRows]) -> str:
    met = [
        [cell.environment_json, *(cell.view["interaction"].get(name) for name in CONDITIONS)] for cell in cells.values()
    ]
    return canonical_json([*key.block, sorted(canonical_json(each) for each in met)])


def compare(suite: Suite, board: Leaderboard) -> list[Comparison]:
    """A comparison for every block in which two methods or more have normalised scores on two tasks or more."""
    if suite.leaderboard.normalise is None:
        return []
    fields = tuple(name for name in board.group_by if name.partition(".")[0] != "environment")
    blocks: dict[tuple[str, str, str, str], list[CellRows]] = {}
    for key, cells in board.made_of:
        if key.profile != NO_PROFILE:
            blocks.setdefault(key.block, []).extend(cells.values())
    found = (_comparison(suite, block, fields, cells, board) for block, cells in blocks.items())
    return [each for each in found if each is not None]


@dataclass(frozen=True)
class _Entry:
    """A method's normalised scores by task, or why it is left out."""

    values: tuple[Any, ...]
    scores: Mapping[str, Sequence[float]]
    why: str


def _comparison(
    suite: Suite, block: tuple[str, str, str, str], fields: tuple[str, ...], cells: list[CellRows], board: Leaderboard
) -> Comparison | None:
    scales = {world: scale for (place, world), scale in board.scales.items() if place == block}
    tasks = tuple(sorted(scales))
    if len(tasks) < 2:
        return None
    methods: dict[tuple[Any, ...], list[CellRows]] = {}
    for cell in cells:
        methods.setdefault(tuple(field_value(cell.view, name) for name in fields), []).append(cell)
    names = labels(fields, methods)
    entries = {names[values]: _entry(suite, values, some, scales, tasks) for values, some in methods.items()}
    whole = {label: entry for label, entry in entries.items() if not entry.why}
    if len(whole) < 2:
        return None
    told = _Told(suite, block, tasks)
    top = max(value for entry in whole.values() for runs in entry.scores.values() for value in runs)
    thresholds = tuple(round(max(1.0, top) * step / (THRESHOLDS - 1), 6) for step in range(THRESHOLDS))
    made = told.methods(whole, thresholds)
    return Comparison(
        block,
        tasks,
        fields,
        made,
        {label: entry.why for label, entry in sorted(entries.items()) if entry.why},
        thresholds,
        told.pairs({method.label: whole[method.label] for method in made}),
    )


@dataclass(frozen=True)
class _Told:
    """Statistics of one block, seeded by its names."""

    suite: Suite
    block: tuple[str, str, str, str]
    tasks: tuple[str, ...]

    def key(self, *what: Any) -> str:
        return canonical_json([self.suite.name, *self.block, *what])

    def methods(self, entries: Mapping[str, _Entry], thresholds: Sequence[float]) -> tuple[Method, ...]:
        """The methods by their interquartile mean, best first."""
        statistics: dict[str, dict[str, Estimate]] = {}
        for label, entry in entries.items():
            given = [entry.scores[task] for task in self.tasks]
            found = {name: intervals.estimate(given, of, self.key(label, name)) for name, of in STATISTICS.items()}
            statistics[label] = {name: value for name, value in found.items() if value is not None}
        order = sorted(entries, key=lambda label: (-statistics[label]["iqm"].value, label))
        bounds = [_bounds(statistics[label]["iqm"]) for label in order]
        return tuple(
            Method(
                label,
                entries[label].values,
                sum(len(runs) for runs in entries[label].scores.values()),
                statistics[label],
                intervals.profile([entries[label].scores[t] for t in self.tasks], thresholds, self.key(label)),
                rank,
            )
            for label, rank in zip(order, ranks(bounds), strict=True)
        )

    def pairs(self, entries: Mapping[str, _Entry]) -> dict[tuple[int, int], Estimate]:
        """Every method against every other; of each pair one is computed and the other is its complement."""
        out: dict[tuple[int, int], Estimate] = {}
        if len(entries) > MOST_PAIRS:
            return out
        scores = [[entry.scores[task] for task in self.tasks] for entry in entries.values()]
        names = list(entries)
        for a in range(len(names)):
            for b in range(a):
                found = intervals.improvement(scores[b], scores[a], self.key(names[b], names[a]))
                assert found is not None
                out[b, a] = found
                out[a, b] = _complement(found)
        return out


def _complement(of: Estimate) -> Estimate:
    if of.low is None or of.high is None:
        return Estimate(1 - of.value)
    return Estimate(1 - of.value, 1 - of.high, 1 - of.low)


def _bounds(of: Estimate) -> tuple[float, float] | None:
    return None if of.low is None or of.high is None else (of.low, of.high)


def _entry(
    suite: Suite,
    values: tuple[Any, ...],
    cells: Sequence[CellRows],
    scales: Mapping[str, Scale | None],
    tasks: Sequence[str],
) -> _Entry:
    by_task: dict[str, Sequence[float]] = {}
    for cell in cells:
        task, scale = world_of(cell), scales.get(world_of(cell))
        found = scores(cell.rows, suite.leaderboard.metric)
        if task in by_task:
            return _Entry(values, {}, f"it has two cells on {task}")
        if cell.excluded:
            return _Entry(values, {}, f"not run on {task}: {cell.excluded}")
        if len(found) < len(cell.seeds) or not found:
            return _Entry(values, {}, f"{len(found)} of {len(cell.seeds)} runs on {task}")
        if scale is None or not scale.usable:
            return _Entry(values, {}, f"{task} has no complete run to normalise by")
        by_task[task] = scale.of(found)
    missing = [task for task in tasks if task not in by_task]
    return _Entry(values, by_task, f"not run on {', '.join(missing)}" if missing else "")


def labels(fields: Sequence[str], methods: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], str]:
    """What each method is called: by as few of the fields, the first ones first, as tell all of them apart."""
    known = list(dict.fromkeys(methods))
    kept: list[int] = []
    apart = 1
    for at in range(len(fields)):
        distinct = len({tuple(values[index] for index in (*kept, at)) for values in known})
        if distinct > apart or not kept:
            kept, apart = [*kept, at], distinct
    chosen = [fields[at] for at in kept]
    return {values: label_of(chosen, [values[at] for at in kept]) for values in known}


def label_of(fields: Sequence[str], values: Sequence[Any]) -> str:
    """What tells a method apart, for people: texts as they are, numbers with the symbol of what they count."""
    told = []
    for name, value in zip(fields, values, strict=True):
        key = name.partition(".")[2]
        if isinstance(value, int | float) and not isinstance(value, bool):
            told.append(f"{SYMBOLS.get(key, key)} = {value:g}")
        elif value is not None:
            told.append(str(value))
    return ", ".join(told)
