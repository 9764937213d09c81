"""What a running suite shows: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rtbench.cli.output import line, note
from rtbench.executors.jobs import Job

LINE_SECONDS = 10.0


class Display:
    """Told of events by an executor; counts what became of every run."""

    def __init__(self, jobs: Sequence[Job], *, quiet: bool = False) -> None:
        self.jobs: Mapping[str, Job] = {job.key: job for job in jobs}
        self.finished: dict[str, dict[str, Any]] = {}
        self._wanted = sum(len(job.seeds) for job in jobs)
        self._quiet = quiet
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._said: dict[str, float] = {}
        self._begin = time.monotonic()
        self._done_units: dict[str, int] = {}
        self._begun_units: dict[str, int] = {}

    def __enter__(self) -> Display:
        if not self._quiet and sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn()
            )
            self._bars.start()
            total = sum(job.cell.budget.steps for job in self.jobs.values())
            self._tasks["all"] = self._bars.add_task(f"all {self._wanted} runs", total=total, speed="")
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """One event."""
        {"started": self._started, "progress": self._progress, "finished": self._ended, "note": self._note}[
            event["event"]
        ](self.jobs[event["job"]], event)

    def _started(self, job: Job, event: dict[str, Any]) -> None:
        if self._bars:
            self._tasks[job.key] = self._bars.add_task(job.title, total=job.cell.budget.steps, speed="")
        elif not self._quiet:
            line(f"started   {job.title}")

    def _progress(self, job: Job, event: dict[str, Any]) -> None:
        self._done_units[job.key] = event["done_units"]
        self._begun_units.setdefault(job.key, event["done_units"])
        unit = job.cell.budget.unit
        speed = f"{event['units_per_s']:g} {unit}/s"
        if event["done_units"] >= event["total_units"]:
            speed = "evaluating"
        if self._bars:
            self._bars.update(self._tasks[job.key], completed=event["done_units"], speed=speed)
            self._bars.update(self._tasks["all"], completed=sum(self._done_units.values()))
            return
        now = time.monotonic()
        if self._quiet or now - self._said.get(job.key, self._begin) < LINE_SECONDS:
            return
        self._said[job.key] = now
        share = 100 * event["done_units"] / event["total_units"]
        line(f"{share:5.1f} %   {job.title}   {speed}   {self._left()}")

    def _left(self) -> str:
        """Time left for everything, from the speed of this execution so far."""
        total = sum(job.cell.budget.steps for job in self.jobs.values())
        done = sum(self._done_units.values())
        gained = done - sum(self._begun_units.values())
        if not gained:
            return ""
        seconds = (total - done) * (time.monotonic() - self._begin) / gained
        return f"about {duration(seconds)} left for all"

    def _ended(self, job: Job, event: dict[str, Any]) -> None:
        if event.get("retried"):
            self._note(job, {"text": f"failed, tries again: {job.title}: {event['runs'][0]['reason']}"})
            return
        self._done_units[job.key] = job.cell.budget.steps
        for seed, run in zip(job.seeds, event["runs"], strict=True):
            self.finished[run["run_id"]] = run
            score = run.get("eval_return_final")
            text = f"return {score:.1f}" if score is not None else run["reason"]
            shown = f"{run['status']:<9} {job.title if len(job.seeds) == 1 else f'{job.title} [{seed}]'}   {text}"
            self._print(f"{shown}   ({len(self.finished)}/{self._wanted})")
        if self._bars and job.key in self._tasks:
            self._bars.remove_task(self._tasks.pop(job.key))
            self._bars.update(self._tasks["all"], completed=sum(self._done_units.values()))

    def _note(self, job: Job, event: dict[str, Any]) -> None:
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
