"""Where state may lie: a folder, or a place in a bucket that fsspec knows; and the store that is there."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rtbench.errors import RtbenchError
from rtbench.results.store import FolderStore

if TYPE_CHECKING:
    from rtbench.results.store import Store

CACHE = "RTBENCH_CACHE"
"""The variable that names the folder for what stays on this machine while the state is in a bucket."""
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket, as fsspec writes it: `s3://bucket/prefix`. No credentials: those are the environment's."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def protocol(self) -> str:
        """What stands before the colon."""
        return self.url.partition(":")[0]


State = Path | Bucket
BUCKET_PACE = 10.0


def state_from(given: str | Path) -> State:
    """A folder or a place in a bucket; RtbenchError for a URL that cannot hold state.

    `file:` is a folder. What else can be is `rtbench.results.objects.KNOWN`.
    """
    text = str(given)
    found = _URL.fullmatch(text)
    if found is None:
        return Path(text.removeprefix("file:")) if text.startswith("file:") else Path(text)
    protocol, rest = found.groups()
    if protocol == "file":
        return Path(unquote(rest.removeprefix("localhost")))
    _check(text, protocol, rest)
    return Bucket(text.rstrip("/"))


def open_store(state: State, kind: str = "") -> Store:
    """The store of a place. A bucket is asked for nothing yet; RtbenchError if its file system is not installed."""
    if isinstance(state, Path):
        return FolderStore(state, kind)
    from rtbench.results.objects import ObjectStore

    return ObjectStore(state.url)


def shared_store(state: State) -> Store:
    """The store of a place that several processes work in; RtbenchError if they could not trust it.

    A bucket is tried out: whether it can be written, and whether it keeps what is written only once.
    """
    store = open_store(state)
    if isinstance(state, Bucket):
        if state.protocol == "memory":
            raise RtbenchError(
                "memory is one process's own, and every run is a process",
                place=f"--state {state}",
                hint="a folder, or a bucket",
            )
        from rtbench.results.objects import ObjectStore

        assert isinstance(store, ObjectStore)
        store.prove()
    return store


def packages(state: State) -> list[str]:
    """Modules that workers load for it."""
    if isinstance(state, Path):
        return []
    from rtbench.results.objects import KNOWN

    return [KNOWN[state.protocol][0]]


def pace(state: State) -> float:
    """How many times more seldom than a folder it is asked in passing: a bucket bills every request."""
    return 1.0 if isinstance(state, Path) else BUCKET_PACE


def local_folder(state: State) -> Path:
    """The folder for what stays on this machine: logs, copies of policies. Of a folder that is itself."""
    if isinstance(state, Path):
        return state
    base = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "rtbench")
    return base / f"{state.protocol}-{hashlib.sha256(state.url.encode()).hexdigest()[:16]}"


def _check(text: str, protocol: str, rest: str) -> None:
    from rtbench.results.objects import KNOWN, REFUSED

    shown = f"{protocol}://…"
    if protocol not in KNOWN:
        why = REFUSED.get(protocol, "it is not known to write a name only if nothing is there")
        allowed = ["a folder", "file:", *(f"{name}:" for name in KNOWN)]
        raise RtbenchError(f"state cannot lie there: {why}", place=f"--state {shown}", given=protocol, allowed=allowed)
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise RtbenchError(
            "the URL of a state holds no credentials and no options",
            place=f"--state {shown}",
            hint="they come from the environment: AWS_PROFILE, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, …",
        )
    if not rest.strip("/"):
        raise RtbenchError("the URL names no bucket", place=f"--state {shown}", hint=f"{protocol}://bucket/folder")
