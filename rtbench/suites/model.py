"""A suite under one of its profiles, read from its file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rtbench.cell import Budget
from rtbench.errors import SuiteError
from rtbench.suites.document import BudgetTable, LeaderboardTable, Match, ProfileTable, SeedsTable, SuiteDocument
from rtbench.suites.places import Key, from_validation, place
from rtbench.suites.published import Published, read_published, split_ignored, stand_for_others
from rtbench.units import parse_duration_ns

if TYPE_CHECKING:
    from rtbench.plugins import Entry

PAPER = "paper"
"""The profile that overrides nothing."""
_BUDGET_KEYS = ("steps", "unit", "eval_every", "eval_episodes", "final_eval_episodes")


@dataclass(frozen=True)
class Suite:
    """A suite file under one profile: what `rtbench.suites.expand.expand` turns into cells.

    `budget` is the profile's, of the suite's own cells; None if all come from suites that it includes (`included`,
    under the same profile). `own_seeds` are those of its own cells, `wall_limit_s` (seconds per run) and `retries`
    (further attempts) the most that any of all grants.
    """

    name: str
    title: str
    source: str
    revision: int
    requires: tuple[str, ...]
    path: Path
    profile: str
    profiles: tuple[str, ...]
    budget: Budget | None
    wall_limit_s: float
    retries: int
    own_seeds: tuple[int, ...]
    only: tuple[Match, ...]
    override: dict[str, dict[str, object]]
    leaderboard: LeaderboardTable
    published: tuple[Published, ...]
    ignored: tuple[tuple[Published, str], ...]
    included: tuple[Suite, ...] = field(repr=False)
    document: SuiteDocument = field(repr=False)
    text: str = field(repr=False)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Every budget that a cell has: the suite's own first, then those of the suites that it includes."""
        own = (self.budget,) if self.budget else ()
        return tuple(dict.fromkeys((*own, *(budget for suite in self.included for budget in suite.budgets))))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that a cell has."""
        return tuple(sorted({*self.own_seeds, *(seed for suite in self.included for seed in suite.seeds)}))

    @property
    def length(self) -> str:
        """How long a run is, for readers: '1,000,000 ticks', each if there are several."""
        return " or ".join(dict.fromkeys(f"{budget.steps:,} {budget.unit}" for budget in self.budgets))

    @property
    def seeds_asked(self) -> int:
        """Seeds of a cell that no profile tells of."""
        return self.document.seeds.count if self.document.seeds else len(self.seeds)

    def place(self, *path: Key) -> str:
        """File, line and key of something in the suite file, for errors."""
        return place(self.path, self.text, path)


def load_suite(name_or_path: str, profile: str = PAPER) -> Suite:
    """A suite by registered name (see `suite_entry`), or from a path that ends in .toml, under a profile.

    Raises SuiteError with the file, key and line of what is wrong.
    """
    return _load(name_or_path, profile, ())


def _load(name_or_path: str, profile: str, within: tuple[Path, ...]) -> Suite:
    """The same; `within` are the files that include it, outermost first."""
    path = find_suite(name_or_path)
    document, text = read_document(path)
    _check_name(name_or_path, document, path, text)
    if PAPER in document.profiles:
        raise SuiteError(
            f"the profile {PAPER!r} is the suite as [budget] and [seeds] have it and cannot be redefined",
            place=place(path, text, ("profiles", PAPER)),
        )
    including = (*within, path.resolve())
    profiles = _profiles(document, including, path, text)
    if profile not in profiles:
        raise SuiteError(f"unknown profile {profile!r}", place=str(path), given=profile, allowed=profiles)
    included = tuple(_load(found, profile, including) for found in _includes(document, including, path, text))
    kept, left = _published(document, path, text)
    chosen = document.profiles.get(profile, ProfileTable())
    budget = _own_budget(document, chosen, profile, path, text)
    limits = [_wall_limit_s(document.budget, chosen, profile, path, text)] if document.budget else []
    retries = [chosen.retries if chosen.retries is not None else document.budget.retries] if document.budget else []
    own_seeds = chosen.seeds or document.seeds if document.budget else None
    return Suite(
        name=document.suite.name,
        title=document.suite.title,
        source=document.suite.source,
        revision=document.suite.revision,
        requires=tuple(document.suite.requires),
        path=path,
        profile=profile,
        profiles=profiles,
        budget=budget,
        wall_limit_s=max(limits + [suite.wall_limit_s for suite in included]),
        retries=max(retries + [suite.retries for suite in included]),
        own_seeds=_seeds(own_seeds),
        only=tuple(chosen.only),
        override={axis: dict(values) for axis, values in chosen.override.items()},
        leaderboard=document.leaderboard,
        published=kept,
        ignored=left,
        included=included,
        document=document,
        text=text,
    )


def find_suite(name_or_path: str, *, whole: bool = False) -> Path:
    """The file of a suite: a path if it ends in .toml, else the one its entry point locates (see `suite_entry`).

    `whole`: by its whole name only, as rows name suites.
    """
    from rtbench import plugins

    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise SuiteError("no such suite file", place=str(path), hint="rtbench list suites")
        return path
    found = plugins.entry("suites", name_or_path) if whole else suite_entry(name_or_path)
    return Path(found.load()(found.name))


def suite_entry(name: str, *, place: str = "") -> Entry:
    """A registered suite by its name, or by the end of it after a namespace where no other suite's ends so.

    'realtime' is 'theirs/realtime' unless there is also one called so, or 'others/realtime'. SuiteError lists what a
    name may stand for.
    """
    from rtbench import plugins

    known = plugins.entries("suites")
    ends = [each for each in sorted(known) if each.endswith(f"/{name}")] if name not in known else []
    if len(ends) > 1:
        raise SuiteError(
            f"suite {name!r} may be any of {len(ends)}", place=place, allowed=ends, hint="name it with its namespace"
        )
    return plugins.entry("suites", ends[0] if ends else name, place=place)


def read_document(path: Path) -> tuple[SuiteDocument, str]:
    """The checked tables of a suite file and its text."""
    from pydantic import ValidationError

    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"not valid TOML: {error}", place=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"the suite file cannot be read: {error}", place=str(path)) from None
    try:
        return SuiteDocument.model_validate(data), text
    except ValidationError as error:
        raise from_validation(error, SuiteDocument, path, text) from None


def _check_name(given: str, document: SuiteDocument, path: Path, text: str) -> None:
    own = document.suite.name
    if not given.endswith(".toml") and own != given and own != (given := suite_entry(given).name):
        raise SuiteError(
            f"the suite registered as {given!r} calls itself {document.suite.name!r}",
            place=place(path, text, ("suite", "name")),
            given=document.suite.name,
            allowed=[given],
        )


def _includes(document: SuiteDocument, within: tuple[Path, ...], path: Path, text: str) -> list[str]:
    """The suites that this one includes, as `find_suite` takes them; SuiteError if one of them includes this one."""
    found = []
    for number, name in enumerate(document.suite.includes):
        inner, where = str(path.parent / name) if name.endswith(".toml") else name, place(path, text, _included(number))
        try:
            file = find_suite(inner)
        except SuiteError as error:
            there = f"{error.message}: {inner}" if name.endswith(".toml") else error.message
            raise SuiteError(there, place=where, given=name, allowed=error.allowed, hint=error.hint) from None
        if file.resolve() in within:
            raise SuiteError(f"suite {name!r} would include itself", place=where)
        found.append(inner)
    return found


def _included(number: int) -> tuple[Key, ...]:
    return ("suite", "includes", number)


def _profiles(document: SuiteDocument, within: tuple[Path, ...], path: Path, text: str) -> tuple[str, ...]:
    """The suite's profiles; where it includes others, those that each of them has, in the first one's order."""
    own = (PAPER, *document.profiles)
    shared: tuple[str, ...] | None = None
    for inner in _includes(document, within, path, text):
        file = find_suite(inner)
        theirs_document, theirs_text = read_document(file)
        theirs = _profiles(theirs_document, (*within, file.resolve()), file, theirs_text)
        shared = theirs if shared is None else tuple(name for name in shared if name in theirs)
    if shared is None:
        return own
    for name in document.profiles:
        if name not in shared:
            raise SuiteError(
                f"not every suite that is included has a profile {name!r}",
                place=place(path, text, ("profiles", name)),
                given=name,
                allowed=shared,
            )
    if not document.budget:
        return shared
    return tuple(name for name in shared if name in own)


def _own_budget(document: SuiteDocument, profile: ProfileTable, name: str, path: Path, text: str) -> Budget | None:
    """The budget of the suite's own cells, None if it has none; SuiteError where a table that they need is missing."""
    if not document.suite.includes or document.cells or document.axes.model_fields_set:
        for table in ("budget", "seeds"):
            if getattr(document, table) is None:
                raise SuiteError(f"missing key {table!r}", place=place(path, text, ()), hint="cells of its own need it")
    else:
        for table in ("budget", "seeds"):
            if getattr(document, table) is not None:
                raise SuiteError(
                    f"[{table}] is for cells of the suite's own, and all of these come from suites that it includes",
                    place=place(path, text, (table,)),
                    given=table,
                    hint="each suite that is included has its own",
                )
    if document.budget:
        return _budget(document.budget, profile, path, text)
    idle = sorted(set(profile.model_fields_set) - {"only"})
    if idle:
        raise SuiteError(
            f"{idle[0]!r} is for cells of the suite's own, and all of these come from suites that it includes",
            place=place(path, text, ("profiles", name, idle[0])),
            given=idle[0],
            allowed=["only"],
        )
    return None


