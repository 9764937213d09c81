"""Where local state lies: a few verbs over named bytes, and a folder that has them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from rtbench import files
from rtbench.errors import RtbenchError

KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
"""What a key looks like."""
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

    def remove(self, key: str) -> None:
        """Let the key be gone, whether it exists or not."""


class FolderStore:
    """A store in a folder, one file per key. Safe between processes of one machine or one shared file system."""

    def __init__(self, path: Path | str, kind: str = "") -> None:
        """`kind` names the failpoints of its files (`rtbench.failpoints`); by default a key's first part does."""
        self.path, self._kind = Path(path), kind

    def read(self, key: str) -> bytes:
        """The file's content; KeyError if there is none, CannotRead if it cannot be had now."""
        if not KEY.fullmatch(key):  # the name of a foreign file, say: nothing was ever written under it
            raise KeyError(key)
        try:
            return (self.path / key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None
        except OSError as error:
            raise files.CannotRead(error, self.path / key) from error

    def list(self, prefix: str = "") -> Keys:
        """Keys that begin with `prefix`, sorted; files being written aside are no keys."""
        folder, _, _ = prefix.rpartition("/")
        return sorted(key for key in self._walk(self.path / folder, folder) if key.startswith(prefix))

    def replace(self, key: str, value: bytes) -> None:
        """Set the value, whether the key exists or not."""
        files.write(self._file(key), value, kind=self._kind or key.partition("/")[0])

    def write_new(self, key: str, value: bytes) -> None:
        """Set the value of a key that does not exist; KeyTaken if it does."""
        try:
            files.write(self._file(key), value, kind=self._kind or key.partition("/")[0], new=True)
        except FileExistsError:
            raise KeyTaken(f"{key!r} has been written before", place=str(self.path)) from None

    def remove(self, key: str) -> None:
        """Let the key be gone, whether it exists or not."""
        path = self._file(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise files.CannotWrite(error, path) from error

    def _file(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise RtbenchError(f"not a key: {key!r}", place=str(self.path))
        return self.path / key

    def _walk(self, folder: Path, prefix: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise files.CannotRead(error, folder) from error
        for entry in entries:
            name = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from self._walk(Path(entry.path), name)
            else:
                yield name
