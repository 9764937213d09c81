"""The picture of a graph against time: cases by hand, and what must hold for every architecture and delta."""

from __future__ import annotations

from fractions import Fraction

import pytest
from graphs import DELTAS, variants
from naive_graph import ContinuousTime

from rtbench import plugins
from rtbench.architectures.mlp import MLP, Params
from rtbench.cell import Interaction
from rtbench.drawing.picture import Picture, ages_when_applied, picture
from rtbench.errors import SuiteError
from rtbench.graph import SOURCES, LayerGraph
from rtbench.interaction.timing import timeline_of
from rtbench.parts import PolicyShape

half = Fraction(1, 2)
GRAPHS = {name: graph for name, graph in variants() if name[0] in "134"}


def mlp(**params: object) -> LayerGraph:
    return MLP(Params(**params)).make(PolicyShape(5, 2, 4))  # type: ignore[arg-type]


def times(drawn: Picture, layer: str) -> list[tuple[Fraction, Fraction]]:
    return [(box.start, box.end) for box in drawn.boxes if box.layer == layer]


def reads(drawn: Picture, layer: str, tick: int) -> dict[tuple[str, int], Fraction]:
    return {(a.source, a.index): a.ready for a in drawn.arrows if (a.reader, a.tick) == (layer, tick)}


def lit(drawn: Picture) -> set[tuple[str, int]]:
    return {(box.layer, box.tick) for box in drawn.boxes if box.highlighted}


def ages(drawn: Picture) -> list[tuple[int, ...]]:
    return [each.ages_steps for each in drawn.applied]


def test_three_layers_in_a_row() -> None:
    drawn = picture(mlp(layers=3), "pipelined", 1)
    assert drawn.steps == 6
    assert times(drawn, "layer1") == times(drawn, "head") == [(t, t + 1) for t in range(6)]
    assert reads(drawn, "layer1", 1) == {("observation", 1): 1}
    assert reads(drawn, "layer2", 2) == {("layer1", 1): 2}
    assert reads(drawn, "layer2", 0) == {}
    assert ages(drawn) == [(), (), (), (3,), (3,), (3,)]
    assert [each.tick for each in drawn.applied] == [None, 0, 1, 2, 3, 4]
    assert drawn.highlight == 4
    assert lit(drawn) == {("layer1", 1), ("layer2", 2), ("head", 3)}
    assert [(p.observation, p.age_steps, p.layers) for p in drawn.paths] == [(1, 3, (3,))]


def test_skips_from_the_observation_at_two_steps_a_layer() -> None:
    drawn = picture(mlp(layers=3, skips="from-obs"), "pipelined", 2)
    assert times(drawn, "layer2")[:3] == [(0, 2), (2, 4), (4, 6)]
    assert reads(drawn, "head", 3) == {("observation", 6): 6, ("layer2", 2): 6}
    assert drawn.highlight == 8
    assert ages(drawn)[8:10] == [(2, 4, 6), (3, 5, 7)]
    assert [each.fresh for each in drawn.applied[6:10]] == [True, False, True, False]
    assert [(p.observation, p.age_steps, p.layers) for p in drawn.paths] == [(2, 6, (3,)), (4, 4, (2,)), (6, 2, (1,))]
    assert lit(drawn) == {("layer1", 1), ("layer2", 2), ("head", 3)}


def test_all_skips_need_the_lower_layers_again() -> None:
    drawn = picture(mlp(layers=3, skips="all"), "pipelined", 1)
    assert lit(drawn) == {("layer1", 1), ("layer1", 2), ("layer2", 2), ("head", 3)}
    assert reads(drawn, "head", 3) == {("observation", 3): 3, ("layer1", 2): 3, ("layer2", 2): 3}


def test_one_layer_at_one_and_a_half_steps() -> None:
    """The rule of the design, by hand: tick m reads at m·δ and acts from the first step at or after (m + 1)·δ."""
    drawn = picture(mlp(layers=1), "pipelined", 1.5, 7)
    assert times(drawn, "head") == [(m * 3 * half, (m + 1) * 3 * half) for m in range(5)]
    assert ages(drawn)[:6] == [(), (), (2,), (2,), (3,), (2,)]
    assert ages_when_applied(mlp(layers=1), "pipelined", 1.5) == (2, 2)
    assert ages_when_applied(mlp(layers=2), "pipelined", 1.5) == (3, 4)


