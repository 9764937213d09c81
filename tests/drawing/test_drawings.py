"""The drawings say what the picture says: counted, measured and, once, compared character by character."""

from __future__ import annotations

import itertools
import re
import unicodedata
from xml.etree import ElementTree

import pytest
from graphs import variants

from rtbench.architectures.mlp import MLP, Params
from rtbench.drawing import text as text_module
from rtbench.drawing.picture import Picture, picture
from rtbench.drawing.routes import ROW, lanes, routes, rows
from rtbench.drawing.svg import svg
from rtbench.drawing.text import WIDTH, text
from rtbench.graph import LayerGraph
from rtbench.parts import PolicyShape

SVG = "{http://www.w3.org/2000/svg}"
CASES = [("pipelined", 0.1), ("pipelined", 0.5), ("pipelined", 1), ("pipelined", 1.5), ("pipelined", 40)]
CASES += [("sequential", 0.25), ("sequential", 2), ("instant", 0)]
GRAPHS = {name: graph for name, graph in variants() if name[0] in "134"}


def mlp(**params: object) -> LayerGraph:
    return MLP(Params(**params)).make(PolicyShape(5, 2, 4))  # type: ignore[arg-type]


def test_the_text_drawing() -> None:
    """By hand: two steps a tick; the head reads what was just emitted, and a layer that read two steps before that."""
    assert text(picture(mlp(layers=2, skips="from-obs"), "pipelined", 2))[2:-3] == [
        "action                        ├───2────────3────┼──2·4──────3·5───╆━━2·4━━━━━━3·5━━━┽──2·4───┤",
        "                                                                  ┃",
        "head        ├────────0────────┼────────1────────╆━━━━━━━━2━━━━━━━━╃────────3────────┼───4────┤",
        "                                                ┃",
        "layer1      ├────────0────────╆━━━━━━━━1━━━━━━━━╉────────2────────┼────────3────────┼───4────┤",
        "                              ┃                 ┃",
        "observation o                 ●                 ●                 o                 o",
        "step        0        1        2        3        4        5        6        7        8        9",
        "                              ├───────────────────────────────────┤ 4 steps old, through 2 layers",
        "                                                ├─────────────────┤ 2 steps old, through 1 layer",
    ]


def arms(letter: str) -> tuple[int, int, int, int]:
    """Left, up, right, down of a box-drawing character, from its Unicode name."""
    words = unicodedata.name(letter).removeprefix("BOX DRAWINGS ").split()
    weights = {"LIGHT": 1, "HEAVY": 2}
    found: dict[str, int] = {}
    if words[0] in weights and sum(word in weights for word in words) == 1:  # LIGHT DOWN AND RIGHT
        words = [*words[1:], words[0]]
    if words[0] in weights:  # LIGHT LEFT AND HEAVY RIGHT
        words = [words[1], words[0], words[4], words[3]]
    waiting: list[str] = []
    for word in words:
        if word in weights:
            found |= dict.fromkeys(waiting, weights[word])
            waiting = []
        elif word != "AND":
            waiting += {"HORIZONTAL": ["LEFT", "RIGHT"], "VERTICAL": ["UP", "DOWN"]}.get(word, [word])
    return (found.get("LEFT", 0), found.get("UP", 0), found.get("RIGHT", 0), found.get("DOWN", 0))


