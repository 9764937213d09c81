"""Leases: who works on a run, on nothing but a store's four verbs, between any machines that share it.

A lease is one value, `leases/<run_id>/<fence>.json`. Whoever writes the next fencing number holds the run; the highest
number wins for good. A holder proves that it lives by changing its value; whoever watches measures that by a clock of
its own, so clocks of two machines are never compared. A holder that was paused and overtaken finds the higher number
before it commits anything (`Held.check`) and writes only its own, old key.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rtbench.errors import RtbenchError
from rtbench.parts import canonical_json
from rtbench.results.store import KeyTaken, Store

LEASES = "leases"
LEASE_S = float(os.environ.get("RTBENCH_LEASE_SECONDS", "60"))
"""How long a holder may be silent; the variable is for tests. It is told of life three times as often."""
_KEY = re.compile(rf"{LEASES}/[^/]+/(\d{{6}})\.json")


class Lost(RtbenchError):
    """Another runner has taken the run over; nothing more of it may be written."""


@dataclass(frozen=True)
class Holder:
    """A process that can hold leases: `boot` names the start of its machine, `began` tells it from a later process."""

    name: str
    host: str
    boot: str
    pid: int
    began: str

    @classmethod
    def of_this_process(cls, name: str) -> Holder:
        """This process, as a member of the runner called `name`."""
        return cls(name, socket.gethostname(), _boot(), os.getpid(), _began(os.getpid()) or "")

    @property
    def dead(self) -> bool:
        """True if it ran here and is gone; False where that cannot be known."""
        if (self.host, self.boot) != (socket.gethostname(), _boot()):
            return False
        return _began(self.pid) != self.began


@dataclass(frozen=True)
class Lease:
    """What a lease says: its holder, how often that has told of itself, how long it may be silent."""

    holder: Holder
    beat: int
    lease_s: float
    released: bool = False

    def to_bytes(self) -> bytes:
        """As the store keeps it."""
        return canonical_json(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> Lease | None:
        """None if it cannot be read."""
        try:
            data = json.loads(value)
            lease = cls(Holder(**data.pop("holder")), **data)
            return replace(lease, lease_s=float(lease.lease_s))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


class Leases:
    """Takes leases for one holder; remembers since when those of others have not changed."""

    def __init__(
        self, store: Store, holder: Holder, *, lease_s: float = LEASE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._holder, self._lease_s, self._clock = store, holder, lease_s, clock
        self._seen: dict[str, tuple[str, bytes, float]] = {}

    def acquire(self, run_id: str) -> Held | None:
        """The run's lease, or None while another holder has it."""
        fence = highest(self._store, run_id)
        if not self._may_take(run_id, fence):
            return None
        held = Held(self._store, run_id, fence + 1, Lease(self._holder, 0, self._lease_s), self._clock)
        try:
            self._store.write_new(held.key, held.lease.to_bytes())
        except KeyTaken:
            return None
        self._seen.pop(run_id, None)
        return held

    def acquire_all(self, run_ids: Sequence[str]) -> list[Held] | None:
        """The leases of all runs, in the order given, or of none; None if one is busy."""
        # All are looked at before any is taken: the time of those that are silent runs at once, not one after another.
        may_take = [self._may_take(run_id, highest(self._store, run_id)) for run_id in run_ids]
        if not all(may_take):
            return None
        held: dict[str, Held] = {}
        try:
            for run_id in sorted(run_ids):  # in one order everywhere, so that of two runners one gets all
                found = self.acquire(run_id)
                if found is None:
                    return None
                held[run_id] = found
            return [held[run_id] for run_id in run_ids]
        finally:
            if len(held) < len(run_ids):
                for taken in held.values():
                    taken.release()

    def busy_with(self, run_id: str) -> str:
        """Who has the run, in words."""
        lease = current(self._store, run_id)
        return f"{lease.holder.host}, pid {lease.holder.pid}" if lease else "unreadable lease"

    def _may_take(self, run_id: str, fence: int) -> bool:
        return not fence or self._free(key(run_id, fence))

    def _free(self, name: str) -> bool:
        """Whether the lease under this key is released, its holder dead, or itself unchanged for its whole length."""
        run_id = name.split("/")[1]
        try:
            value = self._store.read(name)
        except KeyError:  # a store that lists before it answers; look again later
            value = b""
        lease = Lease.from_bytes(value)
        if lease is not None and (lease.released or lease.holder.dead):
            return True
        *seen, since = self._seen.get(run_id, ("", b"", 0.0))
        if seen != [name, value]:
            self._seen[run_id] = (name, value, self._clock())
            return False
        return self._clock() - since >= (lease.lease_s if lease else self._lease_s)


