"""Learners that compute updates at the same time and apply them in turn, in simulated time.

Every learner starts from the newest parameters once its own update has been applied and another one is due; its update
changes whatever the parameters are by the time that it is through, and all updates are applied in the order of their
starts. Times are those of the environment's clock; the granularity is one environment step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Change = list["Tensor"]


@dataclass
class Pending:
    """An update under way: when it is applied, which version of the parameters it is for, and its gradients."""

    apply_ns: int
    version: int
    change: Change


class RoundRobin:
    """`count` learners; `compute` gives an update from the parameters of now, `apply` makes it one.

    Source: Staggered Asynchronous Inference, Sections 4 and 5 (round-robin asynchronous learning).
    """

    def __init__(
        self,
        count: int,
        took_ns: Callable[[], int],
        compute: Callable[[], Change],
        apply: Callable[[Change], None],
    ) -> None:
        """`took_ns`: how long the next update takes."""
        self._count, self._took_ns = count, took_ns
        self._compute, self._apply = compute, apply
        self._pending: deque[Pending] = deque()
        self._free_ns = [0] * count
        self._started = 0
        self._last_apply_ns = 0
        self.version = 0
        """How many updates have been applied."""
        self.age_sum, self.age_most = 0, 0
        """Of the parameters that updates were computed from, in updates applied since."""

    def until(self, now_ns: int, due_ns: int | None) -> bool:
        """Let what happens up to a time happen; whether an update was begun, of which one has been due since `due_ns`.

        At one instant updates are applied before others begin.
        """
        self._finish(now_ns)
        if due_ns is None or len(self._pending) >= self._count:
            return False
        learner = self._started % self._count
        start_ns = max(due_ns, self._free_ns[learner])
        self._started += 1
        self._last_apply_ns = max(start_ns + self._took_ns(), self._last_apply_ns)
        self._pending.append(Pending(self._last_apply_ns, self.version, self._compute()))
        self._free_ns[learner] = self._last_apply_ns
        self._finish(now_ns)
        return True

    def at_once(self) -> None:
        """An update that is computed and applied with nothing in between."""
        self._started += 1
        self._make(self.version, self._compute())

    def _finish(self, now_ns: int) -> None:
        while self._pending and self._pending[0].apply_ns <= now_ns:
            found = self._pending.popleft()
            self._make(found.version, found.change)

    def _make(self, version: int, change: Change) -> None:
        age = self.version - version
        self.age_sum, self.age_most = self.age_sum + age, max(self.age_most, age)
        self._apply(change)
        self.version += 1

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What is under way, and the counts."""
        return {
            "pending": [[each.apply_ns, each.version, list(each.change)] for each in self._pending],
            "counts": [self._started, self._last_apply_ns, self.version, self.age_sum, self.age_most],
            "free_ns": list(self._free_ns),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self._pending = deque(Pending(at, version, list(change)) for at, version, change in state["pending"])
        self._started, self._last_apply_ns, self.version, self.age_sum, self.age_most = state["counts"]
        self._free_ns = list(state["free_ns"])
