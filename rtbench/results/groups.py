"""Which rows belong to a suite, and which line of its leaderboard each belongs to.

A row belongs if its cell is one of the suite's under any profile, to each of those that ask for it (`_shown` says which
of them have a block), or if the suite ran it with another budget. The suite file gives labels and expected cells. Where
a part it names is not installed, the rows' own labels stand in.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtbench.parts import PartUse, canonical_json
from rtbench.results.schema import cell_data, row_digest
from rtbench.suites.expand import SuiteCell, expand, missing_parts
from rtbench.suites.identity import digest
from rtbench.suites.match import View, field_value, holds, interaction_view, part_view, view
from rtbench.suites.model import Suite, load_suite
from rtbench.suites.published import PublishedKey

LABELLED = ("environment", "architecture", "learner", "backend")
NO_PROFILE = "(no profile)"
"""Stands for the profile of rows that the suite made but no profile asks for, of another budget for one."""


@dataclass(frozen=True)
class CellRows:
    """A cell of a line: what it is, its rows, and the seeds wanted (empty if no profile says)."""

    view: View
    environment_json: str
    published_key: PublishedKey
    seeds: tuple[int, ...] = ()
    excluded: str | None = None
    rows: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class LineKey:
    """What makes a line: never mixed are budgets, clocks, and machines where the clock is the wall's.

    Outside profiles a cell has a line of its own, named by `cell_id`, since nothing says which cells belong together.
    """

    profile: str
    budget_json: str
    clock: str
    machine_class: str
    values: tuple[Any, ...]
    cell_id: str = ""

    @property
    def block(self) -> tuple[str, str, str, str]:
        """Lines that may be compared with one another."""
        return (self.profile, self.budget_json, self.clock, self.machine_class)


Lines = dict[LineKey, dict[str, CellRows]]


@dataclass(frozen=True)
class Grouped:
    """Lines by key, each with its cells by cell_id; `superseded` counts rows of earlier revisions of parts."""

    lines: Lines
    superseded: int


def choose(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One row per run (and machine class, if the clock is the wall's).

    A finished row before one that failed, then the highest suite revision, the earliest start, the smallest digest.
    """
    best: dict[tuple[str, str], tuple[Any, Mapping[str, Any]]] = {}
    for row in rows:
        key = (row["run_id"], _machine(row))
        rank = (row["status"] != "ok", -row["suite_revision"], row["started_utc"] or "")
        known = best.get(key)
        if known is None or rank < known[0] or (rank == known[0] and _before(row, known[1])):
            best[key] = (rank, row)
    return [best[key][1] for key in sorted(best)]