class Held:
    """A lease that this process holds, until it finds a higher fencing number."""

    def __init__(
        self, store: Store, run_id: str, fence: int, lease: Lease, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.run_id, self.fence, self.lease = run_id, fence, lease
        self._store, self._clock = store, clock
        self._beaten_at = clock()

    @property
    def key(self) -> str:
        """Its key in the store; no other holder ever writes it."""
        return key(self.run_id, self.fence)

    @property
    def due(self) -> bool:
        """Whether it is time to tell of life again."""
        return self._clock() - self._beaten_at >= self.lease.lease_s / 3

    def check(self) -> None:
        """Lost if another has the run now."""
        if highest(self._store, self.run_id) > self.fence:
            raise Lost("another runner has taken over", place=self.key)

    def beat(self) -> None:
        """Tell of life; Lost if another has the run now."""
        self.check()
        self._tell(replace(self.lease, beat=self.lease.beat + 1))

    def adopt(self, holder: Holder) -> None:
        """Hold it as another process of the same runner; Lost if another runner has the run now."""
        self.check()
        self._tell(replace(self.lease, holder=holder, beat=self.lease.beat + 1))

    def release(self) -> None:
        """Let others have the run at once; nothing if it is lost."""
        with contextlib.suppress(RtbenchError, OSError):  # where it cannot be written it ends by itself
            self.check()
            self._tell(replace(self.lease, released=True))

    def _tell(self, lease: Lease) -> None:
        self._store.replace(self.key, lease.to_bytes())
        self.lease, self._beaten_at = lease, self._clock()


class Heart(threading.Thread):
    """Tells that this process lives, for all its leases, until stopped; `lost` once another has one of them.

    A process whose parent has died is asked to stop by the system. One that sits in a call and does not is ended here
    after a lease's length, or it would sit there for ever.
    """

    def __init__(self, leases: Sequence[Held]) -> None:
        super().__init__(name="leases", daemon=True)
        self._leases = leases
        self._stopped = threading.Event()
        self._parent = os.getppid()
        self._orphaned = 0
        self.lost = False

    def run(self) -> None:
        """Beat three times a lease."""
        while self._leases and not self.lost and not self._stopped.wait(self._leases[0].lease.lease_s / 3):
            self._orphaned += os.getppid() != self._parent
            if self._orphaned > 3:
                os._exit(1)
            for held in self._leases:
                try:
                    held.beat()
                except Lost:
                    self.lost = True
                except (RtbenchError, OSError):  # a full disk, say: tried again; the lease may end meanwhile
                    continue

    def stop(self) -> None:
        """No beat comes after this."""
        self._stopped.set()
        if self.is_alive():
            self.join()


def key(run_id: str, fence: int) -> str:
    """The key of a run's lease under a fencing number."""
    return f"{LEASES}/{run_id}/{fence:06d}.json"


def highest(store: Store, run_id: str) -> int:
    """The highest fencing number of a run; 0 if nobody ever held it."""
    found = [_KEY.fullmatch(name) for name in store.list(f"{LEASES}/{run_id}/")]
    return max((int(match.group(1)) for match in found if match), default=0)


def current(store: Store, run_id: str) -> Lease | None:
    """A run's newest lease; None if there is none or it cannot be read."""
    fence = highest(store, run_id)
    try:
        return Lease.from_bytes(store.read(key(run_id, fence))) if fence else None
    except KeyError:
        return None


def held_from(store: Store, run_ids: Sequence[str], fences: Sequence[int], holder: Holder) -> list[Held]:
    """Leases that the runner took, held by this process from now on; Lost if one is not the runner's any more."""
    held = [
        Held(store, run_id, fence, Lease(holder, 0, LEASE_S)) for run_id, fence in zip(run_ids, fences, strict=True)
    ]
    for lease in held:
        lease.adopt(holder)
    return held


def _boot() -> str:
    """This start of this machine and its space of process ids; two containers are two machines."""
    with contextlib.suppress(OSError):
        started = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{started}:{Path('/proc/self/ns/pid').readlink()}"
    return ""


def _began(pid: int) -> str | None:
    """When a process of this machine began, in the kernel's own count; "" if that is not told; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _signalled(pid) if not Path("/proc/self/stat").exists() else None
    state, began = fields[0], fields[19]
    return None if state in "ZX" else began


def _signalled(pid: int) -> str | None:
    """The same on a system without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""
