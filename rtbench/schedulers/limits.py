"""What a scheduler cannot run, said once for `supports` and for `make`."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.parts import Scheduler
from rtbench.schedulers.base import SchedulerState


class Limited(Scheduler):
    """A scheduler that names the executions it runs, and whether it has but one process."""

    name: ClassVar[str]
    """As it is registered."""
    executions: ClassVar[tuple[str, ...]] = ("sequential", "pipelined")
    alone: ClassVar[bool] = False
    """Whether it has one process and no more."""

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """An execution it runs, in as many processes as it can have."""
        return cls._reason(cell.interaction.processes, cell.interaction.execution)

    def make(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """A fresh state; SuiteError for another execution, no process or too many, or parameters of no sense."""
        found = self._reason(processes, execution)
        if found:
            place = "interaction.processes" if execution in self.executions else "interaction.execution"
            hint = "use staggered-slots or staggered-max" if self.alone and processes > 1 else ""
            raise SuiteError(found, place=place, hint=hint)
        return self._state(processes, step_ns, execution)

    @abstractmethod
    def _state(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """A fresh state for what is known to be possible."""

    @classmethod
    def _reason(cls, processes: int, execution: str) -> str | None:
        if execution not in cls.executions:
            wanted = " or ".join(f"{each!r}" for each in cls.executions)
            return f"{cls.name} needs execution = {wanted}, not {execution!r}"
        if processes < 1:
            return f"{cls.name} needs at least one process, not {processes}"
        if cls.alone and processes > 1:
            return f"{cls.name} runs one process, the interaction has processes = {processes}"
        return None
