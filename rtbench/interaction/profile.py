"""The latency profile: measured inference times of one machine, as a Parquet file with an explicit schema."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench import files
from rtbench.errors import InvalidResults, SuiteError
from rtbench.parts import canonical_json
from rtbench.shipped import FOLDERS

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
MACHINE_FIELDS = ("machine_class", "cpu", "gpu", "os", "kernel", "python", "torch")
_DIGEST = "rtbench.digest"
_AGAIN = "write one with: rtbench profile"
SHIPPED = "rtbench:"
"""How the profiles that come with rtbench are named instead of a path; the name follows."""
SUFFIX = ".parquet"
_TEXTS = ("architecture", "backend", "execution")
_COUNTS = ("layers", "width", "batch", "threads")


@dataclass(frozen=True)
class ProfileGroup:
    """The samples of one configuration, in nanoseconds: a whole inference (sequential) or one tick (pipelined).

    What follows the samples is None where it could not be read, and in files that are older. `weights_bytes` are read
    and `flops` done by one inference of the whole batch; `bandwidth_bytes_per_s` (for a working set of that size) and
    `peak_flop_per_s` are what as many threads reached in the same run at best. `memory_bytes` is what making and
    warming it up took beyond the parameters. Samples come in `rounds` of equal size, between which other
    configurations had their turn. `cores` are those the threads were kept to; clock, temperature and load are of
    before and after.
    """

    architecture: str
    backend: str
    execution: str
    layers: int
    width: int
    batch: int
    threads: int
    samples_ns: tuple[int, ...]
    weights_bytes: int | None = None
    flops: int | None = None
    memory_bytes: int | None = None
    bandwidth_bytes_per_s: float | None = None
    peak_flop_per_s: float | None = None
    rounds: int | None = None
    cores: str | None = None
    governor: str | None = None
    clock_before_mhz: float | None = None
    clock_after_mhz: float | None = None
    temperature_before_c: float | None = None
    temperature_after_c: float | None = None
    load_before: float | None = None
    load_after: float | None = None

    @property
    def bounds_ns(self) -> dict[str, float]:
        """What an inference takes at least, by what bounds it: bytes ÷ bandwidth, operations ÷ peak; empty if unknown.

        `memory` stands for whichever cache or memory holds the weights.
        """
        bounds = {
            "memory": (self.weights_bytes, self.bandwidth_bytes_per_s),
            "arithmetic": (self.flops, self.peak_flop_per_s),
        }
        return {name: 1e9 * work / rate for name, (work, rate) in bounds.items() if work is not None and rate}

    @property
    def limit_ns(self) -> float | None:
        """The greater of the two bounds, which no execution of this network with these threads is below."""
        return max(self.bounds_ns.values(), default=None)

    @property
    def limited_by(self) -> str | None:
        """Which bound is the greater one: memory or arithmetic."""
        bounds = self.bounds_ns
        return max(bounds, key=lambda name: bounds[name]) if bounds else None

    @property
    def title(self) -> str:
        """The configuration in a few words."""
        return (
            f"{self.architecture} on {self.backend}, {self.execution}, {self.layers}×{self.width}, "
            f"batch {self.batch}, {self.threads} threads"
        )


_ADDED = {
    added.name: {"int": int, "float": float, "str": str}[str(added.type).partition(" ")[0]]
    for added in fields(ProfileGroup)
    if added.default is None
}
"""Columns that came later: they may be missing in a file, and stay out of the digest where they are None."""


@dataclass(frozen=True)
class LatencyProfile:
    """All groups measured on one machine, and that machine's fingerprint (keys: `MACHINE_FIELDS`)."""

    groups: tuple[ProfileGroup, ...]
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LatencySummary:
    """Nearest-rank percentiles of samples, nanoseconds."""

    count: int
    p50_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int


def schema() -> pa.Schema:
    """The Arrow schema: one row per group, the machine's fingerprint repeated in each."""
    import pyarrow as pa

    return pa.schema(
        [pa.field("schema_version", pa.int32(), nullable=False)]
        + [pa.field(name, pa.string(), nullable=False) for name in _TEXTS]
        + [pa.field(name, pa.int32(), nullable=False) for name in _COUNTS]
        + [pa.field("samples_ns", pa.list_(pa.int64()), nullable=False)]
        + [pa.field(name, pa.string(), nullable=False) for name in MACHINE_FIELDS]
        + [pa.field(name, {int: pa.int64(), float: pa.float64(), str: pa.string()}[of]) for name, of in _ADDED.items()]
    )


def locate(named: str) -> str:
    """The path of a profile: as given, or of a shipped one (`rtbench:NAME`); SuiteError naming those that are there."""
    if not named.startswith(SHIPPED):
        return named
    name = named.removeprefix(SHIPPED)
    folders = [folder / "profiles" for folder in FOLDERS]
    for folder in folders:
        if (folder / f"{name}{SUFFIX}").is_file():
            return str(folder / f"{name}{SUFFIX}")
    there = sorted({SHIPPED + path.stem for folder in folders for path in folder.glob(f"*{SUFFIX}")})
    raise SuiteError(
        f"no latency profile {named!r} comes with rtbench",
        place="latency.profile",
        given=named,
        allowed=there,
        hint="measure one with: rtbench profile, and name its file",
    )


