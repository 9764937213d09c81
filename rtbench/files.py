"""Files that are whole or not there: written aside, flushed to the disk, given their name in one step.

A reader sees all of a file or nothing, whenever its writer is killed or the power fails.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from functools import lru_cache
from pathlib import Path

from rtbench.errors import RtbenchError
from rtbench.failpoints import reach

ASIDE = ".aside-"
"""How names of files being written begin; the name they are to have follows."""
ABANDONED_S = 3600.0
"""What is still being written after this long belongs to a writer that was killed."""
FLEETING = ("progress", "report")
"""Kinds of files that need not survive a power cut: so many, or so often, that they would keep the disk waiting."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_NO_FOLDER_FLUSH = (errno.EINVAL, errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR, *_NO_LINKS)
_BROKEN = (errno.ENOENT, errno.EIO, errno.EISDIR, errno.ENOTDIR)

Inode = tuple[int, int]


class Refused(RtbenchError):
    """The system does not let a file be read or written; what is there is untouched. `errno` says why."""

    def __init__(self, message: str, error: OSError, target: Path | str, hint: str) -> None:
        self.errno = error.errno or 0
        super().__init__(message, place=str(target), hint=hint)


class CannotWrite(Refused):
    """A file could not be written; what was there before is untouched."""

    def __init__(self, error: OSError, target: Path | str) -> None:
        if error.errno in NO_ROOM:
            message = "no space left on the disk (or quota reached); nothing that was there is lost"
            hint = "make room and run the same command again, it continues"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            message = f"cannot write: {error.strerror}"
            hint = "make the folder writable and run the same command again, or name another folder"
        else:
            message, hint = f"cannot write: {error.strerror or error}", ""
        super().__init__(message, error, target, hint)


class CannotRead(Refused):
    """A file is there and cannot be opened or read now, which says nothing about its content."""

    def __init__(self, error: OSError, target: Path | str) -> None:
        hint = "mend that and run the same command again, it continues"
        super().__init__(f"cannot read: {error.strerror or error}", error, target, hint)


def write(path: Path, *content: bytes | bytearray | memoryview, kind: str, new: bool = False) -> None:
    """Set a file's content, its pieces one after the other; with `new` it must not exist (FileExistsError).

    `kind` names its failpoints. Raises CannotWrite if the system refuses.
    """
    aside = path.parent / f"{ASIDE}{path.name[:100]}-{os.getpid()}-{uuid.uuid4().hex}"
    try:
        _make_folder(path.parent)
    except OSError as error:
        raise CannotWrite(error, path) from error
    try:
        reach(f"{kind}.before-write")
        with aside.open("wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            reach(f"{kind}.after-write")
            reach(f"{kind}.before-flush")
            if kind not in FLEETING:
                os.fsync(file.fileno())
            written = os.fstat(file.fileno())
        reach(f"{kind}.after-flush")
        _sweep(path.parent)
        reach(f"{kind}.before-rename")
        _name(aside, path, (written.st_dev, written.st_ino), new=new)
        if kind not in FLEETING:
            _flush_folder(path.parent)
        reach(f"{kind}.after-rename")
    except FileExistsError:
        raise
    except OSError as error:
        raise CannotWrite(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def read(path: Path) -> bytearray:
    """A file's content; FileNotFoundError (or another OSError) if it is gone for good, CannotRead if it is not."""
    try:
        with path.open("rb") as file:
            content = bytearray(os.fstat(file.fileno()).st_size)
            del content[file.readinto(content) :]
    except OSError as error:
        if error.errno in _BROKEN:
            raise
        raise CannotRead(error, path) from error
    return content


@lru_cache(maxsize=256)
def _sweep(folder: Path) -> None:
    """Once per process: delete what killed writers left, files aside that have not changed for `ABANDONED_S`."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        now_s = folder.stat().st_mtime  # this process has just written into it: the file system's clock, not ours
        for entry in entries:
            if entry.name.startswith(ASIDE) and now_s - entry.stat(follow_symlinks=False).st_mtime >= ABANDONED_S:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def _make_folder(folder: Path) -> None:
    """A folder and those above it, each name flushed: a file does not survive a power cut that its folder does not."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _name(aside: Path, path: Path, inode: Inode, *, new: bool) -> None:
    """Give the file its name in one step.

    A network file system may have done it and lost the answer; asked again it says that the one name is gone or that
    the other exists.
    """
    try:
        if new:
            _link(aside, path)
        else:
            aside.replace(path)
    except (FileExistsError, FileNotFoundError):
        if _inode(path) != inode:
            raise


def _link(aside: Path, path: Path) -> None:
    """Fails if the name exists, also between machines on a network file system."""
    try:
        os.link(aside, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links: claim the name, then fill it. Killed in between, an empty file is left, and told of.
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        claim = os.fstat(handle)
        os.close(handle)
        try:
            aside.replace(path)
        except OSError:
            if _inode(path) == (claim.st_dev, claim.st_ino):
                path.unlink()
            raise


def _inode(path: Path) -> Inode | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system lets a folder be flushed."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise
