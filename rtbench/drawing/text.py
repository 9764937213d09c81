"""A picture as lines of text: the same rows and moments as the SVG, boxes and lines from box-drawing characters."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

from rtbench.drawing import words
from rtbench.drawing.picture import Box, Picture
from rtbench.drawing.routes import OUTPUT, ROW, Route, routes, rows
from rtbench.graph import ACTION, OBSERVATION, SOURCES

WIDTH = 100
"""Columns of a drawing at most."""
MOST_PER_STEP = 14
STILL = 4
"""Columns of a box that takes no time."""
LEGEND = (
    "heavy lines: what one action depends on; numbers: in a box its tick, in the action row how old, in",
    "steps, what it rests on is; o: an observation that is read, ● behind that action (past actions a, ■)",
)
Arm = Literal["left", "up", "right", "down"]
_LINES = " ╴╸╵┘┙╹┚┛╶─╾└┴┵┖┸┹╺╼━┕┶┷┗┺┻╷┐┑│┤┥╿┦┩┌┬┭├┼┽┞╀╃┍┮┯┝┾┿┡╄╇╻┒┓╽┧┪┃┨┫┎┰┱┟╁╅┠╂╉┏┲┳┢╆╈┣╊╋"
"""By arms: left + 3·up + 9·right + 27·down, each 0 none, 1 light, 2 heavy."""
_PLACE: dict[Arm, int] = {"left": 1, "up": 3, "right": 9, "down": 27}


def text(drawn: Picture) -> list[str]:
    """The drawing's lines, at most 100 columns, for any terminal that knows Unicode's box drawing."""
    return _Page(drawn).lines()


@dataclass
class _Canvas:
    """Characters, and under them lines whose meeting arms become one character."""

    lines: int
    columns: int
    arms: dict[tuple[int, int, Arm], int] = field(default_factory=dict)
    letters: dict[tuple[int, int], str] = field(default_factory=dict)

    def arm(self, line: int, column: int, arm: Arm, weight: int) -> None:
        key = (line, column, arm)
        self.arms[key] = max(weight, self.arms.get(key, 0))

    def across(self, line: int, begin: int, end: int, weight: int) -> None:
        """A horizontal line between two columns."""
        for column in range(begin, end):
            self.arm(line, column, "right", weight)
            self.arm(line, column + 1, "left", weight)

    def along(self, column: int, begin: int, end: int, weight: int) -> None:
        """A vertical line between two lines."""
        for line in range(min(begin, end), max(begin, end)):
            self.arm(line, column, "down", weight)
            self.arm(line + 1, column, "up", weight)

    def bar(self, line: int, begin: int, end: int, weight: int) -> None:
        """A horizontal line between two marks."""
        self.across(line, begin, end, weight)
        for column in (begin, end):
            self.arm(line, column, "up", 1)
            self.arm(line, column, "down", 1)

    def write(self, line: int, column: int, told: str) -> None:
        for number, letter in enumerate(told):
            self.letters[line, column + number] = letter

    def row(self, line: int) -> str:
        found = []
        for column in range(self.columns):
            meeting = sum(self.arms.get((line, column, arm), 0) * place for arm, place in _PLACE.items())
            found.append(self.letters.get((line, column), _LINES[meeting]))
        return "".join(found)


@dataclass(frozen=True)
class _Page:
    """Where everything stands, in columns and lines."""

    drawn: Picture

    @cached_property
    def rows(self) -> tuple[str, ...]:
        return rows(self.drawn)

    @cached_property
    def margin(self) -> int:
        return max(12, *(len(words.row_name(row)) + 1 for row in self.rows))

    @cached_property
    def per_step(self) -> Fraction:
        room = Fraction(WIDTH - self.margin - STILL, self.drawn.steps)
        return Fraction(min(MOST_PER_STEP, int(room))) if room >= 1 else room

    def column(self, time: Fraction | int) -> int:
        """The column of a moment, counted from the end of the row's name."""
        return int(time * self.per_step)

    def line(self, level: int) -> int:
        """Rows from the bottom, a line between them; ports of a box are its own line."""
        row, part = divmod(level + 1, ROW)
        return 2 * (len(self.rows) - 1 - row) - (part == 3)

    @cached_property
    def still(self) -> bool:
        return all(box.end == box.start for box in self.drawn.boxes)

    def lines(self) -> list[str]:
        """Title, rows, axis, ages, legend."""
        height = 2 * len(self.rows) - 1
        end = self.column(self.drawn.steps)
        canvas = _Canvas(height, end + 1)
        for box in self.drawn.boxes:
            self._box(canvas, box, end)
        for route in routes(self.drawn):
            if route.highlighted:
                self._route(canvas, route)
        self._sources(canvas)
        self._actions(canvas, end)
        body = []
        for line in range(height):
            name = words.row_name(self.rows[len(self.rows) - 1 - line // 2]) if line % 2 == 0 else ""
            body.append((name.ljust(self.margin) + canvas.row(line)).rstrip())
        return [words.execution(self.drawn), "", *body, self._axis(), *self._ages(), "", *LEGEND]

    def _box(self, canvas: _Canvas, box: Box, end: int) -> None:
        line = self.line(ROW * self.rows.index(box.layer))
        begin = self.column(box.start)
        until = begin + STILL if self.still else min(self.column(box.end), end)
        canvas.bar(line, begin, min(until, end), 2 if box.highlighted else 1)
        told = str(box.tick)
        if len(told) <= until - begin - 3:
            canvas.write(line, begin + (until - begin - len(told) + 1) // 2, told)

    def _route(self, canvas: _Canvas, route: Route) -> None:
        for (time, level), (until, reached) in zip(route.points, route.points[1:], strict=False):
            if time == until:
                canvas.along(self.column(time), self.line(level), self.line(reached), 2)
            else:
                canvas.across(self.line(level), self.column(time), self.column(until), 2)

    def _sources(self, canvas: _Canvas) -> None:
        marks = {OBSERVATION: ("o", "●"), ACTION: ("a", "■")}
        for lit in (False, True):
            for arrow in self.drawn.arrows:
                if arrow.source in SOURCES and (arrow.highlighted or not lit):
                    line = self.line(ROW * self.rows.index(arrow.source))
                    canvas.write(line, self.column(arrow.ready), marks[arrow.source][lit])

    def _actions(self, canvas: _Canvas, end: int) -> None:
        line = self.line(ROW * self.rows.index(OUTPUT))
        for held in words.held(self.drawn.applied):
            begin = self.column(held[0].step)
            until = min(self.column(held[-1].step + 1), end)
            if held[0].tick is None:
                continue
            lit = any(each.step == self.drawn.highlight for each in held)
            canvas.bar(line, begin, until, 2 if lit else 1)
            cell = (until - begin) // len(held)
            for each, told in zip(held, words.ages(held, cell - 2), strict=True):
                middle = (self.column(each.step) + self.column(each.step + 1) - len(told) + 1) // 2
                canvas.write(line, middle, told)

    def _axis(self) -> str:
        every = words.stride(float(self.per_step), 1 + len(str(self.drawn.steps)))
        axis = ""
        for step in range(0, self.drawn.steps + 1, every):
            axis = axis.ljust(self.column(step)) + str(step)
        return "step".ljust(self.margin) + axis

    def _ages(self) -> list[str]:
        """From each observation behind the highlighted action to the step that applies it."""
        found = []
        for path in self.drawn.paths:
            begin, until = self.column(path.observation), self.column(self.drawn.highlight or 0)
            span = "├" + "─" * (until - begin - 1) + "┤" if until > begin else "│"
            told = words.path(path)
            if self.margin + until + 2 + len(told) <= WIDTH:
                found.append(" " * (self.margin + begin) + span + " " + told)
            elif len(told) < self.margin + begin:
                found.append((told + " ").rjust(self.margin + begin) + span)
            else:
                found += [" " * (self.margin + begin) + span, told.rjust(self.margin + until + 1)]
        return found