def _before(row: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether a row of equal rank is taken instead; digests cost more than all else and are seldom needed."""
    return row != known and row_digest(row) < row_digest(known)


def group(suite: Suite, chosen: Iterable[Mapping[str, Any]]) -> Grouped:
    """The suite's rows by line, of rows that `choose` answered, with the cells of every profile that has a row."""
    chosen = list(chosen)
    expected = _expected(suite, {row["budget_json"] for row in chosen})
    asking = _asking(expected, chosen)
    shown = _shown(expected, asking)
    shapes = _Shapes(suite)
    lines: Lines = {}
    started: dict[str, set[str]] = {}
    superseded = 0
    placed: dict[tuple[str, ...], CellRows] = {}  # what is worked out for a cell holds for all its seeds
    found: Iterator[tuple[Mapping[str, Any], str, SuiteCell | None]] = (
        (row, profile, cell) for row, places in asking for profile, cell in places if profile in shown
    )
    for row, profile, cell in found:
        if cell is None and row["suite"] != suite.name:
            continue
        machine = _machine(row)
        labels = () if cell else tuple(row[f"{axis}_label"] for axis in LABELLED)
        place = (profile, row["cell_id"], row["budget_json"], row["clock"], machine, *labels)
        if place not in placed:
            if cell is None:
                data = cell_data(row)
                cell = shapes.now.get(_shape(data))
                if cell is None and _shape(data, revisions=False) in shapes.earlier:
                    superseded += 1
                    continue
            seen = view(cell.cell) if cell else row_view(row)
            if not enters(suite, seen):
                continue
            key = _key(suite, profile, row["budget_json"], seen, row["clock"], machine)
            if profile == NO_PROFILE:
                key = dataclasses.replace(key, cell_id=row["cell_id"])
            placed[place] = _cell_rows(lines, key, row["cell_id"], seen, cell if profile != NO_PROFILE else None)
        started.setdefault(profile, set()).add(machine)
        placed[place].rows.append(row)
    for profile, cells in expected.items():
        for cell in cells if profile in started else ():
            _expect(suite, lines, profile, cell, started[profile])
    return Grouped(lines, superseded)


_Asking = list[tuple[Mapping[str, Any], list[tuple[str, SuiteCell | None]]]]
"""Rows, each with the profiles that ask for it and their cell; `NO_PROFILE` and no cell where none knows the cell."""


def _asking(expected: Mapping[str, list[SuiteCell]], chosen: Iterable[Mapping[str, Any]]) -> _Asking:
    """Of a cell that is known only the seeds that a profile enumerates are taken: others are not picked from."""
    known: dict[str, list[tuple[str, SuiteCell]]] = {}
    for profile, cells in expected.items():
        for cell in cells:
            known.setdefault(cell.cell_id, []).append((profile, cell))
    out: _Asking = []
    for row in chosen:
        places = known.get(row["cell_id"])
        if places is None:
            out.append((row, [(NO_PROFILE, None)]))
        else:
            out.append((row, [(profile, cell) for profile, cell in places if row["seed"] in cell.seeds]))
    return out


def _shown(expected: Mapping[str, list[SuiteCell]], asking: _Asking) -> set[str]:
    """The profiles that are shown, whatever their order in the file.

    Of those that have the very same rows, the one that asks for the fewest runs. One whose rows another has, and more,
    is left out if it lacks runs or the other lacks none: so a profile that is there as a whole is shown beside a larger
    one that is not, and nobody is told of missing runs of a profile that nobody began.
    """
    rows: dict[str, set[tuple[str, int]]] = {}
    for row, places in asking:
        for profile, _ in places:
            rows.setdefault(profile, set()).add((row["cell_id"], row["seed"]))
    asked = {
        profile: {(cell.cell_id, seed) for cell in cells if not cell.excluded for seed in cell.seeds}
        for profile, cells in expected.items()
    }
    rank = {profile: (len(runs), number) for number, (profile, runs) in enumerate(asked.items())}

    def hidden(one: str, other: str) -> bool:
        if rows[one] == rows[other]:
            return rank[other] < rank[one]
        return rows[one] < rows[other] and (other in whole or one not in whole)

    whole = {profile for profile, found in rows.items() if asked.get(profile, found) <= found}
    ours = [profile for profile in rows if profile != NO_PROFILE]
    kept = {one for one in ours if not any(hidden(one, other) for other in ours)}
    return kept | {NO_PROFILE}


class _Shapes:
    """The cells of all profiles by their shapes, worked out only if there is a row that no profile knows."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    @functools.cached_property
    def _cells(self) -> list[SuiteCell]:
        return [cell for cells in reversed(_expected(self._suite).values()) for cell in cells]

    @functools.cached_property
    def now(self) -> dict[str, SuiteCell]:
        """The cells as the installed parts have them."""
        return {_shape(cell.cell.data()): cell for cell in self._cells}

    @functools.cached_property
    def earlier(self) -> set[str]:
        """The same whatever the revisions of parts."""
        return {_shape(cell.cell.data(), revisions=False) for cell in self._cells}


def _expected(suite: Suite, budgets: Iterable[str] | None = None) -> dict[str, list[SuiteCell]]:
    """The cells of every profile, of those with these budgets (JSON) if any are given."""
    if missing_parts(suite):
        return {}
    profiles = {profile: load_suite(str(suite.path), profile) for profile in suite.profiles}
    present = None if budgets is None else {digest(json.loads(budget)) for budget in budgets}
    return {
        profile: expand(loaded, support=False)
        for profile, loaded in profiles.items()
        if present is None or present.intersection(digest(budget.data()) for budget in loaded.budgets)
    }


def _expect(suite: Suite, lines: Lines, profile: str, cell: SuiteCell, machines: set[str]) -> None:
    """Make sure the cell has a line, on every machine class that has rows if its clock is the wall's."""
    clock = cell.cell.interaction.clock
    seen = view(cell.cell)
    if not enters(suite, seen):
        return
    budget_json = canonical_json(cell.cell.budget.data())
    wall = sorted(machines - {""}) or [""]
    for machine in wall if clock == "wall" else [""]:
        key = _key(suite, profile, budget_json, seen, clock, machine)
        _cell_rows(lines, key, cell.cell_id, seen, cell)


def enters(suite: Suite, seen: View) -> bool:
    """Whether a cell is one of those that the leaderboard is about (`leaderboard.only`)."""
    return not suite.leaderboard.only or any(holds(match, seen) for match in suite.leaderboard.only)


def _cell_rows(lines: Lines, key: LineKey, cell_id: str, seen: View, cell: SuiteCell | None) -> CellRows:
    cells = lines.setdefault(key, {})
    if cell_id not in cells:
        environment = {name: value for name, value in seen["environment"].items() if name != "label"}
        published = (
            str(seen["environment"].get("id") or seen["environment"]["label"]),
            str(seen["architecture"]["label"]),
            float(seen["interaction"]["delta"]),
        )
        cells[cell_id] = CellRows(
            seen,
            canonical_json(environment),
            published,
            cell.seeds if cell else (),
            cell.excluded if cell else None,
        )
    return cells[cell_id]


def _key(suite: Suite, profile: str, budget_json: str, seen: View, clock: str, machine: str) -> LineKey:
    values = tuple(field_value(seen, name) for name in suite.leaderboard.group_by)
    return LineKey(profile, budget_json, clock, machine, values)


def _machine(row: Mapping[str, Any]) -> str:
    return (row["machine_class"] or "") if row["clock"] == "wall" else ""


def _shape(data: Mapping[str, Any], *, revisions: bool = True) -> str:
    """A digest of a cell but its budget, with or without the revisions of parts."""
    shape = {key: value for key, value in data.items() if key != "budget"}
    return digest(shape if revisions else _without_revisions({**shape, "id_version": 0}))


def _without_revisions(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_revisions(inner) for key, inner in value.items() if key != "revision"}
    return value


def row_view(row: Mapping[str, Any]) -> View:
    """A row's cell as conditions see it, from the row alone."""
    met = json.loads(row["interaction_json"])
    used = met["scheduler"]
    scheduler = PartUse("schedulers", used["name"], used["revision"], used["params"], row["scheduler_label"])
    out: View = {"interaction": interaction_view(met, scheduler.title)}
    for axis in LABELLED:
        params = json.loads(row[f"{axis}_params_json"])
        out[axis] = part_view(PartUse(axis, row[f"{axis}_name"], row[f"{axis}_revision"], params, row[f"{axis}_label"]))
    out["learner"]["precision"] = row["precision"]
    return out