def test_half_a_step_a_layer_fits_two_layers_into_a_tick() -> None:
    """Walking up the longest path the head ends at a tick's end, so the first of three layers waits half a tick."""
    drawn = picture(mlp(layers=3), "pipelined", 0.5)
    assert times(drawn, "layer1")[:2] == [(half, 1), (3 * half, 2)]
    assert times(drawn, "layer2")[:2] == [(0, half), (1, 3 * half)]
    assert times(drawn, "head")[:2] == [(half, 1), (3 * half, 2)]
    assert reads(drawn, "layer1", 1) == {("observation", 1): 1}
    assert reads(drawn, "layer2", 2) == {("layer1", 1): 2}
    assert reads(drawn, "head", 2) == {("layer2", 2): 5 * half}
    assert [(p.observation, p.age_steps, p.layers) for p in drawn.paths] == [(1, 2, (3,))]


def test_one_layer_after_the_other() -> None:
    drawn = picture(mlp(layers=2), "sequential", 1.5)
    assert times(drawn, "layer1")[:2] == [(0, 3 * half), (3, 9 * half)]
    assert times(drawn, "head")[:2] == [(3 * half, 3), (9 * half, 6)]
    assert ages(drawn)[3:7] == [(3,), (4,), (5,), (3,)]
    assert reads(drawn, "layer1", 1) == {("observation", 3): 3}


def test_sequential_waits_for_the_next_observation() -> None:
    drawn = picture(mlp(layers=3), "sequential", 0.25)
    assert times(drawn, "layer2")[:2] == [(Fraction(1, 4), half), (Fraction(5, 4), 3 * half)]
    assert ages(drawn)[1:3] == [(1,), (1,)]


def test_instant_takes_no_time() -> None:
    drawn = picture(mlp(layers=3, skips="to-action"), "instant", 7)
    assert drawn.delta == 0
    assert {box.end - box.start for box in drawn.boxes} == {0}
    assert ages(drawn) == [(0,)] * drawn.steps
    assert [(p.observation, p.age_steps, p.layers) for p in drawn.paths] == [(1, 0, (1, 2, 3))]


def test_an_lstm_reads_itself_and_that_is_no_path() -> None:
    drawn = picture(mlp(layers=3, lstm=True), "pipelined", 1)
    (back,) = [a for a in drawn.arrows if a.recurrent and a.tick == 2]
    assert (back.source, back.index, back.ready, back.reader) == ("layer2", 1, 2, "layer2")
    assert not any(arrow.highlighted for arrow in drawn.arrows if arrow.recurrent)
    assert lit(drawn) == {("layer1", 1), ("layer2", 2), ("head", 3)}


def test_past_actions_are_those_applied_on_the_observations() -> None:
    published = picture(mlp(layers=2, augmentation="observation", actions=2), "pipelined", 2)
    assert reads(published, "layer1", 3) == {("observation", 6): 6, ("action", 4): 4, ("action", 2): 2}
    in_flight = picture(mlp(layers=2, augmentation="in-flight"), "pipelined", 1.5)
    assert reads(in_flight, "head", 3) == {("layer1", 2): 9 * half, ("action", 4): 4, ("action", 3): 3}
    instant = picture(mlp(layers=2, augmentation="in-flight"), "instant", 0)
    assert reads(instant, "layer1", 2) == {("observation", 2): 2, ("action", 1): 1}


def test_too_short_for_a_whole_action() -> None:
    drawn = picture(mlp(layers=3), "pipelined", 2, 5)
    assert (drawn.highlight, drawn.paths, lit(drawn)) == (None, (), set())


@pytest.mark.parametrize(
    ("execution", "delta", "steps"),
    [
        ("parallel", 1, None),
        ("pipelined", 0, None),
        ("sequential", float("nan"), None),
        ("pipelined", 2000, None),
        ("pipelined", 1, 0),
        ("pipelined", 1, 10_000),
    ],
)
def test_what_cannot_be_drawn(execution: str, delta: float, steps: int | None) -> None:
    with pytest.raises(SuiteError):
        picture(mlp(layers=3), execution, delta, steps)


CASES = [("pipelined", delta) for delta in DELTAS] + [("sequential", 0.4), ("sequential", 1.5), ("instant", 0)]


