"""Inference times: what a file or a command line may say, and the random streams drawn from it."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtbench.cell import Latency
from rtbench.errors import SuiteError
from rtbench.seeds import generator
from rtbench.units import parse_duration_ns, seconds_to_ns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMS = (
    '"40ms"',
    "0.04",
    '{ constant = "40ms" }',
    '{ uniform = ["30ms", "50ms"] }',
    '{ lognormal = "40ms", cv = 0.1 }',
    '{ profile = "file.parquet" }',
    '{ profile = "rtbench:name" }',
    '{ mixture = [[0.9, "40ms"], [0.1, { uniform = ["1ms", "2ms"] }]] }',
)
TEXT_FORMS = (
    "40ms",
    "uniform:30ms:50ms",
    "lognormal:40ms:0.1",
    "profile:FILE",
    "profile:rtbench:NAME",
    "mixture:0.9:40ms:0.1:1ms",
)

_ONE_IN_10_000 = 3.719
"""Standard deviations above the mean that a normal variable exceeds once in ten thousand draws."""


class LatencyModel:
    """Inference times in nanoseconds, at least 1, with one random stream per process.

    `source` is a cell's `Latency` or a constant in nanoseconds; `path` names the streams (an episode, a phase), so that
    draws depend neither on the order of events nor on other processes. `execution` chooses the group of a profile,
    `at_least_ns` is the floor of a draw, `split` > 1 gives the time of one of so many equal shares (rounded up),
    and a draw is rounded to multiples of `grain_ns`.
    """

    def __init__(
        self,
        source: Latency | int,
        seed: int = 0,
        *path: str | int,
        execution: str = "sequential",
        at_least_ns: int = 1,
        split: int = 1,
        grain_ns: int = 1,
    ) -> None:
        if isinstance(source, int):
            if source < 1:
                raise SuiteError(f"an inference takes at least 1 ns, not {source}", place="latency")
            self.latency: Latency | None = None
            self._constant_ns = source
        else:
            self.latency = source
            self._constant_ns = seconds_to_ns(source.mean_s)
        self._seed, self._path = seed, path
        self._at_least_ns, self._split, self._grain_ns = max(1, at_least_ns), split, grain_ns
        self._streams: dict[int, np.random.Generator] = {}
        self._samples = _samples(self.latency, execution)
        parts = self.latency.parts if self.latency else ()
        self._parts = [
            (share, LatencyModel(part, seed, *path, "part", number, execution=execution))
            for number, (share, part) in enumerate(parts)
        ]

    def draw_block(self, process: int, count: int) -> NDArray[np.int64]:
        """The next `count` inference times of a process, nanoseconds; blocks of any size give the same sequence."""
        import numpy as np

        raw = self._raw(process, count)
        if self._split > 1:
            raw = -(-raw // self._split)
        if self._grain_ns > 1:
            raw = (raw + self._grain_ns // 2) // self._grain_ns * self._grain_ns
        floored: NDArray[np.int64] = np.maximum(raw, self._at_least_ns)
        return floored

    def mean_ns(self) -> float:
        """The expected inference time before the floor, nanoseconds."""
        latency = self.latency
        if latency is not None and latency.distribution == "uniform":
            mean = 1e9 * (latency.low_s + latency.high_s) / 2
        elif self._parts:
            mean = sum(share * part.mean_ns() for share, part in self._parts)
        elif self._samples is not None:
            mean = float(self._samples.mean())
        else:
            mean = float(self._constant_ns)
        return mean / self._split

    def longest_ns(self) -> int:
        """The longest inference time before the floor; of a lognormal, what one draw in ten thousand exceeds."""
        latency = self.latency
        longest = float(self._constant_ns)
        if latency is not None and latency.distribution == "uniform":
            longest = seconds_to_ns(latency.high_s)
        elif self._parts:
            longest = max(part.longest_ns() for _, part in self._parts)
        elif latency is not None and latency.distribution == "lognormal":
            variance = math.log1p(latency.cv**2)
            longest *= math.exp(_ONE_IN_10_000 * math.sqrt(variance) - variance / 2)
        elif self._samples is not None:
            longest = int(self._samples.max())
        return math.ceil(longest / self._split)

    def _raw(self, process: int, count: int) -> NDArray[np.int64]:
        import numpy as np

        latency = self.latency
        if latency is None or latency.distribution == "constant":
            return np.full(count, self._constant_ns, dtype=np.int64)
        if process not in self._streams:
            self._streams[process] = generator(self._seed, *self._path, "latency", process)
        stream = self._streams[process]
        if latency.distribution == "lognormal":
            variance = math.log1p(latency.cv**2)
            normal = stream.standard_normal(count)
            factor = np.exp(math.sqrt(variance) * normal - variance / 2)
            noisy: NDArray[np.int64] = np.rint(self._constant_ns * factor).astype(np.int64)
            return noisy
        # a uniform number per draw keeps the stream independent of block sizes, which bounded integers need not be
        uniform = stream.random(count)
        if latency.distribution == "uniform":
            low = seconds_to_ns(latency.low_s)
            return low + (uniform * (seconds_to_ns(latency.high_s) - low + 1)).astype(np.int64)
        if self._parts:
            return self._mixed(process, uniform)
        assert self._samples is not None
        resampled: NDArray[np.int64] = self._samples[(uniform * len(self._samples)).astype(np.int64)]
        return resampled

    def _mixed(self, process: int, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
        """Each draw from the part its uniform number falls on; every part has streams of its own."""
        import numpy as np

        bounds = np.cumsum([share for share, _ in self._parts])[:-1]
        chosen = np.searchsorted(bounds, uniform, side="right")
        drawn = np.empty(len(uniform), dtype=np.int64)
        for number, (_, part) in enumerate(self._parts):
            places = np.flatnonzero(chosen == number)
            drawn[places] = part.draw_block(process, len(places))
        return drawn


def _samples(latency: Latency | None, execution: str) -> NDArray[np.int64] | None:
    """The samples a profile latency resamples."""
    if latency is None or latency.distribution != "profile":
        return None
    return _profile_samples(latency.profile_path, latency.profile_digest, execution)


@functools.lru_cache(maxsize=16)
def _profile_samples(path: str, named: str, execution: str) -> NDArray[np.int64]:
    """Samples of the file at `path`, after checking that its content still is what the cell named.

    Kept, as every episode may have a model of its own; the digest makes a kept answer as good as a fresh one.
    """
    import numpy as np

    from rtbench.interaction.profile import digest, read_profile, select

    profile = read_profile(path)
    found = digest(profile)
    if found != named:
        raise SuiteError(
            f"the latency profile has changed: it is {found[:12]}, the cell names {named[:12]}",
            place=path,
            hint="expand the suite again, or restore the file",
        )
    samples = np.asarray(select(profile, execution, place=path).samples_ns, dtype=np.int64)
    samples.flags.writeable = False
    return samples


def parse_latency(value: Any, place: str = "latency") -> Latency:
    """A `Latency` from a TOML value or a command line's text; SuiteError naming the forms that exist.

    A number means seconds. A profile is read here, so that its content's digest becomes part of the cell.
    """
    if isinstance(value, Latency):
        return value
    if isinstance(value, Mapping):
        return _from_table(value, place)
    if isinstance(value, str):
        return _from_text(value, place)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Latency("constant", mean_s=_seconds(value, place))
    raise _not_a_latency(value, place, FORMS)


def _not_a_latency(value: Any, place: str, forms: tuple[str, ...]) -> SuiteError:
    return SuiteError(f"not a latency: {value!r}", place=place, allowed=forms)


def _seconds(value: Any, place: str) -> float:
    """A duration in seconds, positive and exact to the nanosecond."""
    if isinstance(value, str):
        return parse_duration_ns(value, place=place) / 1e9
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SuiteError(f"not a duration: {value!r}", place=place, hint="write 40ms, or a number of seconds")
    if not (math.isfinite(value) and value >= 1e-9):
        raise SuiteError(f"a latency must be positive (at least 1 ns), not {value!r} seconds", place=place)
    return seconds_to_ns(value) / 1e9


def _from_text(text: str, place: str) -> Latency:
    name, separator, rest = text.partition(":")
    if not separator:
        return Latency("constant", mean_s=_seconds(text, place))
    arguments = rest.split(":")
    if name == "profile" and rest:
        return _from_table({"profile": rest}, place)
    if name == "uniform" and len(arguments) == 2:
        return _from_table({"uniform": arguments}, place)
    if name == "constant" and len(arguments) == 1:
        return _from_table({"constant": rest}, place)
    if name == "lognormal" and len(arguments) == 2:
        cv = _number(arguments[1], "coefficient of variation", place)
        return _from_table({"lognormal": arguments[0], "cv": cv}, place)
    if name == "mixture" and len(arguments) % 2 == 0:
        shares = [_number(text, "share", place) for text in arguments[::2]]
        return _from_table({"mixture": list(zip(shares, arguments[1::2], strict=True))}, place)
    raise _not_a_latency(text, place, TEXT_FORMS)


def _number(text: str, what: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SuiteError(f"not a {what}: {text!r}", place=place, hint="write 0.1") from None


def _from_table(table: Mapping[str, Any], place: str) -> Latency:
    keys = set(table)
    if keys == {"constant"}:
        return Latency("constant", mean_s=_seconds(table["constant"], f"{place}.constant"))
    if keys == {"uniform"}:
        return _uniform(table["uniform"], f"{place}.uniform")
    if keys == {"lognormal", "cv"}:
        cv = table["cv"]
        if isinstance(cv, bool) or not isinstance(cv, (int, float)) or not (math.isfinite(cv) and cv > 0):
            raise SuiteError(f"cv is standard deviation over mean, a positive number, not {cv!r}", place=f"{place}.cv")
        return Latency("lognormal", mean_s=_seconds(table["lognormal"], f"{place}.lognormal"), cv=float(cv))
    if keys == {"profile"} and isinstance(table["profile"], str):
        from rtbench.interaction.profile import digest, locate, read_profile

        path = locate(table["profile"])
        return Latency("profile", profile_digest=digest(read_profile(path)), profile_path=path)
    if keys == {"mixture"}:
        return _mixture(table["mixture"], f"{place}.mixture")
    raise _not_a_latency(dict(table), place, FORMS)


def _uniform(bounds: Any, place: str) -> Latency:
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        raise SuiteError(f"uniform takes two durations, not {bounds!r}", place=place, allowed=['["30ms", "50ms"]'])
    low, high = (_seconds(bound, place) for bound in bounds)
    if low > high:
        raise SuiteError(f"the lower bound {bounds[0]} is above the upper bound {bounds[1]}", place=place)
    return Latency("uniform", low_s=low, high_s=high)


def _mixture(parts: Any, place: str) -> Latency:
    form = ['[[0.9, "40ms"], [0.1, "1ms"]]']
    if not isinstance(parts, (list, tuple)) or len(parts) < 2:
        raise SuiteError(
            f"a mixture takes two or more pairs of share and latency, not {parts!r}", place=place, allowed=form
        )
    mixed = []
    for part in parts:
        if not isinstance(part, (list, tuple)) or len(part) != 2:
            raise SuiteError(f"not a share and a latency: {part!r}", place=place, allowed=form)
        share, latency = part
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
            raise SuiteError(f"a share is a number between 0 and 1, not {share!r}", place=place, allowed=form)
        mixed.append((float(share), parse_latency(latency, place)))
    total = math.fsum(share for share, _ in mixed)
    if abs(total - 1) > 1e-9:
        raise SuiteError(f"the shares of a mixture add up to 1, not {total:g}", place=place, allowed=form)
    return Latency("mixture", parts=tuple(mixed))
