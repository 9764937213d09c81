"""The core's conformance classes for tests, and what makes one of them sound."""

from __future__ import annotations

import functools

from rtbench.testing.base import Conformance
from rtbench.testing.core import conformance
from rtbench.testing.report import run


@functools.cache
def _all() -> tuple[type[Conformance], ...]:
    return tuple(conformance())


def core(*kinds: str) -> list[type[Conformance]]:
    """The classes of some kinds, or of all."""
    return [found for found in _all() if not kinds or found.label().partition("/")[0] in kinds]


def sound(found: type[Conformance]) -> None:
    """No check fails, and enough of them apply to say something."""
    done = run(found)
    assert [f"{check.name}: {check.message}" for check in done.failed] == []
    assert done.counts["passed"] >= 7
