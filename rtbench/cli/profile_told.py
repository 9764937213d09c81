"""What `rtbench profile` has measured, as JSON data and as a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.backends.measure import Contender, Measurement, doubts, figures
from rtbench.cli.output import line, table
from rtbench.parts import PartUse

if TYPE_CHECKING:
    from rtbench.interaction.profile import ProfileGroup


@dataclass(frozen=True)
class Saved:
    """A written profile: one architecture on one backend with so many threads, a group per execution."""

    path: Path
    digest: str
    groups: tuple[ProfileGroup, ...]


@dataclass(frozen=True)
class Refused:
    """What was asked for and cannot be, with the reason."""

    architecture: PartUse
    contender: Contender
    batch: int
    reason: str

    @property
    def title(self) -> str:
        """In a few words."""
        return f"{self.architecture.title} on {self.contender.title}, batch {self.batch}"


def _uses(path: Path) -> dict[str, str]:
    """How a profile is used, in a suite and on the command line."""
    return {
        "suite": f'latency = {{ profile = "{path.as_posix()}" }}',
        "simulate": f"--latency profile:{path.as_posix()}",
    }


def told(saved: Sequence[Saved], refused: Iterable[Refused], machine: dict[str, str]) -> dict[str, Any]:
    """Everything but the samples, which are in the files."""
    return {
        "schema_version": 1,
        "machine": machine,
        "profiles": [
            {
                "file": one.path.as_posix(),
                "digest": one.digest,
                "use": _uses(one.path),
                "groups": [{**_columns(group), **figures(group), "doubts": _doubts(group)} for group in one.groups],
            }
            for one in saved
        ],
        "unsupported": [
            {
                "architecture": one.architecture.title,
                "backend": one.contender.backend.title,
                **{name: getattr(one.contender, name) for name in ("execution", "threads")},
                **{"batch": one.batch, "reason": one.reason},
            }
            for one in refused
        ],
    }


def _doubts(group: ProfileGroup) -> list[str]:
    return doubts(group, os.cpu_count() or 1)


def _columns(group: ProfileGroup) -> dict[str, Any]:
    return {name: value for name, value in vars(group).items() if name != "samples_ns"}


def show(saved: Sequence[Saved], refused: Iterable[Refused], machine: dict[str, str], how: Measurement) -> None:
    """The table, the conditions, what could not be measured, where the files are and how they are used."""
    table(
        (
            *("architecture", "layers × width", "backend", "execution", "batch", "threads"),
            *("p50", "p95", "p99", "max", "jitter", "per second", "memory", "limit", "reached"),
        ),
        [_cells(group) for one in saved for group in one.groups],
        title=(
            f"{machine['cpu']}: {how.samples} samples after {how.warmup} in {how.rounds} rounds; "
            "sequential: a whole pass, pipelined: one tick of all layers; jitter: p95 − p50; "
            "limit: bytes of weights ÷ bandwidth or operations ÷ peak, as measured meanwhile; reached: limit ÷ p50"
        ),
    )
    line()
    line(_conditions([group for one in saved for group in one.groups]))
    for one in refused:
        line(f"not measured: {one.title}: {one.reason}")
    for group in (group for one in saved for group in one.groups):
        if reasons := _doubts(group):
            line(f"doubtful: {group.title}: {'; '.join(reasons)}; measure again when nothing else runs")
    for written in saved:
        line(f"saved: {written.path.as_posix()}")
    uses = _uses(saved[0].path)
    line(f"use it in a suite: {uses['suite']}")
    line(f"or in rtbench simulate: {uses['simulate']}")


def _cells(group: ProfileGroup) -> tuple[str, ...]:
    from rtbench.interaction.forecast import duration

    found = figures(group)
    times = (duration(found[f"{name}_ns"]) for name in ("p50", "p95", "p99", "max", "jitter"))
    size = f"{group.layers} × {group.width}"
    memory = "" if group.memory_bytes is None else f"{group.memory_bytes / 1e6:.3g} MB"
    limit, share = found["limit_ns"], found["limit_share"]
    return (
        *(group.architecture, size, group.backend, group.execution, str(group.batch), str(group.threads)),
        *(*times, f"{found['per_s']:.4g}", memory),
        "" if limit is None else f"{duration(limit)} ({group.limited_by})",
        "" if share is None else f"{share:.0%}",
    )


def _conditions(groups: Sequence[ProfileGroup]) -> str:
    """What the machine did meanwhile, from before the first to after the last; what cannot be read is said to be."""
    first, last = groups[0], groups[-1]
    cores = dict.fromkeys(group.cores for group in groups if group.cores)
    parts = [f"cores {' and '.join(cores) or 'not pinned'}"]
    for name, ending, unit in (("clock", "_mhz", " MHz"), ("temperature", "_c", " °C"), ("load", "", "")):
        values = (getattr(first, f"{name}_before{ending}"), getattr(last, f"{name}_after{ending}"))
        shown = " → ".join(f"{value:.4g}" for value in values if value is not None)
        parts.append(f"{name} {shown}{unit}" if shown else f"{name} unreadable")
    return "; ".join([*parts, f"governor {first.governor or 'unreadable'}"])