def _budget(table: BudgetTable, profile: ProfileTable, path: Path, text: str) -> Budget:
    values = {name: getattr(table, name) for name in _BUDGET_KEYS}
    values |= {name: value for name in _BUDGET_KEYS if (value := getattr(profile, name)) is not None}
    budget = Budget(**values)
    if budget.eval_every > budget.steps:
        raise SuiteError(
            f"eval_every is {budget.eval_every}, longer than the whole budget of {budget.steps} {budget.unit}",
            place=place(path, text, ("budget", "eval_every")),
        )
    return budget


def _wall_limit_s(table: BudgetTable, profile: ProfileTable, name: str, path: Path, text: str) -> float:
    where: tuple[Key, ...] = ("profiles", name, "wall_limit") if profile.wall_limit else ("budget", "wall_limit")
    limit = profile.wall_limit or table.wall_limit
    return parse_duration_ns(limit, place=place(path, text, where)) / 1e9


def _seeds(table: SeedsTable | None) -> tuple[int, ...]:
    return tuple(range(table.base, table.base + table.count)) if table else ()


def _published(
    document: SuiteDocument, path: Path, text: str
) -> tuple[tuple[Published, ...], tuple[tuple[Published, str], ...]]:
    if document.published is None:
        return (), ()
    where = place(path, text, ("published", "table"))
    rows: Sequence[Published] = read_published(path.parent / document.published.table, place=where)
    rows, left = split_ignored(rows, document.published.ignore, place=place(path, text, ("published", "ignore")))
    return stand_for_others(rows, document.published.also, place=place(path, text, ("published", "also"))), left
