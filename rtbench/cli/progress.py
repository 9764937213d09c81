"""What a running suite shows: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rtbench.cli.output import line, note
from rtbench.executors.jobs import Job

LINE_SECONDS = 10.0


class Ended(NamedTuple):
    """What became of a run."""

    status: str
    reason: str
    eval_return_final: float | None


@dataclass
class Running:
    """How far a job is that is being worked on, in units of all its runs."""

    done_units: int
    begun_units: int
    said_at: float
    task: Any = None


class Display:
    """Told of events by an executor; counts what became of every run."""

    def __init__(self, jobs: Sequence[Job], *, quiet: bool = False) -> None:
        self.finished: dict[str, Ended] = {}
        """By run_id."""
        self._runs = sum(len(job.seeds) for job in jobs)
        self._total_units = sum(job.cell.budget.steps * len(job.seeds) for job in jobs)
        self._ended_units = self._gained_units = 0
        self._running: dict[str, Running] = {}
        self._quiet = quiet
        self._bars: Any = None
        self._all: Any = None
        self._begin = time.monotonic()

    def __enter__(self) -> Display:
        if not self._quiet and sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn()
            )
            self._bars.start()
            self._all = self._bars.add_task(f"all {self._runs} runs", total=self._total_units, speed="")
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """One event (`rtbench.executors.jobs`)."""
        kinds = {"started": self._started, "progress": self._progress, "finished": self._ended, "note": self._note}
        kinds[event["event"]](event)

    def _started(self, event: dict[str, Any]) -> None:
        if not self._bars and not self._quiet:
            line(f"started   {event['title']}")

    def _progress(self, event: dict[str, Any]) -> None:
        now, runs = time.monotonic(), event["runs"]
        done, total = event["done_units"] * runs, event["total_units"] * runs
        running = self._running.get(event["job"])
        if running is None:
            running = self._running[event["job"]] = Running(done, done, self._begin)
            if self._bars:
                running.task = self._bars.add_task(event["title"], total=total, speed="")
        running.done_units = done
        speed = "evaluating" if done >= total else f"{event['units_per_s'] * runs:g} {event['unit']}/s"
        if self._bars:
            self._bars.update(running.task, completed=done, speed=speed)
            self._bars.update(self._all, completed=self._done_units())
        elif not self._quiet and event["units_per_s"] and now - running.said_at >= LINE_SECONDS:
            running.said_at = now
            line(f"{100 * done / total:5.1f} %   {event['title']}   {speed}   {self._left()}")

    def _done_units(self) -> int:
        return self._ended_units + sum(running.done_units for running in self._running.values())

    def _left(self) -> str:
        """Time left for everything, from the speed of this execution so far."""
        done = self._done_units()
        gained = self._gained_units + sum(run.done_units - run.begun_units for run in self._running.values())
        if gained <= 0:
            return ""
        seconds = (self._total_units - done) * (time.monotonic() - self._begin) / gained
        return f"about {duration(seconds)} left for all"

    def _ended(self, event: dict[str, Any]) -> None:
        running = self._running.pop(event["job"], None)
        if running:
            self._gained_units += running.done_units - running.begun_units
            if running.task is not None:
                self._bars.remove_task(running.task)
        if event.get("retried"):
            self._note({"text": f"failed, tries again: {event['title']}: {event['runs'][0]['reason']}"})
            return
        self._ended_units += event["total_units"] * len(event["runs"])
        self._tell_runs(event)
        if self._bars:
            self._bars.update(self._all, completed=self._done_units())

    def _tell_runs(self, event: dict[str, Any]) -> None:
        where = "   by another runner" if event.get("elsewhere") else ""
        for run in event["runs"]:
            ended = Ended(sys.intern(run["status"]), run["reason"], run["eval_return_final"])
            self.finished[run["run_id"]] = ended
            text = f"return {ended.eval_return_final:.1f}" if ended.eval_return_final is not None else ended.reason
            title = event["title"] if len(event["runs"]) == 1 else f"{event['title']} [{run['seed']}]"
            self._print(f"{ended.status:<9} {title}   {text}{where}   ({len(self.finished)}/{self._runs})")

    def _note(self, event: dict[str, Any]) -> None:
        self._print(event["text"], to=note)

    def _print(self, text: str, to: Any = line) -> None:
        if self._bars:
            self._bars.console.print(text, markup=False, highlight=False)
        elif not self._quiet or to is note:
            to(text)


def duration(seconds: float) -> str:
    """'42 s', '7 min', '3.5 h' or '12 days'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"
