"""What a drawing of a graph against time shows, as a value: layers at work, what each reads, what the world gets.

When ticks begin is the timeline's word; when a layer works within a tick, how far back it reads and what one action
depends on are the graph's. Nothing is computed twice here: this only lays the two beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, get_args

from rtbench.cell import Execution, Interaction
from rtbench.errors import SuiteError
from rtbench.graph import SOURCES, LayerGraph, layer_share
from rtbench.units import exact

if TYPE_CHECKING:
    from rtbench.interaction.timeline import Timeline


LARGEST_DELTA = 1000
LONGEST_PERIOD = 1000
"""Ticks that are looked at for the phases of ticks and environment steps; a δ of three decimals has no more."""
MOST_READS = 20_000
"""Arrows that a drawing may have."""


@dataclass(frozen=True)
class Box:
    """A layer at work in one tick; `start` and `end` in environment steps."""

    layer: str
    tick: int
    start: Fraction
    end: Fraction
    highlighted: bool


@dataclass(frozen=True)
class Arrow:
    """`reader` reads, as it starts in `tick`, what `source` had ready at `ready` (environment steps).

    `index` is the source's tick, of an observation or action its environment step; `lag_ticks` how many ticks back.
    """

    source: str
    index: int
    ready: Fraction
    reader: str
    tick: int
    lag_ticks: int
    recurrent: bool
    highlighted: bool


@dataclass(frozen=True)
class Applied:
    """The action of one environment step: the head's of `tick`, None before the first (the default policy acts).

    `fresh` on the first step it acts. `ages_steps`: of the observations it rests on, as far as the episode has them.
    """

    step: int
    tick: int | None
    fresh: bool
    ages_steps: tuple[int, ...]


@dataclass(frozen=True)
class Path:
    """What the highlighted action owes to one observation: its age when the action is first applied.

    `layers`: how many each way from it to the action passes, ascending.
    """

    observation: int
    age_steps: int
    layers: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """`steps` environment steps from an episode's start on; the action of step `highlight` stands out (None: none).

    `layers` in the order of evaluation; `paths` from the oldest observation to the newest.
    """

    execution: str
    delta: Fraction
    steps: int
    layers: tuple[str, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    applied: tuple[Applied, ...]
    highlight: int | None
    paths: tuple[Path, ...]


def picture(graph: LayerGraph, execution: str, delta: float | Fraction, steps: int | None = None) -> Picture:
    """A graph under an execution with `delta` environment steps a layer (no matter under `instant`).

    Without `steps` as many as show one action with all it rests on, and a tick before and after. The highlighted action
    is the last but one of those whose every path begins within the episode. Raises SuiteError for impossible values.
    """
    _check(execution, delta, steps)
    delta = Fraction(0) if execution == "instant" else exact(delta)
    drawing = _Drawing(graph, execution, delta)
    timeline = drawing.timeline(drawing.enough_steps() if steps is None else steps)
    return drawing.picture(timeline)


def ages_when_applied(graph: LayerGraph, execution: str, delta: float | Fraction) -> tuple[int, int]:
    """Ages, in environment steps, of the newest and the oldest observation behind an action as it is first applied.

    Over all phases that ticks and environment steps take to each other; without the first actions of an episode.
    Raises SuiteError as `picture` does.
    """
    _check(execution, delta, None)
    drawing = _Drawing(graph, execution, Fraction(0) if execution == "instant" else exact(delta))
    fresh = [each for each in drawing.applied(drawing.timeline(drawing.period_steps())) if each.fresh]
    ages = [each.ages_steps for each in fresh if (each.tick or 0) >= drawing.backs[-1][0]]
    return min(age[0] for age in ages), max(age[-1] for age in ages)


def _check(execution: str, delta: float | Fraction, steps: int | None) -> None:
    if execution not in get_args(Execution):
        raise SuiteError(f"unknown execution {execution!r}", given=execution, allowed=get_args(Execution))
    if execution != "instant" and not 0 < delta <= LARGEST_DELTA:
        raise SuiteError(f"delta must be positive and at most {LARGEST_DELTA} steps, got {delta}", place="delta")
    if steps is not None and steps < 1:
        raise SuiteError(f"a drawing needs at least one environment step, got {steps}", place="steps")


class _Drawing:
    """A graph with its lags, and how its layers divide a tick."""

    def __init__(self, graph: LayerGraph, execution: str, delta: Fraction) -> None:
        self.graph, self.execution, self.delta = graph, execution, delta
        rule = delta or Fraction(1)
        self.lags = graph.lags(execution, rule)
        self.plan = graph.plan(execution, rule)
        self.backs = sorted({(age - self.lags.head, passed) for age, passed in graph.ages(execution, rule)})
        self.share = layer_share(execution, rule)
        self.offsets = graph.phases(execution, rule)
        if execution == "sequential":  # one layer after the other, within one inference
            self.share = Fraction(1, len(graph.layers))
            self.offsets = {layer.name: i * self.share for i, layer in enumerate(graph.layers)}

    def timeline(self, steps: int) -> Timeline:
        """One process that starts again as soon as it may: the first paper's way of meeting the world."""
        from rtbench import plugins
        from rtbench.interaction.timing import timeline_of

        interaction = Interaction(
            scheduler=plugins.use("schedulers", "one-process"),
            execution=self.execution,  # type: ignore[arg-type]
            delta=float(self.delta),
            default_policy=plugins.use("default_policies", "repeat-last"),
        )
        return timeline_of(interaction, len(self.graph.layers), 1.0, steps, 0)

    def enough_steps(self) -> int:
        """Until half a tick after an action that has all its plan, one tick before it and one after it."""
        ends = self._ends(self.plan.window_ticks + 2)
        return ends[-1] + max(1, (ends[-1] - ends[-2]) // 2)

    def period_steps(self) -> int:
        """Until ticks and environment steps have met in every phase, after the episode's first actions."""
        return self._ends(self.plan.window_ticks + min(self.delta.denominator, LONGEST_PERIOD))[-1] + 1

    def _ends(self, ticks: int) -> list[int]:
        """The environment steps by which each of so many ticks is over."""
        timeline = self.timeline(4)
        while len(timeline.started_ns) < ticks:
            timeline = self.timeline(2 * timeline.steps)
        return [-(-finished_ns // timeline.step_ns) for finished_ns in timeline.finished_ns[:ticks].tolist()]

    def picture(self, timeline: Timeline) -> Picture:
        """Everything, over the timeline's steps."""
        reads: list[int] = timeline.read_step.tolist()
        if len(reads) * sum(len(layer.reads) for layer in self.graph.layers) > MOST_READS:
            raise SuiteError(
                f"too much to draw: more than {MOST_READS} reads", hint="fewer layers or environment steps"
            )
        applied = self.applied(timeline)
        whole = [each for each in applied if each.fresh and (each.tick or 0) >= self.plan.window_ticks - 1]
        chosen = whole[-2:][0] if whole else None
        nodes = {(name, (chosen.tick or 0) - ticks) for name, ticks in self.plan.nodes} if chosen else set()
        boxes = self._boxes(timeline, nodes)
        return Picture(
            execution=self.execution,
            delta=self.delta,
            steps=timeline.steps,
            layers=tuple(layer.name for layer in self.graph.layers),
            boxes=tuple(boxes.values()),
            arrows=self._arrows(boxes, reads),
            applied=applied,
            highlight=chosen.step if chosen else None,
            paths=self._paths(chosen, reads) if chosen else (),
        )

    def _paths(self, chosen: Applied, reads: list[int]) -> tuple[Path, ...]:
        passed: dict[int, list[int]] = {}
        for back, layers in self.backs:
            passed.setdefault(reads[(chosen.tick or 0) - back], []).append(layers)
        return tuple(Path(seen, chosen.step - seen, tuple(sorted(passed[seen]))) for seen in sorted(passed))

    def _boxes(self, timeline: Timeline, highlighted: set[tuple[str, int]]) -> dict[tuple[str, int], Box]:
        found: dict[tuple[str, int], Box] = {}
        times = zip(timeline.started_ns.tolist(), timeline.finished_ns.tolist(), strict=True)
        for tick, (started_ns, finished_ns) in enumerate(times):
            took = Fraction(finished_ns - started_ns, timeline.step_ns)
            for layer in self.graph.layers:
                start = Fraction(started_ns, timeline.step_ns) + self.offsets[layer.name] * took
                if start < timeline.steps:
                    key = (layer.name, tick)
                    found[key] = Box(*key, start, start + self.share * took, key in highlighted)
        return found

    def _arrows(self, boxes: dict[tuple[str, int], Box], reads: list[int]) -> tuple[Arrow, ...]:
        """Every read within the episode; what lies before its first tick is the start rule's and has no arrow."""
        found: dict[tuple[str, int, str, int], Arrow] = {}
        for box in boxes.values():
            for number, read in enumerate(self.graph.by_name[box.layer].reads):
                lag = self.lags.edges[box.layer, number]
                if box.tick < lag:
                    continue
                index = box.tick - lag
                if read.source in SOURCES:
                    # The action beside an observation is the one applied on it.
                    index = reads[index]
                    ready = Fraction(index)
                else:
                    ready = boxes[read.source, index].end
                stands_out = box.highlighted and not read.recurrent
                found[read.source, index, box.layer, box.tick] = Arrow(
                    read.source, index, ready, box.layer, box.tick, lag, read.recurrent, stands_out
                )
        return tuple(found.values())

    def applied(self, timeline: Timeline) -> tuple[Applied, ...]:
        """What the world gets at every step, and how old what it rests on is."""
        reads = timeline.read_step.tolist()
        found: list[Applied] = []
        tick = -1
        for step, source in enumerate(timeline.source.tolist()):
            tick = source if source >= 0 else tick
            ages = {step - reads[tick - back] for back, _ in self.backs if tick >= back}
            found.append(Applied(step, tick if tick >= 0 else None, source >= 0, tuple(sorted(ages))))
        return tuple(found)