def digest(profile: LatencyProfile) -> str:
    """SHA-256 of the canonical content: equal profiles give equal digests whatever file they lie in."""
    groups = sorted(canonical_json(_content(group)) for group in profile.groups)
    content = {"schema_version": SCHEMA_VERSION, "machine": _machine(profile), "groups": groups}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def _content(group: ProfileGroup) -> dict[str, Any]:
    return {name: value for name, value in asdict(group).items() if name not in _ADDED or value is not None}


def write_profile(profile: LatencyProfile, path: Path | str) -> str:
    """Write the file aside, rename it into place, return the digest; SuiteError for empty or non-positive samples."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check(profile, str(path))
    machine = _machine(profile)
    rows = [{"schema_version": SCHEMA_VERSION, **asdict(group), **machine} for group in profile.groups]
    told = digest(profile)
    table = pa.Table.from_pylist(rows, schema=schema()).replace_schema_metadata({_DIGEST: told})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    files.write(Path(path), buffer.getbuffer(), kind="profiles")
    return told


def read_profile(path: Path | str) -> LatencyProfile:
    """The profile of a file; InvalidResults if it is missing, damaged, no Parquet file or breaks the schema."""
    place = str(path)
    rows, told = _read(place)
    missing = [name for name in schema().names if rows and name not in rows[0] and name not in _ADDED]
    if missing or not rows:
        what = f"lacks the columns {', '.join(missing)}" if missing else "holds no group"
        raise InvalidResults(f"the latency profile {what}", place=place, hint=_AGAIN)
    if any(row["schema_version"] != SCHEMA_VERSION for row in rows):
        raise InvalidResults(
            f"the latency profile has schema_version {rows[0]['schema_version']}, this rtbench reads {SCHEMA_VERSION}",
            place=place,
        )
    machine = {name: str(rows[0][name]) for name in MACHINE_FIELDS}
    if any({name: row[name] for name in MACHINE_FIELDS} != machine for row in rows):
        raise InvalidResults("the latency profile mixes several machines; one file describes one", place=place)
    profile = LatencyProfile(tuple(_group(row, place) for row in rows), machine)
    if told is not None and told != digest(profile).encode():
        raise InvalidResults(
            "the latency profile is damaged: its content is not what was written", place=place, hint=_AGAIN
        )
    _check(profile, place)
    return profile


def _read(path: str) -> tuple[list[dict[str, Any]], bytes | None]:
    """Rows, and the digest that the writer has left, if it did."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            # threaded reading gains nothing here; columns beyond the schema are later additions
            table = file.read(use_threads=False)
        table.validate(full=True)  # text that is no UTF-8, lists that reach beyond their values
        return table.to_pylist(), (table.schema.metadata or {}).get(_DIGEST.encode())
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InvalidResults(f"cannot read the latency profile: {reason}", place=path, hint=_AGAIN) from None


def select(profile: LatencyProfile, execution: str, *, place: str = "") -> ProfileGroup:
    """The one group measured under `execution`; SuiteError if there is none or more than one."""
    found = [group for group in profile.groups if group.execution == execution]
    if len(found) == 1:
        return found[0]
    if not found:
        have = sorted({group.execution for group in profile.groups})
        raise SuiteError(
            f"the latency profile holds no {execution} samples", place=place, given=execution, allowed=have
        )
    raise SuiteError(
        f"the latency profile holds {len(found)} groups of {execution} samples, and nothing says which is meant: "
        + "; ".join(group.title for group in found),
        place=place,
        hint="keep one group per execution in the file that a cell names",
    )


def summary(group: ProfileGroup) -> LatencySummary:
    """Median, 95th and 99th percentile and maximum of a group's samples."""
    ordered = sorted(group.samples_ns)

    def rank(percent: int) -> int:
        return ordered[math.ceil(percent * len(ordered) / 100) - 1]

    return LatencySummary(len(ordered), rank(50), rank(95), rank(99), ordered[-1])


def _machine(profile: LatencyProfile) -> dict[str, str]:
    for name in profile.machine:
        if name not in MACHINE_FIELDS:
            raise SuiteError(f"unknown machine field {name!r}", place="profile", given=name, allowed=MACHINE_FIELDS)
    return {name: str(profile.machine.get(name, "")) for name in MACHINE_FIELDS}


def _group(row: Mapping[str, Any], place: str) -> ProfileGroup:
    texts = {name: row[name] for name in _TEXTS}
    counts = {name: row[name] for name in _COUNTS}
    samples = row["samples_ns"]
    added: dict[str, Any] = {name: row.get(name) for name in _ADDED}
    valid = (
        all(isinstance(value, str) for value in texts.values())
        and all(isinstance(value, int) for value in counts.values())
        and isinstance(samples, list)
        and all(isinstance(sample, int) for sample in samples)
        and all(value is None or isinstance(value, _ADDED[name]) for name, value in added.items())
    )
    if not valid:
        raise InvalidResults("the latency profile's columns have the wrong types", place=place)
    return ProfileGroup(**texts, **counts, samples_ns=tuple(samples), **added)


def _check(profile: LatencyProfile, place: str) -> None:
    if not profile.groups:
        raise SuiteError("a latency profile needs at least one group", place=place)
    for group in profile.groups:
        if not group.samples_ns or min(group.samples_ns) < 1:
            raise SuiteError(f"samples must be at least 1 ns and not empty: {group.title}", place=place)
