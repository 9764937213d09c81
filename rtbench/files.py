"""Files that are whole or not there: written aside, flushed to the disk, given their name in one step.

A reader sees all of a file or nothing, whenever its writer is killed or the power fails.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from rtbench.errors import RtbenchError
from rtbench.failpoints import reach

ASIDE = ".aside-"
"""How names of files being written begin."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class CannotWrite(RtbenchError):
    """A file could not be written; what was there before is untouched. `errno` says why."""

    def __init__(self, error: OSError, target: Path) -> None:
        self.errno = error.errno or 0
        if self.errno in NO_ROOM:
            message = "no space left on the disk (or quota reached); nothing that was there is lost"
            hint = "make room and run the same command again, it continues"
        elif self.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            message = f"cannot write: {error.strerror}"
            hint = "make the folder writable and run the same command again, or name another folder"
        else:
            message, hint = f"cannot write: {error.strerror or error}", ""
        super().__init__(message, place=str(target), hint=hint)


def write(path: Path, value: bytes | memoryview, *, kind: str, new: bool = False) -> None:
    """Set a file's content; with `new` it must not exist (FileExistsError). `kind` names its failpoints.

    Raises CannotWrite if the system refuses.
    """
    aside = path.parent / f"{ASIDE}{os.getpid()}-{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(error, path) from error
    try:
        reach(f"{kind}.before-write")
        with aside.open("wb") as file:
            file.write(value)
            file.flush()
            reach(f"{kind}.after-write")
            reach(f"{kind}.before-flush")
            os.fsync(file.fileno())
        reach(f"{kind}.after-flush")
        reach(f"{kind}.before-rename")
        if new:
            _link(aside, path)
        else:
            aside.replace(path)
        _flush_folder(path.parent)
        reach(f"{kind}.after-rename")
    except FileExistsError:
        raise
    except OSError as error:
        raise CannotWrite(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def _link(aside: Path, path: Path) -> None:
    """Give the file its name, which fails if the name exists, also between machines on a network file system."""
    try:
        os.link(aside, path)
    except FileExistsError:
        if not _same(aside, path):  # a network file system may have done it and lost the answer
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links: claim the name, then fill it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        aside.replace(path)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system lets a folder be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
