"""Errors a user can act on: what is wrong, where, what would be allowed, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RtbenchError(Exception):
    """Something the user can mend; the command line prints it without a traceback.

    `place` says where (file and key, option, part), `given` and `allowed` make the nearest name, `hint` is the next
    step. `exit_code` follows the contract: 2 usage or suite, 3 plugin, 4 leaderboard stale, 5 invalid results.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, place: str = "", given: str = "", allowed: Iterable[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.given = given
        self.allowed = tuple(allowed)
        self.hint = hint

    @property
    def nearest(self) -> str:
        """The allowed name that `given` most likely meant, or an empty string."""
        close = difflib.get_close_matches(self.given, self.allowed, n=1, cutoff=0.5) if self.given else []
        return close[0] if close else ""

    def lines(self) -> list[str]:
        """The message as lines: the thing, the place, the nearest and the allowed names, the next step."""
        out = [self.message]
        if self.place:
            out.append(f"  where: {self.place}")
        if self.nearest:
            out.append(f"  did you mean: {self.nearest}")
        if self.allowed:
            out.append(f"  allowed: {', '.join(self.allowed)}")
        if self.hint:
            out.append(f"  next: {self.hint}")
        return out

    def __str__(self) -> str:
        return "\n".join(self.lines())


class SuiteError(RtbenchError):
    """A suite file, a part's parameters or a command's arguments are wrong."""


class PluginError(RtbenchError):
    """A plugin is broken, missing or registered twice."""

    exit_code = 3


class StaleLeaderboard(RtbenchError):
    """A committed leaderboard is not what its rows give."""

    exit_code = 4


class InvalidResults(RtbenchError):
    """Results that cannot be read or that break the schema."""

    exit_code = 5
