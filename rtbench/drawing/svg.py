"""A picture as SVG: time along x, rows from observations up to actions; equal pictures give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from html import escape

from rtbench.drawing import words
from rtbench.drawing.picture import Picture
from rtbench.drawing.routes import OUTPUT, ROW, Lanes, Route, lanes, routes, rows
from rtbench.graph import OBSERVATION, SOURCES

LANE, PORT, CORNER, HEAD = 7.0, 9.0, 4.0, 6.0
"""Pixels between lanes, from a lane to a box, of a rounded corner, of an arrow's head."""
NARROWEST_BOX, WIDEST_PLOT, MOST_PER_STEP = 16.0, 860.0, 170.0
LEFT, TOP, RIGHT = 138.0, 78.0, 26.0
ROW_HEIGHT, BOX_HEIGHT, AGE_HEIGHT = 62.0, 32.0, 24.0
STILL_WIDTH = 30.0
"""Width of a box that takes no time."""

STYLE = """
svg{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px}
.paper{fill:#fff}.grid{stroke:#e4e7ec}.tick{stroke:#b3bac6;stroke-dasharray:2 3}.axis{stroke:#667085}
text{fill:#667085}.name{fill:#1d2939;font-size:13px}.title{fill:#101828;font-size:17px;font-weight:600}
.box{fill:#eef1f5;stroke:#c3cad5}.lit.box{fill:#d9480f;stroke:#b23c0c}.in{fill:#98a2b3}.lit.in{fill:#fff;font-weight:600}
.line{fill:none;stroke:#c3cad5;stroke-width:1.1}.lit.line{stroke:#d9480f;stroke-width:2.2}.back{stroke-dasharray:4 3}
.head{fill:#b3bac6}.lit.head{fill:#d9480f}.dot{fill:#fff;stroke:#98a2b3}.lit.dot{fill:#d9480f;stroke:#d9480f}
.past{fill:#fff;stroke:#98a2b3}.lit.past{fill:#d9480f;stroke:#d9480f}.age{stroke:#d9480f;stroke-width:1.4}
.words{fill:#b23c0c;font-weight:600}.halo{fill:#fff}
@media (prefers-color-scheme:dark){
.paper,.halo{fill:#14181f}.grid{stroke:#262d38}.tick{stroke:#475467}.axis{stroke:#98a2b3}
text{fill:#a4aebd}.name{fill:#e4e7ec}.title{fill:#f2f4f7}.box{fill:#232a35;stroke:#475467}.in{fill:#8b95a5}
.lit.box{fill:#f0743a;stroke:#ffa06f}.lit.in{fill:#1a0d05}.line{stroke:#475467}.lit.line{stroke:#ff8a50}
.head{fill:#5b6677}.lit.head{fill:#ff8a50}.dot,.past{fill:#14181f;stroke:#8b95a5}
.lit.dot,.lit.past{fill:#ff8a50;stroke:#ff8a50}.age{stroke:#ff8a50}.words{fill:#ff9f70}}
"""


def svg(drawn: Picture, title: str) -> str:
    """The whole file. The style follows the reader's light or dark scheme."""
    return "\n".join(_Page(drawn, title).parts()) + "\n"


def _number(value: float | Fraction) -> str:
    return f"{float(value):.1f}".removesuffix(".0")


def _text(x: float, y: float, told: str, kind: str = "", anchor: str = "middle") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"{named}>{escape(told)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    points = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
    return f'<line {points} class="{kind}"/>'


def _lit(kind: str, lit: bool) -> str:
    return f"lit {kind}" if lit else kind


