"""A leaderboard as a page shows it: tables with heads, values to sort by, and intervals drawn to one scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.report.collect import SuiteReport
from rtbench.results.figures import SYMBOLS
from rtbench.results.groups import NO_PROFILE, CellRows, LineKey
from rtbench.results.pages import between, plus_minus
from rtbench.results.ranks import Rank
from rtbench.results.reproduced import Difference, difference
from rtbench.results.statistics import rounded
from rtbench.suites.published import NORMALISED, Published

MOST_CHOICES = 14
"""Values of a field among which one may choose; where there are more, one has to search."""
ID_LETTERS = 16
WORDS = {
    "environment": "environment",
    "environment.id": "environment",
    "interaction.scheduler_label": "scheduler",
    "interaction.delta": "δ",
    "interaction.latency_s": "inference time in s",
}
Block = tuple[str, str, str, str]


@dataclass(frozen=True)
class Head:
    """A column: its name, how it sorts (`number` or `text`), the values one may choose among, and what it means."""

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True)
class Value:
    """A table's cell: text, what it sorts by, and of an interval where it lies on the column's scale (0…100)."""

    text: str
    sort: float | str | None = None
    href: str = ""
    low: float | None = None
    high: float | None = None
    at: float | None = None
    printed: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a table; `status` is one word, `reason` why it is not complete."""

    values: tuple[Value, ...]
    status: str
    reason: str
    bare: bool


@dataclass(frozen=True)
class Table:
    """The lines of one block; `constants` are the fields that are the same in all of them."""

    title: str
    about: str
    clock: str
    constants: tuple[tuple[str, str], ...]
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    bare: int
    """Lines that no run has been made for."""
    complete: bool = True
    note: str = ""


def short(value: float | None) -> str:
    """Four significant digits; integers above a thousand."""
    if value is None:
        return ""
    return f"{round(value):d}" if abs(value) >= 1000 else f"{rounded(value, 4):g}"


def tables(report: SuiteReport) -> list[Table]:
    """One table per profile, budget, clock and machine class, in the order of the leaderboard."""
    blocks: dict[Block, list[int]] = {}
    for number, line in enumerate(report.board.lines):
        block = (line["profile"], line["budget"], line["clock"], line["machine_class"])
        blocks.setdefault(block, []).append(number)
    return [_table(report, block, members) for block, members in blocks.items()]


def _table(report: SuiteReport, block: Block, members: Sequence[int]) -> Table:
    lines = [report.board.lines[number] for number in members]
    varying, constants = _fields(report.board.group_by, lines)
    entries = [_Entry(report, number) for number in members]
    scales = _Scales(entries)
    columns: list[tuple[Head, list[Value]]] = [
        (_head(name, lines), [Value(told(line[name]), line[name]) for line in lines]) for name in varying
    ]
    linked = [Value(value.text, value.sort, entry.href) for value, entry in zip(columns[0][1], entries, strict=True)]
    columns[0] = (columns[0][0], linked)
    columns += [
        (head, [make(entry) for entry in entries]) for head, make in _numbers(scales, report.suite.leaderboard.reduce)
    ]
    statuses = tuple(dict.fromkeys(line["status"] for line in lines))
    if len(statuses) > 1:
        columns[-1] = (Head("status", "text", statuses), columns[-1][1])
    elif statuses == ("complete",):
        columns.pop()  # said once, above the table
    kept = [column for column in columns if any(value.text for value in column[1])]
    profile, budget, clock, machine = block
    steps, _, unit = budget.partition(" ")
    made = [
        Line(tuple(column[1][at] for column in kept), line["status"], line["reason"], line["status"] == "missing")
        for at, line in enumerate(lines)
    ]
    return Table(
        title="runs of no profile" if profile == NO_PROFILE else f"profile {profile}",
        about=_counted(int(steps), unit) + (f" · {machine}" if machine else ""),
        clock=clock,
        constants=constants,
        heads=tuple(head for head, _ in kept),
        lines=tuple(made),
        bare=sum(line.bare for line in made),
        complete=statuses == ("complete",),
        note=_trained(lines, int(steps), unit),
    )


