"""The rows of attempts in local state, one JSON value each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from rtbench.errors import InvalidResults
from rtbench.files import Refused
from rtbench.parts import canonical_json
from rtbench.results.schema import Row, normal_row
from rtbench.results.store import Store

FOLDER = "rows/"
T = TypeVar("T")
_KEY = re.compile(r"rows/([0-9a-f]{64})\.([1-9][0-9]{0,8})\.json")


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
        key = _key(normal["run_id"], normal["attempt"])
        present = {name: value for name, value in normal.items() if value is not None}
        self.store.write_new(key, canonical_json(present).encode())
        return key

    def attempt(self, run_id: str, attempt: int) -> Row | None:
        """The row of one attempt; None if there is none or what is there is no row. CannotRead if it cannot be had."""
        try:
            return self._read(_key(run_id, attempt))
        except (InvalidResults, KeyError):
            return None

    def taken(self, run_id: str, attempt: int) -> bool:
        """Whether anything, a row or what was one, is under the attempt's name."""
        try:
            self.store.read(_key(run_id, attempt))
        except KeyError:
            return False
        return True

    def look(self, run_id: str, attempt: int) -> tuple[bool, Row | None]:
        """`taken` and `attempt` in one reading."""
        try:
            return True, self._read(_key(run_id, attempt))
        except InvalidResults:
            return True, None
        except KeyError:
            return False, None

    def stream(
        self,
        problems: list[str],
        *,
        wanted: Callable[[str], bool] | None = None,
        columns: Sequence[str] | None = None,
        newest: bool = False,
    ) -> Iterator[Row]:
        """Rows one by one, sorted by run and attempt; a line in `problems` for each file that holds none.

        `wanted` is asked with each run_id, and rows of other runs are not opened. `columns` are all that is kept of a
        row, after all of it was checked. `newest` answers only the last attempt of a run that can be read.
        """
        attempts: dict[str, list[int]] = {}
        for key in self.store.list(FOLDER):
            found = _KEY.fullmatch(key)
            if found is None:
                problems.append(f"{key}: no row has such a name")
            elif wanted is None or wanted(found[1]):
                attempts.setdefault(found[1], []).append(int(found[2]))
        same: dict[Any, Any] = {}
        together = max(1, getattr(self.store, "together", 1))
        for some in _batches(attempts.items(), 16 * together):
            numbered = ((run_id, [max(numbers)] if newest else numbers) for run_id, numbers in some)
            known = self._known([_key(run_id, number) for run_id, numbers in numbered for number in numbers], together)
            yield from self._rows(some, known, problems, columns, same, newest=newest)

    def _known(self, keys: Sequence[str], together: int) -> dict[str, bytes]:
        """What can be read of some keys, so many at a time; none of it where a store answers at once."""
        if together == 1 or len(keys) < 2:
            return {}

        def read(key: str) -> tuple[str, bytes] | None:
            try:
                return key, self.store.read(key)
            except (Refused, KeyError):  # told of when its turn comes
                return None

        with ThreadPoolExecutor(together) as readers:
            return dict(found for found in readers.map(read, keys) if found)

    def _rows(
        self,
        attempts: Iterable[tuple[str, list[int]]],
        known: Mapping[str, bytes],
        problems: list[str],
        columns: Sequence[str] | None,
        same: dict[Any, Any],
        *,
        newest: bool,
    ) -> Iterator[Row]:
        for run_id, numbers in attempts:
            for number in sorted(numbers, reverse=newest):
                key = _key(run_id, number)
                try:
                    row = self._read(key, known.get(key))
                except (InvalidResults, Refused, KeyError) as error:
                    problems.append(f"{_key(run_id, number)}: {getattr(error, 'message', error)}")
                    continue
                yield row if columns is None else _kept(row, columns, same)
                if newest:
                    break

    def scan(self, **which: Any) -> Scan:
        """The rows of `stream` and their problems; unreadable and foreign files are left alone."""
        problems: list[str] = []
        return Scan(list(self.stream(problems, **which)), problems)

    def rows(self) -> list[Row]:
        """All readable rows."""
        return self.scan().rows

    def latest(self) -> dict[str, Row]:
        """The newest attempt of every run, by run_id."""
        return {row["run_id"]: row for row in self.scan(newest=True).rows}

    def _read(self, key: str, value: bytes | None = None) -> Row:
        from pydantic_core import from_json  # twice as fast as the standard library's, which counts for thousands

        try:
            data = from_json(self.store.read(key) if value is None else value)
        except ValueError as error:
            raise InvalidResults(f"not JSON ({error})", place=key) from None
        if not isinstance(data, dict):
            raise InvalidResults("not a row", place=key)
        row = normal_row(data, place=key)
        if key != _key(row["run_id"], row["attempt"]):
            raise InvalidResults("the file's name is not that of the row in it", place=key)
        return row


def _key(run_id: str, attempt: int) -> str:
    return f"{FOLDER}{run_id}.{attempt}.json"


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _kept(row: Row, columns: Sequence[str], same: dict[Any, Any]) -> Row:
    """Some columns of a row; texts that many rows have in common are kept once, in `same`."""
    return {name: same.setdefault(row[name], row[name]) if type(row[name]) is str else row[name] for name in columns}


def latest(rows: Iterable[Row]) -> dict[str, Row]:
    """The newest attempt of every run among `rows`, by run_id."""
    newest: dict[str, Row] = {}
    for row in rows:
        known = newest.get(row["run_id"])
        if known is None or row["attempt"] > known["attempt"]:
            newest[row["run_id"]] = row
    return newest
