"""What programs have in common that train nothing: each run is counted or measured at once, and told of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rtbench.learners.base import Outcome


class Counted:
    """Keeps `columns` and `extras` of the runs that are over, in the order of seeds."""

    def __init__(self) -> None:
        self._done: list[dict[str, Any]] = []

    def metrics(self) -> list[dict[str, float]]:
        """Nothing on the way."""
        return []

    def outcomes(self) -> list[Outcome]:
        """What was found of every run."""
        return [Outcome(dict(told["columns"]), dict(told["extras"])) for told in self._done]

    def policies(self, run_ids: Sequence[str]) -> list[Any]:
        """None."""
        return []

    def state(self) -> dict[str, Any]:
        """The runs that are over."""
        return {"done": self._done}

    def appended(self) -> dict[str, Any]:
        """Nothing grows."""
        return {}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state."""
        self._done = list(state["done"])
