"""Where local state lies: four verbs over named bytes, a folder that has them, and the rows of attempts upon it.

A value is written aside, flushed to the disk and then given its name in one step, so that a reader sees all of it or
nothing, whenever the writer is killed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rtbench.errors import InvalidResults, RtbenchError
from rtbench.parts import canonical_json
from rtbench.results.schema import Row, normal_row

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_ASIDE = ".aside-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


Keys = list[str]


class KeyTaken(RtbenchError):
    """`write_new` was asked for a key that exists; what is there was not touched."""


class Store(Protocol):
    """Named bytes. Keys are names separated by slashes; a bucket can stand in for a folder."""

    def read(self, key: str) -> bytes:
        """The value; KeyError if there is none."""

    def list(self, prefix: str = "") -> Keys:
        """All keys that begin with `prefix`, sorted."""

    def replace(self, key: str, value: bytes) -> None:
        """Set the value, whether the key exists or not."""

    def write_new(self, key: str, value: bytes) -> None:
        """Set the value of a key that does not exist; KeyTaken if it does."""


class FolderStore:
    """A store in a folder, one file per key. Safe between processes of one machine or one shared file system."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def read(self, key: str) -> bytes:
        """The file's content; KeyError if there is none."""
        try:
            return self._file(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def list(self, prefix: str = "") -> Keys:
        """Keys that begin with `prefix`, sorted; files being written aside are no keys."""
        folder, _, _ = prefix.rpartition("/")
        return sorted(key for key in self._walk(self.path / folder, folder) if key.startswith(prefix))

    def replace(self, key: str, value: bytes) -> None:
        """Write aside, flush, rename over what is there."""
        with self._aside(key, value) as (aside, target):
            aside.replace(target)

    def write_new(self, key: str, value: bytes) -> None:
        """Write aside, flush, link to the name, which fails if the name exists."""
        with self._aside(key, value) as (aside, target):
            try:
                os.link(aside, target)
            except FileExistsError:
                raise KeyTaken(f"{key!r} has been written before", place=str(self.path)) from None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._claim(key, target)  # a file system without hard links: claim the name, then fill it
                aside.replace(target)

    def _claim(self, key: str, target: Path) -> None:
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            raise KeyTaken(f"{key!r} has been written before", place=str(self.path)) from None

    def _file(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise RtbenchError(f"not a key: {key!r}", place=str(self.path))
        return self.path / key

    def _walk(self, folder: Path, prefix: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from self._walk(Path(entry.path), name)
            else:
                yield name

    @contextlib.contextmanager
    def _aside(self, key: str, value: bytes) -> Iterator[tuple[Path, Path]]:
        """The value in a file beside the target, flushed; removed whatever happens. A full disk is told in words."""
        target = self._file(key)
        aside = target.parent / f"{_ASIDE}{os.getpid()}-{uuid.uuid4().hex}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(value)
                file.flush()
                os.fsync(file.fileno())
            yield aside, target
            _flush_folder(target.parent)
        except OSError as error:
            raise _in_words(error, target) from error
        finally:
            with contextlib.suppress(OSError):
                aside.unlink()


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system lets a folder be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _in_words(error: OSError, target: Path) -> RtbenchError:
    if error.errno in _FULL:
        return RtbenchError(
            "no space left on the disk (or quota reached); nothing that was there is lost",
            place=str(target),
            hint="make room and run the same command again, it continues",
        )
    return RtbenchError(f"cannot write: {error.strerror or error}", place=str(target))


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
