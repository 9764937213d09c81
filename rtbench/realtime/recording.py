"""What a run on the wall clock leaves: the timeline of what really happened, rewards, lateness; and its file."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtbench import files
from rtbench.errors import InvalidResults, RtbenchError
from rtbench.interaction.timeline import NEVER, Timeline, nearest_rank
from rtbench.realtime.parameters import Updates
from rtbench.realtime.samples import samples_of

FORMAT = 1
FOLDER, SUFFIX = "timelines", ".parquet"
"""Where the local state keeps recordings of runs, by run_id."""
Ints = NDArray[np.int64]
_ABOUT = ("processes", "holds", "tolerance_ns", "most_missed", "learns_first")
_TIMELINE = ("process", "started_ns", "read_step", "finished_ns", "registered_ns", "random")
_STEPS = ("rewards", "lateness_ns")
INFERENCE_COLUMNS = ("version", "learning_ns", "late_start_ns", "late_end_ns")


def recording_key(run_id: str) -> str:
    """Where the recording of a run lies in the local state."""
    return f"{FOLDER}/{run_id}{SUFFIX}"


@dataclass(frozen=True, eq=False)
class Stretch:
    """An uninterrupted piece of a run: one episode, or all of them where the clock runs on through resets.

    Per environment step: `rewards`, `lateness_ns` (how late the step began). Per inference, in the timeline's order:
    `version` of the parameters it used, `learning_ns` its process spent learning before or after it, and how late the
    process woke to start it and to hand its action over (−1: it did not sleep). `lengths` are the steps of finished
    episodes; the last `steps − sum(lengths)` steps belong to one that was cut off. `skipped` are the steps of hardware
    whose time was over before they could begin: nothing was observed or applied in them, their reward is 0 and their
    lateness what had passed of (and beyond) their time. The timeline has no new action there, and what had come
    meanwhile counts at the next step that was taken; only of a chunk, whose actions belong to steps, it names the one
    that would have been used.
    """

    timeline: Timeline
    rewards: NDArray[np.float64]
    lateness_ns: Ints
    lengths: tuple[int, ...]
    version: Ints
    learning_ns: Ints
    late_start_ns: Ints
    late_end_ns: Ints
    skipped: tuple[int, ...] = ()

    @property
    def returns(self) -> tuple[float, ...]:
        """The summed rewards of every finished episode."""
        ends = np.cumsum((0, *self.lengths))
        return tuple(float(self.rewards[a:b].sum()) for a, b in itertools.pairwise(ends))

    @property
    def episodes(self) -> list[tuple[int, int]]:
        """First step and end (exclusive) of every episode, one that was cut off included."""
        ends = [int(end) for end in np.cumsum((0, *self.lengths))]
        if ends[-1] < self.timeline.steps:
            ends.append(self.timeline.steps)
        return list(itertools.pairwise(ends))


@dataclass(frozen=True)
class Lateness:
    """How late environment steps began, nearest-rank percentiles.

    `missed_share` of them were later than `tolerance_ns`, or skipped.
    """

    p50_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int
    missed_share: float
    tolerance_ns: int


@dataclass(frozen=True)
class Summary:
    """A recording in numbers, over all its stretches; what there was nothing to measure of is None.

    `startup_share`: of the steps, those before their episode's first action; `inaction_share`: of the others, those
    without a new action (skipped ones among them); `overwritten_share`: of the actions that arrived, those that gave
    way at once.
    """

    steps: int
    skipped_steps: int
    episodes: int
    return_mean: float | None
    startup_share: float
    inaction_share: float | None
    overwritten_share: float | None
    action_interval_steps: float | None
    age_p50_steps: int | None
    age_p95_steps: int | None
    age_max_steps: int | None
    inference_p50_ns: int | None
    inference_max_ns: int | None
    lateness: Lateness
    spoiled: str | None
    interrupted: bool


@dataclass(frozen=True, eq=False)
class Recording:
    """A run on the wall clock: its stretches in order, and the updates its learners made.

    `spoiled` says why it must not be used, if lateness spoilt it: more than `most_missed` of the environment steps
    began later than `tolerance_ns`, or were skipped. `holds`: the default policy repeats the last action, which then
    keeps ageing. `learns_first`: processes learnt between reading and inferring. `interrupted`: a SIGINT ended it.
    """

    stretches: tuple[Stretch, ...]
    processes: int
    holds: bool
    tolerance_ns: int
    most_missed: float
    learns_first: bool = False
    updates: Updates = field(
        default_factory=lambda: Updates(*(np.zeros(0, np.int64) for _ in dataclasses.fields(Updates)))
    )
    interrupted: bool = False

    @property
    def timeline(self) -> Timeline:
        """The timeline, where the run is one stretch; RtbenchError where it is several."""
        if len(self.stretches) != 1:
            raise RtbenchError(
                f"this recording has {len(self.stretches)} timelines, one per episode",
                place="Recording.timeline",
                hint="look at Recording.stretches",
            )
        return self.stretches[0].timeline

    def stretch_of(self, step: int) -> tuple[Stretch, int] | None:
        """The stretch that an environment step is in, counted through all of them, and the stretch's first step."""
        begin = 0
        for stretch in self.stretches:
            if step < begin + stretch.timeline.steps:
                return stretch, begin
            begin += stretch.timeline.steps
        return None

    @functools.cached_property
    def rewards(self) -> NDArray[np.float64]:
        """The reward of every environment step."""
        return np.concatenate([stretch.rewards for stretch in self.stretches])

    @functools.cached_property
    def returns(self) -> tuple[float, ...]:
        """The return of every finished episode."""
        return tuple(total for stretch in self.stretches for total in stretch.returns)

    @functools.cached_property
    def lengths(self) -> tuple[int, ...]:
        """Its length, environment steps."""
        return tuple(length for stretch in self.stretches for length in stretch.lengths)

    @functools.cached_property
    def inference_ns(self) -> Ints:
        """How long every finished inference took, without learning and without those whose action is random."""
        found = []
        for one in self.stretches:
            done = (one.timeline.finished_ns < NEVER) & ~one.timeline.random
            took = one.timeline.finished_ns - one.timeline.started_ns
            found.append((took - one.learning_ns * self.learns_first)[done])
        return np.concatenate(found)

    @functools.cached_property
    def learning_ns(self) -> Ints:
        """How long inference processes learnt, each time."""
        found = np.concatenate([stretch.learning_ns for stretch in self.stretches])
        return found[found > 0]

    @functools.cached_property
    def wake_lateness_ns(self) -> Ints:
        """How late inference processes woke from the sleeps their scheduler asked for."""
        found = [late for one in self.stretches for late in (one.late_start_ns, one.late_end_ns)]
        late = np.concatenate(found)
        return late[late >= 0]

    @functools.cached_property
    def lateness(self) -> Lateness:
        """How late environment steps began."""
        late = np.concatenate([stretch.lateness_ns for stretch in self.stretches])
        missed = float(((late > self.tolerance_ns) | self._skipped).mean())
        p50, p95, p99, greatest = (nearest_rank(np.sort(late), percent) for percent in (50, 95, 99, 100))
        return Lateness(p50, p95, p99, greatest, missed, self.tolerance_ns)

    @property
    def _skipped(self) -> NDArray[np.bool_]:
        masks = [np.isin(np.arange(len(one.rewards)), one.skipped) for one in self.stretches]
        return np.concatenate(masks)

    @property
    def spoiled(self) -> str | None:
        """Why this recording must not be used, or None."""
        missed = self.lateness.missed_share
        if missed <= self.most_missed:
            return None
        return (
            f"{missed:.1%} of the environment steps began more than {self.tolerance_ns / 1e6:.3g} ms late "
            f"(at most {self.most_missed:.1%} may): the machine was too busy, or the environment too slow for its step"
        )

    def summary(self) -> Summary:
        """The recording in numbers."""
        lines = [stretch.timeline for stretch in self.stretches]
        startup, inaction = (
            np.concatenate([getattr(line, name) for line in lines]) for name in ("startup", "inaction")
        )
        overwritten = np.concatenate(
            [line.overwritten[(line.apply_step < line.steps) & ~line.dropped] for line in lines]
        )
        samples, took = samples_of(lines, self.holds), np.sort(self.inference_ns)
        ages = np.sort(samples["age"])
        age_p50, age_p95, age_max = (nearest_rank(ages, rank) if len(ages) else None for rank in (50, 95, 100))
        return Summary(
            steps=len(self.rewards),
            skipped_steps=int(self._skipped.sum()),
            episodes=len(self.returns),
            return_mean=_mean(self.returns),
            startup_share=float(startup.mean()),
            inaction_share=_mean((inaction | self._skipped)[~startup]),
            overwritten_share=_mean(overwritten),
            action_interval_steps=_mean(samples["interval"]),
            age_p50_steps=age_p50,
            age_p95_steps=age_p95,
            age_max_steps=age_max,
            inference_p50_ns=int(took[(len(took) - 1) // 2]) if len(took) else None,
            inference_max_ns=int(took[-1]) if len(took) else None,
            lateness=self.lateness,
            spoiled=self.spoiled,
            interrupted=self.interrupted,
        )

    # ---- files -----------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> None:
        """Write a Parquet file: a row per stretch, a list column per array."""
        files.write(Path(path), self.to_bytes(), kind="recording")

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [_row(stretch) for stretch in self.stretches]
        about = {name: getattr(self, name) for name in (*_ABOUT, "interrupted")}
        updates = {f"update_{name}": value.tolist() for name, value in vars(self.updates).items()}
        table = pa.Table.from_pylist([{"format": FORMAT, **about, **row, **updates} for row in rows])
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path | str) -> Recording:
        """The inverse of `save`; InvalidResults if the file is no recording."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise InvalidResults(f"no recording of a run: {error}", place=str(path)) from None
        return cls.from_bytes(content, place=str(path))

    @classmethod
    def from_bytes(cls, content: bytes, *, place: str = "recording") -> Recording:
        """The inverse of `to_bytes`; InvalidResults, naming the place, if it is no recording."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            rows = pq.read_table(io.BytesIO(content), use_threads=False).to_pylist()
            first = rows[0]
            if first["format"] != FORMAT:
                raise ValueError(f"it has format {first['format']}, this rtbench reads {FORMAT}")
            about = {name: first[name] for name in _ABOUT}
            updates = Updates(*(np.array(first[f"update_{f.name}"], np.int64) for f in dataclasses.fields(Updates)))
            about["interrupted"] = first.get("interrupted", False)
            return cls(tuple(_stretch(row) for row in rows), **about, updates=updates)
        except (OSError, ValueError, KeyError, IndexError, TypeError, pa.ArrowException) as error:
            raise InvalidResults(f"no recording of a run: {error}", place=place) from None


def _row(stretch: Stretch) -> dict[str, Any]:
    line = stretch.timeline
    own = {name: getattr(stretch, name).tolist() for name in (*_STEPS, *INFERENCE_COLUMNS)}
    return {
        **{name: getattr(line, name) for name in ("steps", "step_ns", "chunk")},
        "resets": list(line.resets),
        "lengths": list(stretch.lengths),
        "skipped": list(stretch.skipped),
        **{name: getattr(line, name).tolist() for name in _TIMELINE},
        **own,
    }


def _stretch(row: Mapping[str, Any]) -> Stretch:
    line = Timeline(
        steps=row["steps"],
        step_ns=row["step_ns"],
        **{name: np.array(row[name], np.int64) for name in _TIMELINE if name != "random"},
        random=np.array(row["random"], np.bool_),
        resets=tuple(row["resets"]),
        chunk=row["chunk"],
    )
    whole = {name: np.array(row[name], np.int64) for name in ("lateness_ns", *INFERENCE_COLUMNS)}
    lengths = {name: len(row[name]) for name in (*_STEPS, *_TIMELINE, *INFERENCE_COLUMNS)}
    expected = {name: line.steps if name in _STEPS else len(line.process) for name in lengths}
    if lengths != expected or sum(row["lengths"]) > line.steps:
        raise ValueError("its columns do not belong together")
    rewards, skipped = np.array(row["rewards"], np.float64), tuple(row.get("skipped", ()))
    return Stretch(line, rewards, lengths=tuple(row["lengths"]), skipped=skipped, **whole)


def _mean(values: Sequence[float] | NDArray[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None