def test_lines_meet_as_unicode_names_them() -> None:
    assert text_module._LINES[0] == " "
    for number, letter in enumerate(text_module._LINES[1:], start=1):
        assert arms(letter) == (number % 3, number // 3 % 3, number // 9 % 3, number // 27), letter


@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_text_fits_a_terminal(execution: str, delta: float) -> None:
    for name, graph in GRAPHS.items():
        for line in text(picture(graph, execution, delta)):
            assert len(line) <= WIDTH, (name, line)


def boxes_of(tree: ElementTree.Element) -> list[tuple[float, float, float, bool]]:
    """(y, left, right, highlighted) of every box."""
    return sorted(
        (float(r.get("y", 0)), float(r.get("x", 0)), float(r.get("x", 0)) + float(r.get("width", 0)), "lit" in kind)
        for r in tree.iter(f"{SVG}rect")
        if "box" in (kind := r.get("class") or "").split()
    )


def applied_bars(drawn: Picture) -> int:
    return sum(each.fresh for each in drawn.applied)


@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_svg_draws_every_box_and_none_on_another(execution: str, delta: float) -> None:
    for name in ("1-none-relu-none", "3-none-relu-none", "3-all-lstm-in-flight", "4-to-action-res-relu-observation"):
        drawn = picture(GRAPHS[name], execution, delta)
        tree = ElementTree.fromstring(svg(drawn, name))
        found = boxes_of(tree)
        assert len(found) == len(drawn.boxes) + applied_bars(drawn)
        assert sum(lit for *_, lit in found) == sum(box.highlighted for box in drawn.boxes) + 1
        for (y, _, right, _), (other_y, left, _, _) in itertools.pairwise(found):
            assert y != other_y or right <= left + 0.11, (name, right, left)
        assert all(right > left for _, left, right, _ in found)
        heads = list(tree.iter(f"{SVG}polygon"))
        edges = {left for _, left, _, _ in found}
        tips = {float(each.get("points", "").split(",")[0]) for each in heads}
        assert tips <= edges, "every arrow ends at a box"
        assert len(heads) == sum(route.end < drawn.steps for route in routes(drawn))


def test_equal_pictures_give_equal_bytes_and_the_title_is_escaped() -> None:
    one, other = (svg(picture(mlp(layers=3), "pipelined", 2), "a < b & c") for _ in range(2))
    assert one == other
    tree = ElementTree.fromstring(one)
    assert "a < b & c" in [each.text for each in tree.iter(f"{SVG}text")]
    assert "prefers-color-scheme:dark" in one
    assert not re.search(r"\d\.\d{2,}", "".join(tree.itertext())), "no long numbers"


def test_ages_stand_beside_the_highlighted_action() -> None:
    drawn = picture(mlp(layers=3, skips="from-obs"), "pipelined", 2)
    words = [each.text for each in ElementTree.fromstring(svg(drawn, "x")).iter(f"{SVG}text")]
    for told in ("6 steps old, through 3 layers", "4 steps old, through 2 layers", "2 steps old, through 1 layer"):
        assert told in words
    assert [told for told in words if told and "δ = 2 environment steps a layer" in told]


@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_lines_of_different_sources_do_not_lie_on_each_other(execution: str, delta: float) -> None:
    for name, graph in GRAPHS.items():
        drawn = picture(graph, execution, delta)
        found = routes(drawn)
        given = lanes(found)
        spans: dict[tuple[object, int], list[tuple[object, object, object]]] = {}
        for route in found:
            for (time, level), (until, reached) in zip(route.points, route.points[1:], strict=False):
                if time == until:
                    place = (time, given.across[route.source, time])
                    spans.setdefault(place, []).append((min(level, reached), max(level, reached), route.source))
                else:
                    place = (level, -1 - given.along[route.source, level])
                    spans.setdefault(place, []).append((time, until, route.source))
        for lines in spans.values():
            lines.sort(key=lambda line: line[:2])  # type: ignore[arg-type,return-value]
            for (_, high, source), (low, _, other) in itertools.pairwise(lines):
                assert source == other or high < low, (name, source, other)  # type: ignore[operator]


def test_rows_from_observations_to_actions() -> None:
    drawn = picture(mlp(layers=2, augmentation="observation"), "pipelined", 1)
    assert rows(drawn) == ("observation", "action", "layer1", "head", "output")
    waiting = next(route for route in routes(drawn) if route.source == ("action", 1))
    assert [level for _, level in waiting.points] == [ROW + 1, ROW + 2, ROW + 2, 2 * ROW - 1]
