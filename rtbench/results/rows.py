"""The rows of attempts in local state, one JSON value each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.parts import canonical_json
from rtbench.results.schema import Row, normal_row
from rtbench.results.store import Store


@dataclass(frozen=True)
class Scan:
    """What a folder of rows holds: the rows that can be read, and a line for each file that cannot."""

    rows: list[Row]
    problems: list[str]


class RowStore:
    """Rows of attempts in local state, one JSON value per attempt under rows/<run_id>.<attempt>.json."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def write(self, row: Mapping[str, Any]) -> str:
        """Commit an attempt's row and answer its key; KeyTaken if this attempt was committed before."""
        normal = normal_row(row)
        key = f"rows/{normal['run_id']}.{normal['attempt']}.json"
        present = {name: value for name, value in normal.items() if value is not None}
        self.store.write_new(key, canonical_json(present).encode())
        return key

    def attempt(self, run_id: str, attempt: int) -> Row | None:
        """The row of one attempt; None if there is none or it cannot be read."""
        try:
            return self._read(f"rows/{run_id}.{attempt}.json")
        except (InvalidResults, OSError, KeyError):
            return None

    def scan(self) -> Scan:
        """All rows sorted by run and attempt; unreadable and foreign files become problems and are left alone."""
        rows: list[Row] = []
        problems: list[str] = []
        for key in self.store.list("rows/"):
            try:
                rows.append(self._read(key))
            except (InvalidResults, OSError, KeyError) as error:
                problems.append(f"{key}: {getattr(error, 'message', error)}")
        rows.sort(key=lambda row: (row["run_id"], row["attempt"]))
        return Scan(rows, problems)

    def rows(self) -> list[Row]:
        """All readable rows."""
        return self.scan().rows

    def latest(self) -> dict[str, Row]:
        """The newest attempt of every run, by run_id."""
        return latest(self.rows())

    def _read(self, key: str) -> Row:
        try:
            data = json.loads(self.store.read(key))
        except ValueError as error:
            raise InvalidResults(f"not JSON ({error})", place=key) from None
        if not isinstance(data, dict):
            raise InvalidResults("not a row", place=key)
        row = normal_row(data, place=key)
        if key != f"rows/{row['run_id']}.{row['attempt']}.json":
            raise InvalidResults("the file's name is not that of the row in it", place=key)
        return row


def latest(rows: list[Row]) -> dict[str, Row]:
    """The newest attempt of every run among `rows`, by run_id."""
    newest: dict[str, Row] = {}
    for row in rows:
        known = newest.get(row["run_id"])
        if known is None or row["attempt"] > known["attempt"]:
            newest[row["run_id"]] = row
    return newest