def _trained(lines: Sequence[Mapping[str, Any]], steps: int, unit: str) -> str:
    """How long the published agents were trained, where that is not as long as ours."""
    ticks = sorted({line["published_ticks"] for line in lines if line["published_ticks"]})
    if not ticks or ticks == [steps]:
        return ""
    told = ", ".join(_spaced(count) for count in ticks)
    return f"The published figures were trained for {told} ticks, these for {_counted(steps, unit)}."


def _counted(steps: int, unit: str) -> str:
    """'1 episode', '2 000 env steps'."""
    told = unit.replace("_", " ")
    return f"{_spaced(steps)} {told.removesuffix('s') if steps == 1 else told}"


def _spaced(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def _fields(
    group_by: Sequence[str], lines: Sequence[Mapping[str, Any]]
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """Fields in which lines differ, and the others with their one value; at least one field stays a column."""
    varying = [name for name in group_by if len({told(line[name]) for line in lines}) > 1] or [group_by[0]]
    same = [(word(name), told(lines[0][name])) for name in group_by if name not in varying]
    return varying, tuple((name, value) for name, value in same if value)


def word(name: str) -> str:
    """A field of `group_by` as a head."""
    key = name.partition(".")[2] or name
    return WORDS.get(name, SYMBOLS.get(key, key.replace("_", " ")))


def told(value: Any) -> str:
    """A field's value for people."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _head(name: str, lines: Sequence[Mapping[str, Any]]) -> Head:
    values = list(dict.fromkeys(line[name] for line in lines if line[name] is not None))
    number = all(isinstance(value, int | float) for value in values)
    choices = sorted(values) if number else values
    shown = tuple(told(value) for value in choices)
    return Head(word(name), "number" if number else "text", shown if 1 < len(shown) <= MOST_CHOICES else ())


class _Entry:
    """A line with all that its columns are made of."""

    def __init__(self, report: SuiteReport, number: int) -> None:
        self.line: Mapping[str, Any] = report.board.lines[number]
        self.how = report.suite.leaderboard.reduce
        self.rank: Rank | None = report.ranks[number]
        made: tuple[LineKey, Mapping[str, CellRows]] = report.board.made_of[number]
        self.cells = made[1]
        self.printed = _printed(report, self.cells)
        self.world = tuple(sorted({cell.environment_json for cell in self.cells.values()}))
        with_rows = [name for name in sorted(self.cells) if self.cells[name].rows]
        self.href = f"{page_of(with_rows[0])}" if with_rows else ""
        self.difference: Difference | None = None
        if self.printed is not None:
            self.difference = difference(self.printed, self.line["mean"], self.line["standard_error"])


def page_of(cell_id: str) -> str:
    """The file of a cell's page, beside its suite's."""
    return f"{cell_id[:ID_LETTERS]}.html"


def _printed(report: SuiteReport, cells: Mapping[str, CellRows]) -> Published | None:
    if len(cells) != 1:
        return None
    found: Published | None = report.published.get(next(iter(cells.values())).published_key)
    return found


class _Scales:
    """From the least to the greatest that is drawn, per world: what can be compared by eye has one scale."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._bounds: dict[Any, tuple[float, float]] = {}
        for entry in entries:
            line = entry.line
            values = [line[name] for name in (entry.how, "low", "high") if line[name] is not None]
            if entry.printed is not None and entry.printed.metric != NORMALISED:
                values.append(entry.printed.mean)
            if values:
                low, high = self._bounds.get(entry.world, (min(0.0, *values), max(0.0, *values)))
                self._bounds[entry.world] = (min(low, *values), max(high, *values))

    def at(self, entry: _Entry, value: float | None) -> float | None:
        """Where a value lies, 0…100."""
        low, high = self._bounds.get(entry.world, (0.0, 0.0))
        if value is None or high <= low:
            return None
        return round(100 * (value - low) / (high - low), 2)


REDUCED = {
    "iqm": Head("IQM [95 %]", "number", (), "interquartile mean and its stratified bootstrap interval"),
    "mean": Head("mean [95 %]", "number", (), "mean and its stratified bootstrap interval"),
}


def _numbers(scales: _Scales, how: str) -> list[tuple[Head, Callable[[_Entry], Value]]]:
    """The columns of numbers: head, and from an entry its value. `how` is what the suite reduces by."""
    return [
        (Head("rank", "number", (), "places it may have by intervals, among lines of one task and delay"), _rank),
        (Head("runs", "number"), _runs),
        (Head("mean ± SE", "number"), _mean),
        (REDUCED[how], lambda entry: _interval(entry, scales)),
        (Head("normalised", "number", (), "0 is nothing or the suite's floor, 1 its undelayed agent"), _normalised),
        (Head("published", "number"), _published),
        (Head("difference", "number", (), "ours minus published, and in standard errors of both"), _difference),
        (
            Head("age p50", "number", (), "median age of the newest observation behind an action, environment steps"),
            _age,
        ),
        (Head("status", "text"), _status),
    ]


def _interval(entry: _Entry, scales: _Scales) -> Value:
    value, low, high = (entry.line[name] for name in (entry.how, "low", "high"))
    mark = entry.printed.mean if entry.printed and entry.printed.metric != NORMALISED else None
    places = [scales.at(entry, each) for each in (low, high, value, mark)]
    text = between_short(value, low, high)
    return Value(text, value, low=places[0], high=places[1], at=places[2], printed=places[3])


def _normalised(entry: _Entry) -> Value:
    told = entry.line
    return Value(between_short(told["normalised"], told["normalised_low"], told["normalised_high"]), told["normalised"])


def _published(entry: _Entry) -> Value:
    told = entry.line
    if told["published_mean"] is None:
        return Value("")
    kind = " (normalised)" if told["published_metric"] == NORMALISED else ""
    return Value(plus_short(told["published_mean"], told["published_spread"]) + kind, told["published_mean"])


def _age(entry: _Entry) -> Value:
    age = entry.line["observation_age_p50_steps"]
    return Value(short(age), age)


def _rank(entry: _Entry) -> Value:
    return Value(str(entry.rank), entry.rank.best + entry.rank.worst / 1000) if entry.rank else Value("")


def _runs(entry: _Entry) -> Value:
    done, wanted = entry.line["seeds_done"], entry.line["seeds_wanted"]
    return Value(f"{done}/{wanted}", done, tone="" if done >= wanted else "open")


def _mean(entry: _Entry) -> Value:
    return Value(plus_short(entry.line["mean"], entry.line["standard_error"]), entry.line["mean"])


def _difference(entry: _Entry) -> Value:
    found = entry.difference
    if found is None:
        normal = entry.line["difference"]
        return Value(f"{normal:+.4g}" if normal is not None else "", normal)
    text = f"{'+' if found.value >= 0 else '−'}{short(abs(found.value))}"
    if found.in_se is not None:
        text += f" ({found.in_se:+.1f} SE{'*' if found.one_sided else ''})".replace("-", "−")
    tone = "" if found.in_se is None else "near" if abs(found.in_se) <= 2 else "far"
    return Value(text, found.value, tone=tone)


def _status(entry: _Entry) -> Value:
    failed = entry.line["failed"]
    return Value(entry.line["status"] + (f", {failed} failed" if failed else ""), entry.line["status"])


def between_short(value: float | None, low: float | None, high: float | None) -> str:
    """'52 [47, 58]' in four digits."""
    given = [None if number is None else float(short(number)) for number in (value, low, high)]
    return between(*given)


def plus_short(value: float | None, spread: float | None) -> str:
    """'52 ± 3' in four digits."""
    return plus_minus(*(None if number is None else float(short(number)) for number in (value, spread)))