@dataclass(frozen=True)
class _Page:
    """Where everything stands, in pixels."""

    drawn: Picture
    title: str

    # ---- places ----

    @cached_property
    def rows(self) -> tuple[str, ...]:
        return rows(self.drawn)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        return tuple(route for route in routes(self.drawn) if route.end < self.drawn.steps)

    @cached_property
    def lanes(self) -> Lanes:
        return lanes(self.routes)

    @cached_property
    def half(self) -> float:
        """Half the width of the widest bundle of lanes."""
        return (max(self.lanes.across_count.values(), default=1) - 1) / 2 * LANE

    @cached_property
    def before(self) -> float:
        """From a moment to the left edge of what starts then."""
        return self.half + PORT + HEAD

    @cached_property
    def after(self) -> float:
        """From the right edge of what ends to that moment."""
        return self.half + PORT / 2

    @cached_property
    def per_step(self) -> float:
        shortest = min((box.end - box.start for box in self.drawn.boxes if box.end > box.start), default=Fraction(1))
        least = (self.before + self.after + NARROWEST_BOX) / float(shortest)
        if self.still:
            least = self.before + STILL_WIDTH + self.half + PORT
        return max(least, min(MOST_PER_STEP, WIDEST_PLOT / self.drawn.steps))

    @cached_property
    def still(self) -> bool:
        return all(box.end == box.start for box in self.drawn.boxes)

    @cached_property
    def left(self) -> float:
        return max(LEFT, 24 + 7.5 * max(len(name) for name in (*self.drawn.layers, "past action"))) + self.half

    def x(self, time: Fraction | int) -> float:
        return self.left + float(time) * self.per_step

    @cached_property
    def end(self) -> float:
        return self.x(self.drawn.steps)

    @cached_property
    def width(self) -> float:
        until = self.x(self.drawn.highlight or 0)
        told = [until + 10 + 7.6 * len(words.path(path)) for path in self.drawn.paths]
        return max(self.end + RIGHT, 660.0, 40 + 9.6 * len(self.title), *(end + 16 for end in told))

    @cached_property
    def gap(self) -> float:
        """Height of a row with the gap above it, which must hold the lanes along time."""
        most = max(self.lanes.along_count.values(), default=0)
        return max(ROW_HEIGHT, BOX_HEIGHT + 16 + LANE * most)

    def y(self, level: int) -> float:
        """Rows from the bottom; a port is a quarter of a box away from its middle."""
        row, part = divmod(level + 1, ROW)
        middle = TOP + BOX_HEIGHT / 2 + (len(self.rows) - 1 - row) * self.gap
        return middle - (part - 1) * BOX_HEIGHT / 4

    def lane_x(self, route: Route, time: Fraction) -> float:
        count = self.lanes.across_count[time]
        return self.x(time) + (self.lanes.across[route.source, time] - (count - 1) / 2) * LANE

    def lane_y(self, route: Route, level: int) -> float:
        """A lane of the gap whose level this is."""
        count = self.lanes.along_count[level]
        middle = (self.y(level - 2) + self.y(level + 2)) / 2
        return middle - (self.lanes.along[route.source, level] - (count - 1) / 2) * LANE

    @cached_property
    def foot(self) -> float:
        """The time axis."""
        return self.y(0) + BOX_HEIGHT / 2 + 8

    @cached_property
    def height(self) -> float:
        return self.foot + 46 + AGE_HEIGHT * len(self.drawn.paths) + 46

    # ---- what is drawn ----

    def parts(self) -> Iterable[str]:
        """The file's lines, back to front."""
        size = f"{_number(self.width)} {_number(self.height)}"
        wide, high = size.split()
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{wide}" height="{high}" role="img">'
        yield f"<title>{escape(self.title)}</title><style>{STYLE}</style>"
        yield f'<rect class="paper" width="{wide}" height="{high}"/>'
        clip = f'x="0" y="0" width="{_number(self.end)}" height="{high}"'
        yield f'<clipPath id="time"><rect {clip}/></clipPath>'
        yield _text(20, 32, self.title, "title", "start")
        yield _text(20, 53, words.execution(self.drawn), "", "start")
        yield from self._axis()
        yield '<g clip-path="url(#time)">'
        for lit in (False, True):
            for route in self.routes:
                if route.highlighted == lit:
                    yield from self._route(route)
        yield from self._sources()
        yield from self._boxes()
        yield from self._actions()
        yield "</g>"
        yield from self._ages()
        for number, line in enumerate(reversed(LEGEND)):
            yield _text(20, self.height - 16 - 18 * number, line, "", "start")
        yield "</svg>"

    def _axis(self) -> Iterable[str]:
        ticks = sorted({box.end for box in self.drawn.boxes if box.layer == self.drawn.layers[-1]})
        top = self.y(ROW * (len(self.rows) - 1)) - BOX_HEIGHT / 2
        every = words.stride(self.per_step, 30)
        for step in range(0, self.drawn.steps + 1):
            if step % every == 0:
                yield _line(self.x(step), top, self.x(step), self.foot + 5, "grid")
                yield _text(self.x(step), self.foot + 19, str(step))
        for tick in ticks:
            if tick.denominator != 1 and tick < self.drawn.steps:
                yield _line(self.x(tick), top, self.x(tick), self.foot, "tick")
        yield _line(self.x(0) - 6, self.foot, self.end, self.foot, "axis")
        yield _text(20, self.foot + 19, "environment step", "", "start")
        for number, name in enumerate(self.rows):
            level = ROW * number + (name in SOURCES)
            yield _text(20, self.y(level) + 4, words.row_name(name), "name", "start")

    def _route(self, route: Route) -> Iterable[str]:
        points: list[tuple[float, float]] = []
        if route.source[0] not in SOURCES:
            points.append((self._right(route), self.y(route.low)))
        for time, level in route.points:
            x = self.lane_x(route, time)
            points.append((x, self.lane_y(route, level) if level % ROW == 2 else self.y(level)))
        edge, y = self.x(route.end) + self.before, self.y(route.high)
        kind = _lit("line back" if route.recurrent else "line", route.highlighted)
        yield f'<path d="{_rounded([*points, (edge - HEAD / 2, y)])}" class="{kind}"/>'
        corners = f"{_number(edge)},{_number(y)} {_number(edge - HEAD)},{_number(y - 3.2)} "
        corners += f"{_number(edge - HEAD)},{_number(y + 3.2)}"
        yield f'<polygon points="{corners}" class="{_lit("head", route.highlighted)}"/>'

    def _right(self, route: Route) -> float:
        """Where a line leaves its box: the right edge, of a box that takes no time the left."""
        return self.x(route.begin) + (self.before if self.still else -self.after)

    def _sources(self) -> Iterable[str]:
        """Every observation, and the past actions that are read, on the line that leaves them."""
        place: dict[tuple[str, int], tuple[float, bool]] = {
            (OBSERVATION, step): (self.x(step), False) for step in range(self.drawn.steps)
        }
        for route in self.routes:
            if route.source[0] in SOURCES:
                lit = route.highlighted or place.get(route.source, (0, False))[1]
                place[route.source] = (self.lane_x(route, route.begin), lit)
        read = {route.source for route in self.routes}
        for (name, step), (x, lit) in place.items():
            y = self.y(ROW * self.rows.index(name) + 1)
            radius = (4.6 if name == OBSERVATION else 4.2) if (name, step) in read else 2
            if name == OBSERVATION:
                yield f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{radius}" class="{_lit("dot", lit)}"/>'
            else:
                corner = (
                    f'x="{_number(x - radius)}" y="{_number(y - radius)}" width="{2 * radius}" height="{2 * radius}"'
                )
                yield f'<rect {corner} class="{_lit("past", lit)}"/>'

    def _boxes(self) -> Iterable[str]:
        for box in self.drawn.boxes:
            begin = self.x(box.start) + self.before
            end = begin + STILL_WIDTH if self.still else self.x(box.end) - self.after
            yield from self._box(begin, end, box.layer, str(box.tick), box.highlighted)

    def _box(self, begin: float, end: float, row: str, told: str, lit: bool) -> Iterable[str]:
        y = self.y(ROW * self.rows.index(row))
        place = f'x="{_number(begin)}" y="{_number(y - BOX_HEIGHT / 2)}" width="{_number(end - begin)}"'
        yield f'<rect {place} height="{_number(BOX_HEIGHT)}" rx="5" class="{_lit("box", lit)}"/>'
        if told and 7.2 * len(told) < end - begin:
            yield _text((begin + min(end, self.end)) / 2, y + 4, told, _lit("in", lit))

    def _actions(self) -> Iterable[str]:
        """A bar for as long as one action is applied, with the ages it rests on at every step."""
        y = self.y(ROW * (len(self.rows) - 1)) + 4
        for held in words.held(self.drawn.applied):
            lit = any(each.step == self.drawn.highlight for each in held)
            begin = self.x(held[0].step) + self.before
            until = held[-1].step + 1
            end = self.x(until) - self.after if until < self.drawn.steps else max(begin, self.end) + 12
            if held[0].tick is None:
                yield _text((begin + end) / 2, y, "none yet" if end - begin > 60 else "–")
                continue
            yield from self._box(begin, end, OUTPUT, "", lit)
            cell = (min(end, self.end) - begin) / len(held)
            for number, told in enumerate(words.ages(held, cell / 7.2)):
                yield _text(begin + cell * (number + 0.5), y, told, _lit("in", lit))

    def _ages(self) -> Iterable[str]:
        """Under the axis, from each observation behind the highlighted action to the step that applies it."""
        if self.drawn.highlight is None:
            return
        until = self.x(self.drawn.highlight)
        for number, path in enumerate(self.drawn.paths):
            y = self.foot + 46 + AGE_HEIGHT * number
            begin = self.x(path.observation)
            yield _line(begin, y - 5, begin, y + 5, "age")
            yield _line(until, y - 5, until, y + 5, "age")
            yield _line(begin, y, until, y, "age")
            yield _text(until + 10, y + 4, words.path(path), "words", "start")


LEGEND = (
    "box: a layer at work, numbered by tick · filled: what one action depends on",
    "in the action row: how old, in steps, the observations behind it are · tiny circle: an observation nobody reads",
)


def _rounded(points: list[tuple[float, float]]) -> str:
    """A line through points with rounded corners."""
    kept = [point for number, point in enumerate(points) if number == 0 or point != points[number - 1]]
    path = f"M{_number(kept[0][0])} {_number(kept[0][1])}"
    for before, here, after in zip(kept, kept[1:], kept[2:], strict=False):
        entry, leave = _towards(here, before), _towards(here, after)
        path += f"L{_number(entry[0])} {_number(entry[1])}Q{_number(here[0])} {_number(here[1])} "
        path += f"{_number(leave[0])} {_number(leave[1])}"
    return path + f"L{_number(kept[-1][0])} {_number(kept[-1][1])}"


def _towards(here: tuple[float, float], there: tuple[float, float]) -> tuple[float, float]:
    """A corner's radius from here towards there, at most half the way."""
    across, along = there[0] - here[0], there[1] - here[1]
    length = abs(across) + abs(along)
    share = min(CORNER, length / 2) / length
    return (here[0] + across * share, here[1] + along * share)
