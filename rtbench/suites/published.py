"""The figures a paper printed, as a suite's CSV has them: one row per environment, method and delta."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtbench.errors import SuiteError
from rtbench.suites.document import IgnoreTable

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


@dataclass(frozen=True)
class Published:
    """One printed figure; `spread` is what `spread_kind` says (se or sd), `ticks` the length of training."""

    environment: str
    method: str
    delta: float
    mean: float
    spread: float | None
    spread_kind: str
    metric: str
    ticks: int | None
    seeds: int | None
    source: str

    @property
    def key(self) -> tuple[str, str, float]:
        """What a cell must equal to be compared: environment, method (the architecture's label), delta."""
        return (self.environment, self.method, self.delta)


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
            environment=row["environment"],
            method=row["method"],
            delta=float(row["delta"]),
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
                given=entry.method or "",
                allowed=sorted({row.method for row in rows}),
            )
    return tuple(kept), tuple(left)


def _fits(row: Published, entry: IgnoreTable) -> bool:
    wanted = (("method", entry.method), ("environment", entry.environment), ("delta", entry.delta))
    return all(value is None or getattr(row, name) == value for name, value in wanted)
