"""What a learner's program answers to: the worker advances it, saves it, asks for its outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rtbench.learners.policy import Policy


@dataclass(frozen=True)
class Outcome:
    """What one run of a batch has to say for itself: the outcome columns of its row (`rtbench.results.schema`).

    `extras` are further numbers by namespace/name; `recording` is what really happened on the wall clock, as
    `rtbench.realtime.recording.Recording.to_bytes` gives it, kept in the local state beside the row.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, float] = field(default_factory=dict)
    recording: bytes = field(default=b"", repr=False)


class Program(Protocol):
    """The training of a batch of runs; deterministic, and exact after `restore`."""

    @property
    def done_units(self) -> int:
        """Units of the budget behind it."""
        ...

    @property
    def total_units(self) -> int:
        """Units of the budget in all."""
        ...

    @property
    def done(self) -> bool:
        """True when training and the final evaluation are over."""
        ...

    def advance(self) -> None:
        """One unit of training, or one episode of evaluation; short, so that a signal is answered soon."""
        ...

    def metrics(self) -> list[dict[str, float]]:
        """Numbers worth telling since the last call, one mapping per run."""
        ...

    def outcomes(self) -> list[Outcome]:
        """One outcome per run, when done."""
        ...

    def policies(self, run_ids: Sequence[str]) -> Sequence[Policy]:
        """What every run has learnt, if anything; kept in the local state for `watch` and `probe`."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything small: tensors, arrays, numbers and strings in nested dicts and lists."""
        ...

    def appended(self) -> dict[str, Any]:
        """Arrays that have only grown since the last call (replay); a checkpoint writes them as a new segment.

        `spent` in it: how many of all segments so far, from the first on, nothing needs any more; they are deleted.
        """
        ...

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, given all segments but the spent ones, in order; each is read when its turn comes."""
        ...
