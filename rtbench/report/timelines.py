"""Who computed what, when: the first moments of a timeline as SVG, from the environment down to the actions applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape

import numpy as np
from numpy.typing import NDArray

from rtbench.interaction.timeline import Timeline
from rtbench.realtime.recording import Recording, Stretch
from rtbench.results.pictures import COLOURS, DARK, GRID, INK, PAPER, QUIET

MOST_PROCESSES = 12
"""Rows that a drawing has at most."""
FEWEST_STEPS, MOST_STEPS = 10, 240
LEFT, RIGHT, TOP = 136.0, 18.0, 64.0
ROW, BOX, FOOT = 30.0, 18.0, 52.0
PLOT = 760.0


def _style() -> str:
    dark = dict(DARK)
    plain = "".join(f".p{n}{{fill:{colour};stroke:{colour}}}" for n, colour in enumerate(COLOURS))
    night = "".join(f".p{n}{{fill:{dark[colour]};stroke:{dark[colour]}}}" for n, colour in enumerate(COLOURS))
    return (
        f"svg{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px}}"
        f".paper{{fill:{PAPER}}}.grid{{stroke:{GRID}}}text{{fill:{QUIET}}}.name{{fill:{INK}}}"
        f".title{{fill:{INK};font-size:15px;font-weight:600}}.in{{fill:#fff;font-weight:600}}"
        f".none{{fill:{GRID};stroke:{QUIET};stroke-dasharray:2 2}}.read{{fill:none;stroke:{QUIET};stroke-width:1}}"
        f".dot{{fill:{PAPER};stroke:{QUIET}}}.box{{fill-opacity:.86}}{plain}"
        f"@media (prefers-color-scheme:dark){{.paper,.dot{{fill:{dark[PAPER]}}}.grid{{stroke:{dark[GRID]}}}"
        f"text{{fill:{dark[QUIET]}}}.name,.title{{fill:{dark[INK]}}}.in{{fill:{dark[PAPER]}}}"
        f".none{{fill:{dark[GRID]};stroke:{dark[QUIET]}}}.read,.dot{{stroke:{dark[QUIET]}}}{night}}}"
    )


STYLE = _style()


@dataclass(frozen=True, eq=False)
class Learnt:
    """Beside a timeline, what the wall clock's recording tells of learning; times in ns of the timeline.

    Per update [U]: the learner process, when it began and was through; update u makes version u + 1. Per inference: the
    version of the parameters that it used.
    """

    process: NDArray[np.int64]
    started_ns: NDArray[np.int64]
    finished_ns: NDArray[np.int64]
    version: NDArray[np.int64]

    @property
    def learners(self) -> int:
        """How many processes learnt."""
        return len(np.unique(self.process))


def learnt_beside(recording: Recording, stretch: Stretch) -> Learnt | None:
    """What the learners of a run did beside one of its stretches; None where nobody learnt."""
    made, alone = recording.updates, len(recording.stretches) == 1
    # Times of updates are those of the one timeline, where there is one.
    updates = (made.process, made.started_ns, made.finished_ns) if alone else (made.process[:0],) * 3
    return Learnt(*updates, stretch.version) if len(made.process) else None


def timeline_svg(
    line: Timeline,
    title: str,
    *,
    lags: tuple[int, int] = (1, 1),
    steps: int | None = None,
    first: int = 0,
    learnt: Learnt | None = None,
) -> str:
    """`steps` environment steps from `first` on (by default, three inferences of each process) as a whole SVG file.

    One row per process, at most `MOST_PROCESSES`: a box from the start of an inference to when its action may be used,
    a line from the observation it read. Below, each step's action in the colour of the process that computed it, with
    the ages of its newest and oldest observation, `lags` ticks back; a dashed cell is a step of the default policy.
    What was `learnt` has a row per learner process, and versions of the parameters stand in the boxes.
    """
    shown = min(line.steps - first, _enough(line) if steps is None else steps)
    return "\n".join(_Page(line, title, max(1, shown), lags, first, learnt).parts()) + "\n"


def _enough(line: Timeline) -> int:
    """Steps that show three inferences of the first process, within bounds."""
    ends = (line.finished_ns[line.process == 0] // line.step_ns).tolist()[:3]
    return min(MOST_STEPS, max(FEWEST_STEPS, 2 + int(ends[-1]) if ends else FEWEST_STEPS))


@dataclass(frozen=True)
class _Page:
    line: Timeline
    title: str
    steps: int
    lags: tuple[int, int]
    first: int = 0
    learnt: Learnt | None = None

    @cached_property
    def learners(self) -> int:
        return min(self.learnt.learners, MOST_PROCESSES) if self.learnt else 0

    @property
    def shown(self) -> slice:
        return slice(self.first, self.first + self.steps)

    @cached_property
    def processes(self) -> int:
        return 1 + int(self.line.process.max()) if len(self.line.process) else 1

    @cached_property
    def rows(self) -> int:
        return min(self.processes, MOST_PROCESSES)

    @cached_property
    def per_step(self) -> float:
        return min(64.0, PLOT / self.steps)

    @cached_property
    def gap(self) -> float:
        """Between the boxes of two steps."""
        return min(1.5, self.per_step * 0.15)

    @cached_property
    def width(self) -> float:
        return LEFT + self.per_step * self.steps + RIGHT

    @cached_property
    def foot(self) -> float:
        return TOP + ROW * (self.rows + self.learners + 1)

    def x(self, time_ns: float) -> float:
        return LEFT + self.per_step * min(max(time_ns / self.line.step_ns - self.first, 0), self.steps)

    def y(self, row: int) -> float:
        """The middle of a row; row 0 has the observations."""
        return TOP + ROW * (row + 0.5) - 6

    def parts(self) -> Iterator[str]:
        height = self.foot + FOOT
        size = f'viewBox="0 0 {self.width:.0f} {height:.0f}" width="{self.width:.0f}" height="{height:.0f}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
        yield f"<title>{escape(self.title)}</title><desc>{escape(self.about())}</desc><style>{STYLE}</style>"
        yield f'<rect class="paper" width="{self.width:.0f}" height="{height:.0f}"/>'
        yield _text(12, 22, self.title, "title")
        more = f" (the first {self.rows} of {self.processes})" if self.processes > self.rows else ""
        versions = ", with the version of the parameters that it uses or makes" if self.learnt else ""
        yield _text(12, 42, f"a row per inference process{more}; a box from start to finish{versions}", "")
        yield from self._grid()
        for number in range(len(self.line.process)):
            yield from self._inference(number)
        if self.learnt:
            for number in range(len(self.learnt.process)):
                yield from self._update(self.learnt, number)
        yield from self._actions()
        yield "</svg>"

    def about(self) -> str:
        """What is to be seen, in words."""
        line = self.line
        source, idle = line.source[self.shown], int(line.inaction[self.shown].sum())
        waiting = int(line.startup[self.shown].sum())
        newest, oldest = (ages[self.shown].compressed() for ages in line.ages(*self.lags, holds=False))
        told = f"observations {newest.min()} to {oldest.max()} steps old" if len(newest) else "no action yet"
        return (
            f"{self.steps} environment steps, {self.processes} inference processes: {int((source >= 0).sum())} steps "
            f"have a new action ({told}), {waiting} wait for the first, {idle} have the default policy's."
        )

    def _grid(self) -> Iterator[str]:
        every = next(n for n in (1, 2, 5, 10, 20, 50, 100) if n * self.per_step >= 22)
        for step in range(self.first, self.first + self.steps + 1):
            x = self.x(step * self.line.step_ns)
            if self.per_step <= 6 and step % every:
                continue
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.y(0):.1f}" y2="{self.foot + 24:.1f}"/>'
            if step % every == 0:
                yield _text(x, self.foot + 40, str(step), "", "middle")
            if step < self.first + self.steps and self.per_step > 6:
                yield f'<circle class="dot" cx="{x:.1f}" cy="{self.y(0):.1f}" r="3"/>'
        yield _text(12, self.y(0) + 4, "observations", "name")
        for row in range(self.rows):
            yield _text(12, self.y(row + 1) + 4, f"process {row + 1}" if self.processes > 1 else "inference", "name")
        for row in range(self.learners):
            name = f"learner {row + 1}" if self.learners > 1 else "learner"
            yield _text(12, self.y(self.rows + row + 1) + 4, name, "name")
        yield _text(12, self.foot + 12, "actions (age)", "name")
        yield _text(12, self.foot + 40, "environment step", "")

    def _inference(self, number: int) -> Iterator[str]:
        line = self.line
        process, started = int(line.process[number]), int(line.started_ns[number])
        finished = int(line.finished_ns[number])
        if process >= self.rows or self._outside(started, finished):
            return
        y, read = self.y(process + 1), self.x(int(line.read_step[number]) * line.step_ns)
        begin = self.x(started)
        yield f'<path class="read" d="M{read:.1f} {self.y(0) + 3:.1f}L{begin + 1.5:.1f} {y - BOX / 2:.1f}"/>'
        yield from self._box(started, finished, y, process, str(self.learnt.version[number]) if self.learnt else "")

    def _outside(self, started: int, finished: int) -> bool:
        begin, end = (step * self.line.step_ns for step in (self.first, self.first + self.steps))
        return started >= end or finished < begin

    def _update(self, learnt: Learnt, number: int) -> Iterator[str]:
        place = int(np.searchsorted(np.unique(learnt.process), learnt.process[number]))
        started, finished = int(learnt.started_ns[number]), int(learnt.finished_ns[number])
        if place < self.learners and not self._outside(started, finished):
            colour = self.processes + place
            yield from self._box(started, finished, self.y(self.rows + place + 1), colour, str(number + 1))

    def _box(self, started: int, finished: int, y: float, colour: int, told: str) -> Iterator[str]:
        begin, end = self.x(started), self.x(finished)
        size = f'width="{max(2.0, end - begin - 1.5):.1f}" height="{BOX}" rx="3"'
        yield f'<rect class="box p{colour % len(COLOURS)}" x="{begin + 0.75:.1f}" y="{y - BOX / 2:.1f}" {size}/>'
        if told and 7.5 * len(told) < end - begin:
            yield _text((begin + end) / 2, y + 4, told, "in", "middle")

    def _actions(self) -> Iterator[str]:
        line = self.line
        newest, oldest = line.ages(*self.lags, holds=False)
        for step in range(self.first, self.first + self.steps):
            source = int(line.source[step])
            kind = f"p{int(line.process[source]) % len(COLOURS)}" if source >= 0 else "none"
            x, y = self.x(step * line.step_ns), self.foot - 1
            yield (
                f'<rect class="{kind}" x="{x + self.gap / 2:.2f}" y="{y:.1f}" width="{self.per_step - self.gap:.2f}" '
                f'height="{BOX}" rx="2"/>'
            )
            ages = sorted({int(newest[step]), int(oldest[step])}) if source >= 0 else []
            told = "–".join(map(str, ages))
            for text in (told, told.partition("–")[0]):
                if text and 7.5 * len(text) < self.per_step:
                    yield _text(x + self.per_step / 2, y + 13, text, "in", "middle")
                    break


def _text(x: float, y: float, told: str, kind: str, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(told)}</text>'
