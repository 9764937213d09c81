"""The pictures of a site: figures drawn once per content, timelines and layer graphs of the suites' cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtbench.cell import Cell, Interaction
from rtbench.errors import RtbenchError
from rtbench.graph import LayerGraph
from rtbench.interaction.timing import draws, graph_execution, timeline_of
from rtbench.parts import PolicyShape, canonical_json
from rtbench.realtime.recording import Recording
from rtbench.results.figures import Figure, to_csv
from rtbench.results.recordings import recording_name
from rtbench.suites.identity import digest

LONGEST_STEPS = 240
"""Steps beyond which a timeline is too long to be read."""
Recordings = Callable[[Mapping[str, Any]], Recording | None]
"""What happened when in the run that a row tells of, on the wall clock; None where it was not kept."""


@dataclass(frozen=True)
class Picture:
    """A picture with its words; `data` is its CSV, None where it shows no data."""

    name: str
    title: str
    about: str
    kind: str
    svg: str
    data: str | None = None
    note: str = ""


@dataclass
class Artist:
    """Draws what it is asked for, the same thing once: a site that is built again and again draws only what changed."""

    can_draw: bool = True
    recordings: Recordings = lambda row: None
    _figures: dict[str, str] = field(default_factory=dict)
    _cells: dict[str, tuple[Picture | None, Picture | None]] = field(default_factory=dict)
    _happened: dict[str, Picture] = field(default_factory=dict)
    _shapes: dict[str, tuple[PolicyShape, float] | None] = field(default_factory=dict)

    def figure(self, figure: Figure) -> Picture:
        """A figure as SVG; without matplotlib its data alone."""
        from rtbench.results.pictures import caption, draw

        data = to_csv(figure)
        about = caption(figure)
        svg = ""
        if self.can_draw:
            key = digest([figure.suite, figure.table.model_dump(), data])
            if key not in self._figures:
                self._figures[key] = draw(figure).decode()
            svg = self._figures[key]
        return Picture(figure.name, figure.table.title, figure.table.about, "plot", svg, data, about)

    def of_cell(self, cell: Cell) -> tuple[Picture | None, Picture | None]:
        """Who computes what, when, and the layers against time; None for what has no time or cannot be built here."""
        world = self._world(cell)
        if world is None:
            return None, None
        data = cell.data()
        key = digest([data["architecture"], data["interaction"], world[1], list(world[0].__dict__.values())])
        if key not in self._cells:
            self._cells[key] = _drawn(cell, *world, key[:12])
        return self._cells[key]

    def of_run(self, cell: Cell, row: Mapping[str, Any]) -> Picture | None:
        """What happened when in the middle of a run on the wall clock; None where that was not kept."""
        from rtbench.plugins import build

        key = recording_name(row)
        if key in self._happened:
            return self._happened[key]
        world = self._world(cell)
        recording = self.recordings(row) if world is not None and cell.interaction.clock == "wall" else None
        if world is None or recording is None:
            return None
        try:
            drawn = _happened(cell, build(cell.architecture).make(world[0]), recording, row)
        except Exception:  # somebody's architecture or recording may fail in any way
            return None
        if drawn is not None:
            self._happened[key] = drawn
        return drawn

    def _world(self, cell: Cell) -> tuple[PolicyShape, float] | None:
        from rtbench.plugins import build

        key = canonical_json(cell.environment.data())
        if key not in self._shapes:
            try:
                spec = build(cell.environment).spec()
                self._shapes[key] = (PolicyShape.of(spec, spec.action_size), spec.step_s)
            except Exception:  # somebody's environment may fail in any way: its pictures are left out
                self._shapes[key] = None
        return self._shapes[key]


def _drawn(cell: Cell, shape: PolicyShape, step_s: float, key: str) -> tuple[Picture | None, Picture | None]:
    from rtbench.plugins import build

    try:
        graph = build(cell.architecture).make(shape)
    except Exception:  # as above, somebody's architecture
        return None, None
    return _timeline(cell, graph, step_s, key), _layers(cell, graph, key)


def _lags(graph: LayerGraph, met: Interaction) -> tuple[int, int]:
    """How many ticks back the newest and the oldest observation behind an action are read, its own tick being 1."""
    execution, delta = graph_execution(met), met.delta or 1.0
    backs = [age - graph.lags(execution, delta).head for age, _ in graph.ages(execution, delta)]
    return 1 + min(backs), 1 + max(backs)


def _timeline(cell: Cell, graph: LayerGraph, step_s: float, key: str) -> Picture | None:
    from rtbench.report.timelines import timeline_svg

    met = cell.interaction
    if met.execution == "instant" or met.clock != "virtual" or met.counterfactual != "none":
        return None
    try:
        line = timeline_of(met, len(graph.layers), step_s, LONGEST_STEPS, 0, "report")
        drawn = draws(met, len(graph.layers), step_s)
    except Exception:  # as above, somebody's scheduler
        return None
    if line.startup_steps >= LONGEST_STEPS:
        return None
    title = _arrangement(met)
    about = "From an episode's start, on the virtual clock." + (" Durations are one draw of many." if drawn else "")
    return Picture(f"timeline-{key}", title, about, "timeline", timeline_svg(line, title, lags=_lags(graph, met)))


def _happened(cell: Cell, graph: LayerGraph, recording: Recording, row: Mapping[str, Any]) -> Picture | None:
    from rtbench.report.timelines import learnt_beside, timeline_svg

    found = recording.stretch_of(len(recording.rewards) // 2)
    if found is None:
        return None
    stretch, begin = found
    line, met = stretch.timeline, cell.interaction
    first = max(0, len(recording.rewards) // 2 - begin)
    title = f"{_arrangement(met)}, seed {row['seed']}"
    drawn = timeline_svg(line, title, lags=_lags(graph, met), first=first, learnt=learnt_beside(recording, stretch))
    about = f"As it happened on the wall clock, from {(begin + first) * line.step_ns / 1e9:.4g} s of the run on."
    return Picture(f"happened-{row['run_id'][:12]}-{recording_name(row)[-20:-8]}", title, about, "timeline", drawn)


def _arrangement(met: Interaction) -> str:
    return f"{met.scheduler.title}, {met.execution}, {met.processes} process{'es' * (met.processes > 1)}"


def _layers(cell: Cell, graph: LayerGraph, key: str) -> Picture | None:
    from rtbench.drawing.picture import picture
    from rtbench.drawing.svg import svg

    met = cell.interaction
    execution = graph_execution(met)
    try:
        drawn = picture(graph, execution, 0.0 if execution == "instant" else met.delta or 1.0)
    except RtbenchError:
        return None
    delta = "" if execution == "instant" else " with δ = 1 instead of its latency" if not met.delta else ""
    title = f"{cell.architecture.title}, {execution}"
    about = f"Which layer computes when, and what the filled action rests on{delta}."
    return Picture(f"layers-{key}", title, about, "layers", svg(drawn, title))


def distinct(pictures: Sequence[Picture | None], most: int) -> list[Picture]:
    """The first pictures of different titles, at most so many."""
    found: dict[str, Picture] = {}
    for picture in pictures:
        if picture is not None:
            found.setdefault(picture.title, picture)
    return list(found.values())[:most]
