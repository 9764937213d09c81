"""What `rtbench plan` says of costs: core-hours, and hours and money for so many runners on a class of machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from rtbench.executors.estimates import Estimate
    from rtbench.executors.planning import PlannedRun

MachineOption = Annotated[
    str | None,
    typer.Option(metavar="CLASS", help="Estimate for this class of machines, as rows name it; a part of the name."),
]
RunnersOption = Annotated[int, typer.Option(help="Estimate hours for so many runs at a time, each on a core.")]
PriceOption = Annotated[
    float | None, typer.Option("--price", metavar="AMOUNT", help="Price of a core-hour; estimates the sum.")
]
ONLY_PLANNED = ("--machine", "--runners", "--price")
"""Options that `rtbench run` does not have."""


@dataclass(frozen=True)
class Cost:
    """An estimate, for so many runs at a time, at a price per core-hour."""

    estimate: Estimate
    machine: str | None
    runners: int
    price: float | None

    def data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        found = {"core_hours": round(self.estimate.core_hours, 3), "basis": self.estimate.basis}
        more = {"machine": self.machine, "runners": self.runners, "hours": round(self.estimate.hours(self.runners), 3)}
        return found | more | {"price": None if self.price is None else round(self._sum(self.price), 2)}

    def words(self) -> str:
        """For people."""
        found = f"{core_hours(self.estimate.core_hours)} ({self.estimate.basis})"
        if self.runners > 1:
            found += f"; {clock(self.estimate.hours(self.runners))} with {self.runners:,} at a time"
        if self.price is not None:
            found += f"; {self._sum(self.price):,.2f} at {self.price:g} per core-hour"
        return found

    def _sum(self, price: float) -> float:
        return price * self.estimate.core_hours


def priced(
    planned: Sequence[PlannedRun],
    rows: Iterable[Mapping[str, Any]],
    machine: str | None,
    runners: int,
    price: float | None,
) -> Cost:
    """What the runs that would start cost. SuiteError for a class that no row names, no runners, a negative price."""
    from rtbench.executors.estimates import estimate

    if runners < 1:
        raise SuiteError(f"--runners must be at least 1, got {runners}", place="--runners")
    if price is not None and not 0 <= price < float("inf"):
        raise SuiteError(f"--price is what a core-hour costs, got {price:g}", place="--price")
    return Cost(estimate(planned, rows, machine), machine, runners, price)


def core_hours(hours: float) -> str:
    """Core-hours in words."""
    if hours < 0.05:
        return f"{hours * 3600:.0f} core-seconds"
    return f"{hours:.1f} core-hours" if hours < 100 else f"{hours:,.0f} core-hours"


def clock(hours: float) -> str:
    """Hours on the clock in words."""
    return (
        f"{hours * 60:.1f} minutes" if hours < 1 else f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
    )
