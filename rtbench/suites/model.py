"""A suite under one of its profiles, read from its file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtbench.cell import Budget
from rtbench.errors import SuiteError
from rtbench.suites.document import LeaderboardTable, Match, ProfileTable, SeedsTable, SuiteDocument
from rtbench.suites.places import Key, from_validation, place
from rtbench.suites.published import Published, read_published, split_ignored, stand_for_others
from rtbench.units import parse_duration_ns

PAPER = "paper"
"""The profile that overrides nothing."""
_BUDGET_KEYS = ("steps", "unit", "eval_every", "eval_episodes", "final_eval_episodes")


@dataclass(frozen=True)
class Suite:
    """A suite file under one profile: what `rtbench.suites.expand.expand` turns into cells.

    `budget` and `seeds` are the profile's; `wall_limit_s` is in seconds per run, `retries` counts further attempts.
    """

    name: str
    title: str
    source: str
    revision: int
    requires: tuple[str, ...]
    path: Path
    profile: str
    profiles: tuple[str, ...]
    budget: Budget
    wall_limit_s: float
    retries: int
    seeds: tuple[int, ...]
    only: tuple[Match, ...]
    override: dict[str, dict[str, object]]
    leaderboard: LeaderboardTable
    published: tuple[Published, ...]
    ignored: tuple[tuple[Published, str], ...]
    document: SuiteDocument = field(repr=False)
    text: str = field(repr=False)

    def place(self, *path: Key) -> str:
        """File, line and key of something in the suite file, for errors."""
        return place(self.path, self.text, path)


def load_suite(name_or_path: str, profile: str = PAPER) -> Suite:
    """A suite by registered name, or from a path that ends in .toml, under a profile.

    Raises SuiteError with the file, key and line of what is wrong.
    """
    path = find_suite(name_or_path)
    document, text = read_document(path)
    _check_name(name_or_path, document, path, text)
    profiles = (PAPER, *(name for name in document.profiles if name != PAPER))
    if PAPER in document.profiles:
        raise SuiteError(
            f"the profile {PAPER!r} is the suite as [budget] and [seeds] have it and cannot be redefined",
            place=place(path, text, ("profiles", PAPER)),
        )
    if profile not in profiles:
        raise SuiteError(f"unknown profile {profile!r}", place=str(path), given=profile, allowed=profiles)
    kept, left = _published(document, path, text)
    chosen = document.profiles.get(profile, ProfileTable())
    return Suite(
        name=document.suite.name,
        title=document.suite.title,
        source=document.suite.source,
        revision=document.suite.revision,
        requires=tuple(document.suite.requires),
        path=path,
        profile=profile,
        profiles=profiles,
        budget=_budget(document, chosen, path, text),
        wall_limit_s=_wall_limit_s(document, chosen, profile, path, text),
        retries=document.budget.retries if chosen.retries is None else chosen.retries,
        seeds=_seeds(chosen.seeds or document.seeds),
        only=tuple(chosen.only),
        override={axis: dict(values) for axis, values in chosen.override.items()},
        leaderboard=document.leaderboard,
        published=kept,
        ignored=left,
        document=document,
        text=text,
    )


def find_suite(name_or_path: str) -> Path:
    """The file of a suite: a path if it ends in .toml, else the one its entry point locates."""
    from rtbench import plugins

    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise SuiteError("no such suite file", place=str(path), hint="rtbench list suites")
        return path
    found = plugins.entry("suites", name_or_path)
    return Path(found.load()(name_or_path))


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
    if not given.endswith(".toml") and document.suite.name != given:
        raise SuiteError(
            f"the suite registered as {given!r} calls itself {document.suite.name!r}",
            place=place(path, text, ("suite", "name")),
            given=document.suite.name,
            allowed=[given],
        )


def _budget(document: SuiteDocument, profile: ProfileTable, path: Path, text: str) -> Budget:
    values = {name: getattr(document.budget, name) for name in _BUDGET_KEYS}
    values |= {name: value for name in _BUDGET_KEYS if (value := getattr(profile, name)) is not None}
    budget = Budget(**values)
    if budget.eval_every > budget.steps:
        raise SuiteError(
            f"eval_every is {budget.eval_every}, longer than the whole budget of {budget.steps} {budget.unit}",
            place=place(path, text, ("budget", "eval_every")),
        )
    return budget


def _wall_limit_s(document: SuiteDocument, profile: ProfileTable, name: str, path: Path, text: str) -> float:
    where: tuple[Key, ...] = ("profiles", name, "wall_limit") if profile.wall_limit else ("budget", "wall_limit")
    limit = profile.wall_limit or document.budget.wall_limit
    return parse_duration_ns(limit, place=place(path, text, where)) / 1e9


def _seeds(table: SeedsTable) -> tuple[int, ...]:
    return tuple(range(table.base, table.base + table.count))


def _published(
    document: SuiteDocument, path: Path, text: str
) -> tuple[tuple[Published, ...], tuple[tuple[Published, str], ...]]:
    if document.published is None:
        return (), ()
    where = place(path, text, ("published", "table"))
    rows: Sequence[Published] = read_published(path.parent / document.published.table, place=where)
    rows, left = split_ignored(rows, document.published.ignore, place=place(path, text, ("published", "ignore")))
    return stand_for_others(rows, document.published.also, place=place(path, text, ("published", "also"))), left
