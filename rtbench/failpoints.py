"""Named places where a test lets a process die, fail or wait, to see what is left behind.

`RTBENCH_FAILPOINTS="segment.before-flush=kill@2, rows.after-rename=ENOSPC"` arms some: at the second time the first is
reached the process is killed (SIGKILL: nothing is tidied up), at every time the second is reached an OSError is raised.
`pause:SECONDS` sleeps. With `RTBENCH_FAILPOINTS_FIRED` naming a folder each armed point fires once among all processes
that share the folder, and leaves a file of its name there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rtbench.errors import RtbenchError

KINDS = (
    "checkpoint",
    "segment",
    "rows",
    "leaderboard",
    "submission",
    "leases",
    "progress",
    "profiles",
    "policies",
    "timelines",
    "films",
    "drawing",
    "figure",
    "regret",
    "recording",
    "parity",
    "schema",
    "report",
)
STAGES = ("before-write", "after-write", "before-flush", "after-flush", "before-rename", "after-rename")
POINTS = tuple(f"{kind}.{stage}" for kind, stage in product(KINDS, STAGES))
_ACTION = re.compile(r"kill|pause:\d+(\.\d+)?")
VARIABLE, FIRED = "RTBENCH_FAILPOINTS", "RTBENCH_FAILPOINTS_FIRED"


@dataclass(frozen=True)
class Failpoint:
    """What happens at a point: `kill`, an errno's name, or `pause:SECONDS`; at the `time`-th reach, 0 = at each."""

    action: str
    time: int = 0


def parse(text: str) -> dict[str, Failpoint]:
    """The points of a setting; RtbenchError for an unknown point or action."""
    found: dict[str, Failpoint] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        point, _, rest = part.partition("=")
        action, _, time_text = rest.partition("@")
        if point not in POINTS:
            raise RtbenchError("no such failpoint", place=VARIABLE, given=point, allowed=POINTS)
        known = _ACTION.fullmatch(action) or action in errno.errorcode.values()
        if not known or not (time_text or "0").isdigit():
            raise RtbenchError(f"no such failure: {rest!r}", place=VARIABLE, hint="kill, pause:SECONDS or ENOSPC, @n")
        found[point] = Failpoint(action, int(time_text or 0))
    return found


class Failpoints:
    """The armed points of a process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._armed = parse(environment.get(VARIABLE, ""))
        self._fired = environment.get(FIRED)
        self._reached: Counter[str] = Counter()

    def reach(self, point: str) -> None:
        """Do what is armed for this point; nothing for all others."""
        armed = self._armed.get(point)
        if armed is None:
            return
        self._reached[point] += 1
        if armed.time and self._reached[point] != armed.time:
            return
        if self._fired and not _first(Path(self._fired) / point):
            return
        if armed.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif armed.action.startswith("pause:"):
            time.sleep(float(armed.action.removeprefix("pause:")))
        else:
            number = getattr(errno, armed.action)
            raise OSError(number, os.strerror(number))


def _first(mark: Path) -> bool:
    with contextlib.suppress(FileExistsError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    return False


reach = Failpoints(os.environ).reach
