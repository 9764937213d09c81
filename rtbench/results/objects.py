"""The store in a bucket, over fsspec: conditional writes, patience, and nothing believed that was not answered.

Whole objects only: what S3 or GCS shows under a name was uploaded to its end. A key is written *new* by a condition
that the service itself checks (S3: `If-None-Match: *`; GCS: `ifGenerationMatch=0`), never by looking first. What fails
in passing (timeouts, 500s, connections cut) is tried again for `PATIENCE_S`. A write may have been done and its answer
lost: asked again the service says that the name is taken, and if the very same bytes are there they were ours.
"""

from __future__ import annotations

import errno
import os
import random
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from rtbench import files
from rtbench.errors import RtbenchError
from rtbench.results.store import KEY, Keys, KeyTaken

T = TypeVar("T")
ANSWER_S = float(os.environ.get("RTBENCH_BUCKET_SECONDS", "30"))
"""How long an answer is waited for before the question is asked again; the variable is for tests."""
KNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    # One mechanism tries again, ours; S3's own would hide from it that an answer was lost.
    "s3": (
        "s3fs",
        {"config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 10, "read_timeout": ANSWER_S}},
    ),
    "gs": ("gcsfs", {}),
    "gcs": ("gcsfs", {}),
    "memory": ("fsspec", {}),
}
"""File systems whose `pipe_file(mode="create")` is a condition that the service checks: their package, options."""
_NO_CONDITION = "has no write that fails if the name exists, so two runners could commit one run twice"
REFUSED = {name: f"{name} {_NO_CONDITION}" for name in ("ftp", "sftp", "webhdfs", "http", "https")}
PATIENCE_S = 60.0
"""How long what fails in passing is tried again."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
PROBES = "probe"
_FINAL = (FileNotFoundError, FileExistsError, PermissionError, NotImplementedError, ImportError)
_OURS = (TypeError, ValueError, LookupError, AttributeError, AssertionError)


class ObjectStore:
    """Named bytes in a bucket. Safe between any machines that reach it, and between threads."""

    together = 16
    """Readings that are worth asking for at once: every one waits for the network."""

    def __init__(
        self,
        url: str,
        *,
        system: Any = None,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`system` is an fsspec file system; by default that of the URL, with the environment's credentials."""
        self.url = url
        protocol, _, path = url.partition("://")
        self._system = file_system(protocol) if system is None else system
        self._root = self._system._strip_protocol(url).rstrip("/") if system is None else path.rstrip("/")
        self._patience_s, self._clock, self._sleep = patience_s, clock, sleep

    def read(self, key: str) -> bytes:
        """The object's content; KeyError if there is none, CannotRead if it cannot be had."""
        if not KEY.fullmatch(key):  # the name of a foreign object, say: nothing was ever written under it
            raise KeyError(key)
        try:
            value: bytes = self._patiently(lambda: self._system.cat_file(self._path(key)))
        except FileNotFoundError:
            raise KeyError(key) from None
        except Exception as error:
            raise self._refused(files.CannotRead, error, key) from error
        return value

    def list(self, prefix: str = "") -> Keys:
        """Keys that begin with `prefix`, sorted."""
        folder, _, _ = prefix.rpartition("/")
        try:
            found: list[str] = self._patiently(lambda: self._system.find(self._path(folder)))
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._refused(files.CannotRead, error, folder) from error
        begin = len(self._root.strip("/")) + 1
        keys = (path.strip("/")[begin:] for path in found)
        return sorted(key for key in keys if key.startswith(prefix) and key != folder)

    def replace(self, key: str, value: bytes) -> None:
        """Set the value, whether the key exists or not."""
        path = self._named(key)
        try:
            self._patiently(lambda: self._system.pipe_file(path, bytes(value)))
        except Exception as error:
            raise self._refused(files.CannotWrite, error, key) from error

    def write_new(self, key: str, value: bytes) -> None:
        """Set the value of a key that does not exist; KeyTaken if it does, unless with these very bytes."""
        path = self._named(key)
        try:
            self._patiently(lambda: self._system.pipe_file(path, bytes(value), mode="create"))
        except Exception as error:
            if not _taken(error):
                raise self._refused(files.CannotWrite, error, key) from error
            if self._read_or_none(key) != value:
                raise KeyTaken(f"{key!r} has been written before", place=self.url) from None

    def remove(self, key: str) -> None:
        """Let the key be gone, whether it exists or not."""
        path = self._named(key)
        try:
            self._patiently(lambda: self._system.rm_file(path))
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._refused(files.CannotWrite, error, key) from error

    def prove(self) -> None:
        """Find out whether the service keeps its word: a second write under one name must fail. RtbenchError if not."""
        key = f"{PROBES}/{uuid.uuid4().hex}"
        self.write_new(key, b"first")
        try:
            self.write_new(key, b"second")
        except KeyTaken:
            return
        finally:
            self.remove(key)
        raise RtbenchError(
            "this service overwrites what should be written only once: it does not know conditional writes",
            place=self.url,
            hint="S3 itself, GCS, and any service that answers `If-None-Match: *` with 412 can hold state; or a folder",
        )

    # ---- shared ----------------------------------------------------------------------------------------------------

    def _patiently(self, act: Callable[[], T]) -> T:
        """What it answers, tried again while it fails in passing and there is time."""
        pause_s, deadline = FIRST_PAUSE_S, self._clock() + self._patience_s
        while True:
            try:
                return act()
            except Exception as error:
                # Half of the pause is drawn: of many runners that failed at once not all come back at once.
                wait_s = pause_s * random.uniform(0.5, 1.0)
                if not _passing(error) or self._clock() + wait_s > deadline:
                    raise
            self._sleep(wait_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _read_or_none(self, key: str) -> bytes | None:
        try:
            return self.read(key)
        except KeyError:
            return None

    def _named(self, key: str) -> str:
        if not KEY.fullmatch(key):
            raise RtbenchError(f"not a key: {key!r}", place=self.url)
        return self._path(key)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def _refused(
        self, kind: type[files.CannotRead] | type[files.CannotWrite], error: Exception, key: str
    ) -> files.Refused:
        """The error in the words of the house; the service's own are kept, they name no secret."""
        if isinstance(error, files.Refused):
            return error
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        return kind(OSError(number, first), f"{self.url}/{key}")


def file_system(protocol: str) -> Any:
    """The file system of a protocol, never one that remembers listings; RtbenchError if it is not installed."""
    import fsspec

    package, options = KNOWN[protocol]
    try:
        system = fsspec.filesystem(
            protocol, use_listings_cache=False, skip_instance_cache=protocol != "memory", **options
        )
    except ImportError as error:
        extra = {"s3fs": "pip install 'rtbench[s3]'"}.get(package, f"pip install {package}")
        raise RtbenchError(f"{package} is not installed: {error}", place=f"{protocol}://…", hint=extra) from None
    if protocol == "s3":
        system.retries = 1
    return system


def _passing(error: Exception) -> bool:
    """Whether it may be gone the next time; not what the service has decided, nor a mistake of ours."""
    final = isinstance(error, (*_FINAL, *_OURS)) or _taken(error)
    return not final and "Credentials" not in type(error).__name__


def _taken(error: Exception) -> bool:
    """Whether the service's condition failed; only Amazon's own answer is told by s3fs as what it is."""
    answer = getattr(error.__cause__, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return isinstance(error, FileExistsError) or code in ("PreconditionFailed", "412")
