"""Where the files of one job's checkpoint lie: a folder, or anything else that keeps whole files by name."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

from rtbench import files


class Shelf(Protocol):
    """Whole files by name. CannotRead and CannotWrite where the system refuses now."""

    def names(self) -> list[str]:
        """Of all files, those being written (`files.ASIDE`) included, in any order."""

    def read(self, name: str) -> bytearray:
        """A file's content; FileNotFoundError if it is gone."""

    def write(self, name: str, *content: bytes | memoryview, kind: str) -> None:
        """Set a file's content, its pieces one after the other; `kind` names its failpoints."""

    def rename(self, name: str, to: str) -> None:
        """Give a file another name; FileNotFoundError if it is gone."""

    def remove(self, name: str) -> None:
        """Let a file be gone."""

    def clear(self) -> None:
        """Nothing is kept here any more; what others keep here stays."""


class FolderShelf:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Of everything in the folder."""
        return [path.name for path in self._folder.glob("*")]

    def read(self, name: str) -> bytearray:
        """A file's content; FileNotFoundError, or another OSError that says it is broken."""
        return files.read(self._folder / name)

    def write(self, name: str, *content: bytes | memoryview, kind: str) -> None:
        """Written aside, flushed and renamed."""
        files.write(self._folder / name, *content, kind=kind)

    def rename(self, name: str, to: str) -> None:
        """In one step."""
        try:
            (self._folder / name).replace(self._folder / to)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise files.CannotWrite(error, self._folder / name) from error

    def remove(self, name: str) -> None:
        """Let a file be gone; OSError if the system refuses."""
        (self._folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete the folder if it is empty."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()
