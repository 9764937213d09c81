"""The figures a paper printed, as a suite's CSV has them: one row per environment, method and delta."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtbench.errors import SuiteError
from rtbench.suites.document import AlsoTable, IgnoreTable, PublishedRows

COLUMNS = (
    "family",
    "environment",
    "method",
    "delta",
    "mean",
    "spread",
    "metric",
    "spread_kind",
    "ticks",
    "source",
    "seeds",
)


ALL = "(all)"
"""Stands in a published table for a figure averaged over all environments, or over all deltas."""
NORMALISED = "normalised return"
"""The metric of figures that are compared with a line's normalised score."""
PublishedKey = tuple[str, str, float | str]
"""Environment, method (the architecture's label), delta: what a cell, or a line of several, must equal."""


@dataclass(frozen=True)
class Published:
    """One printed figure; `spread` is what `spread_kind` says (se or sd), `ticks` the length of training.

    `others` are keys besides its own that it stands for (`published.also` of a suite file).
    """

    family: str
    environment: str
    method: str
    delta: float | str
    mean: float
    spread: float | None
    spread_kind: str
    metric: str
    ticks: int | None
    seeds: int | None
    source: str
    others: tuple[PublishedKey, ...] = ()

    @property
    def key(self) -> PublishedKey:
        """What a cell must equal to be compared."""
        return (self.environment, self.method, self.delta)

    @property
    def keys(self) -> tuple[PublishedKey, ...]:
        """All that it stands for."""
        return (self.key, *self.others)


def by_key(rows: Iterable[Published]) -> dict[PublishedKey, Published]:
    """Published rows by what they stand for."""
    return {key: row for row in rows for key in row.keys}


def read_published(path: Path, *, place: str = "") -> tuple[Published, ...]:
    """All rows of a published table; SuiteError naming the line of what cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise SuiteError(f"{path.name} has no column {missing[0]!r}", place=place, allowed=COLUMNS)
            return tuple(_row(row, f"{path}, line {number}") for number, row in enumerate(reader, start=2))
    except OSError as error:
        raise SuiteError(
            f"the published table cannot be read: {error.strerror or error}",
            place=place,
            hint=f"the path is relative to the suite file: {path}",
        ) from None


def _row(row: dict[str, str], place: str) -> Published:
    try:
        return Published(
            family=row["family"],
            environment=row["environment"],
            method=row["method"],
            delta=ALL if row["delta"] == ALL else float(row["delta"]),
            mean=float(row["mean"]),
            spread=float(row["spread"]) if row["spread"] else None,
            spread_kind=row["spread_kind"],
            metric=row["metric"],
            ticks=int(row["ticks"]) if row["ticks"] else None,
            seeds=int(row["seeds"]) if row["seeds"] else None,
            source=row["source"],
        )
    except (ValueError, TypeError) as error:
        raise SuiteError(f"not a published figure: {error}", place=place) from None


def split_ignored(
    rows: Sequence[Published], ignored: Sequence[IgnoreTable], *, place: str = ""
) -> tuple[tuple[Published, ...], tuple[tuple[Published, str], ...]]:
    """Rows that cells must answer to, and the others with the reason; an entry that fits no row is a SuiteError."""
    kept, left = [], []
    used: set[int] = set()
    for row in rows:
        fits = [number for number, entry in enumerate(ignored) if _fits(row, entry)]
        used.update(fits)
        if fits:
            left.append((row, ignored[fits[0]].why))
        else:
            kept.append(row)
    for number, entry in enumerate(ignored):
        if number not in used:
            raise SuiteError(
                "an entry of published.ignore fits no published row",
                place=place,
                given=str(entry.method or ""),
                allowed=sorted({row.method for row in rows}),
            )
    return tuple(kept), tuple(left)


def stand_for_others(rows: Sequence[Published], also: Sequence[AlsoTable], *, place: str = "") -> tuple[Published, ...]:
    """Rows with the further keys that `also` gives them; an entry that fits no row is a SuiteError."""
    out = list(rows)
    for entry in also:
        fits = [number for number, row in enumerate(out) if _fits(row, entry)]
        if not fits:
            allowed = sorted({row.method for row in rows})
            raise SuiteError("an entry of published.also fits no published row", place=place, allowed=allowed)
        for number in fits:
            row, told = out[number], entry.stands_for
            key: PublishedKey = (
                told.environment or row.environment,
                told.method or row.method,
                row.delta if told.delta is None else told.delta,
            )
            out[number] = dataclasses.replace(row, others=(*row.others, key))
    return tuple(out)


def _fits(row: Published, entry: PublishedRows) -> bool:
    for name in ("family", "method", "environment", "delta"):
        wanted = getattr(entry, name)
        if wanted is not None and getattr(row, name) not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True