@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_every_source_is_finished_when_its_reader_starts_and_no_newer_one_is(execution: str, delta: float) -> None:
    for name, graph in GRAPHS.items():
        drawn = picture(graph, execution, delta)
        box = {(each.layer, each.tick): each for each in drawn.boxes}
        for arrow in drawn.arrows:
            reader = box[arrow.reader, arrow.tick]
            assert arrow.ready <= reader.start, (name, arrow)
            if arrow.source in SOURCES or arrow.recurrent:
                continue
            assert arrow.ready == box[arrow.source, arrow.index].end
            newer = box.get((arrow.source, arrow.index + 1))
            assert newer is None or newer.end > reader.start or newer is reader, (name, arrow)


@pytest.mark.parametrize("delta", DELTAS)
def test_boxes_are_where_an_independent_simulation_has_them(delta: float) -> None:
    tick_steps = max(Fraction(1), Fraction(str(delta)))
    for name, graph in GRAPHS.items():
        naive = ContinuousTime(graph, {}, "pipelined", delta, [], [])
        for box in picture(graph, "pipelined", delta).boxes:
            assert box.start == naive._starts(box.layer, box.tick) * tick_steps, name
            assert box.end - box.start == min(Fraction(str(delta)), tick_steps), name


def behind(drawn: Picture, layer: str, tick: int) -> tuple[set[int], set[tuple[str, int]], bool]:
    """By walking arrows back from a box: observations, boxes, and whether every read is within the episode."""
    observations: set[int] = set()
    boxes: set[tuple[str, int]] = set()
    pending = [(layer, tick)]
    arrows: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for arrow in drawn.arrows:
        if not arrow.recurrent:
            arrows.setdefault((arrow.reader, arrow.tick), []).append((arrow.source, arrow.index))
    while pending:
        here = pending.pop()
        boxes.add(here)
        for source, index in arrows.get(here, []):
            if source == "observation":
                observations.add(index)
            elif source != "action" and (source, index) not in boxes:
                pending.append((source, index))
    return observations, boxes, all(here in arrows for here in boxes)


@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_ages_and_highlight_are_what_the_arrows_lead_to(execution: str, delta: float) -> None:
    for name, graph in GRAPHS.items():
        drawn = picture(graph, execution, delta)
        for each in drawn.applied:
            if each.tick is not None:
                observations, _, _ = behind(drawn, "head", each.tick)
                assert each.ages_steps == tuple(sorted(each.step - seen for seen in observations)), (name, each)
        assert drawn.highlight is not None
        chosen = drawn.applied[drawn.highlight]
        assert chosen.tick is not None
        observations, boxes, whole = behind(drawn, "head", chosen.tick)
        assert whole, name
        assert boxes == lit(drawn), name
        assert [path.observation for path in drawn.paths] == sorted(observations), name
        if float(delta).is_integer() and execution == "pipelined":
            steps = {age * delta for age, _ in graph.ages(execution, delta)}
            assert {path.age_steps for path in drawn.paths} == steps, name


@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_ages_are_the_timelines(execution: str, delta: float) -> None:
    """The timeline's own count of newest and oldest ages, from the graph's lags."""
    graph = GRAPHS["3-all-relu-none"]
    drawn = picture(graph, execution, delta, 40)
    interaction = Interaction(
        scheduler=plugins.use("schedulers", "one-process"),
        execution=execution,  # type: ignore[arg-type]
        delta=delta,
        default_policy=plugins.use("default_policies", "repeat-last"),
    )
    timeline = timeline_of(interaction, 3, 1.0, 40, seed=5)
    head = graph.lags(execution, delta or 1).head
    lags = sorted(age - head + 1 for age, _ in graph.ages(execution, delta or 1))
    newest, oldest = timeline.ages(lags[0], lags[-1], holds=True)
    for each in drawn.applied:
        if each.tick is None:
            assert newest[each.step] is not newest.data[each.step]
            assert bool(newest.mask[each.step])
        elif each.tick >= lags[-1] - 1:
            assert (each.ages_steps[0], each.ages_steps[-1]) == (newest[each.step], oldest[each.step])


def test_thirds_are_exact() -> None:
    drawn = picture(mlp(layers=3), "pipelined", Fraction(1, 3))
    assert [box.end - box.start for box in drawn.boxes] == [Fraction(1, 3)] * len(drawn.boxes)
    assert times(drawn, "head")[0] == (Fraction(2, 3), 1)
