"""Durations as people write them, time as integer nanoseconds, δ as an exact fraction."""

from __future__ import annotations

import re
from fractions import Fraction

from rtbench.errors import SuiteError

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:e-?[0-9]+)?|\.[0-9]+)\s*([a-zµ]+)\s*", re.IGNORECASE)


def parse_duration_ns(text: str, *, place: str = "") -> int:
    """'40ms', '1.5 s', '24h' as nanoseconds; positive, exact to the nanosecond."""
    match = _DURATION.fullmatch(text)
    unit = match.group(2).lower() if match else ""
    if match is None or unit not in NANOSECONDS:
        raise SuiteError(
            f"not a duration: {text!r}",
            place=place,
            allowed=sorted(NANOSECONDS),
            hint="write a number and a unit, e.g. 40ms",
        )
    value = Fraction(match.group(1)) * NANOSECONDS[unit]
    if value <= 0:
        raise SuiteError(f"a duration must be positive: {text!r}", place=place)
    return max(1, round(value))


def seconds_to_ns(seconds: float) -> int:
    """Seconds as integer nanoseconds, through the decimal that is printed (0.05 is 50 000 000)."""
    return round(Fraction(repr(float(seconds))) * 10**9)


def exact(value: float | int | Fraction) -> Fraction:
    """A number as the decimal it is written as: 0.4 is 2/5, not the nearest binary fraction."""
    return value if isinstance(value, Fraction) else Fraction(repr(value))
