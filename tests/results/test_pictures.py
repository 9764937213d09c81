"""Pictures: whole XML with words for those who do not see it, equal bytes, colours to be read on light and dark."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtbench.results.figures import OURS, Figure, Point
from rtbench.results.pictures import COLOURS, DARK, INK, MARKERS, PAPER, QUIET, canvas_of, caption, draw, spread
from rtbench.suites.document import FigureTable

BLOCK = ("paper", "100 ticks", "virtual", "")
NOBODY = ("", "", "", "")


def figure(points: list[Point], **table: Any) -> Figure:
    given = {
        "name": "f",
        "title": "A <title>",
        "about": "What & why.",
        "x": "x",
        "y": "y",
        "x_label": "x",
        "y_label": "y",
    }
    return Figure("tiny", "nowhere", FigureTable.model_validate({**given, **table}), tuple(points))


def points(panels: int = 1, series: int = 3, xs: tuple[Any, ...] = (0.0, 1.0, 2.0), value: str = "") -> list[Point]:
    names = itertools.product(range(panels), range(series), enumerate(xs))
    return [
        Point(OURS, BLOCK, f"p{p}" if panels > 1 else "", f"s{s}", value, x, 1.0 + s * n, 0.5, 1.5 + s * n, 3, 3)
        for p, s, (n, x) in names
    ]


PRINTED = [Point("printed", NOBODY, "", series, "", x, 2.0) for series in ("s1", "unknown", "") for x in (0.0, 1.0)]
CASES = {
    "line": figure([*points(), *PRINTED]),
    "panels": figure([*points(3), *PRINTED], panel="environment.id", same_scale=True),
    "logarithmic": figure([*points(xs=(0.0, 1e-5, 1.0)), *PRINTED], log=["x", "y"]),
    "many series": figure(points(series=12)),
    "coinciding": figure([*points(series=1), *[Point(OURS, BLOCK, "", "t", "", p.x, p.y) for p in points(series=1)]]),
    "scatter": figure([*points(), *PRINTED], kind="scatter"),
    "stacked bars": figure([*points(xs=("a", "b"), value="u"), *points(xs=("a", "b"), value="v")], kind="bar"),
    "text along x": figure(points(xs=("a", "b"))),
    "one point": figure(points(series=1, xs=(1.0,))),
    "incomplete": figure([Point(OURS, BLOCK, "", "s", "", 1.0, 2.0, None, None, 1, 3)]),
    "no rows": figure([]),
    "only printed": figure(PRINTED),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_is_whole_and_says_what_it_shows(name: str) -> None:
    text = draw(CASES[name]).decode()
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.findtext(f"{space}title") == "A <title>"
    told = root.findtext(f"{space}desc") or ""
    assert told == f"What & why. {caption(CASES[name])}."
    assert "prefers-color-scheme:dark" in (root.findtext(f"{space}style") or "")
    assert not root.findall(f".//{space}text"), "text is drawn as paths, so that no font is missing anywhere"
    assert " style=" not in text, "a style would overrule the colours for dark backgrounds"


@pytest.mark.parametrize(
    "told", [r"Delay \lambda \1 \g<1>", "costs $5, not $6", "a $x_{$", r"a \$ b", "<script>--></script>", ""]
)
def test_text_is_drawn_as_it_stands(told: str) -> None:
    """Backslashes are no references, dollars no formulas; the words stand in the file letter by letter."""
    series = [Point(OURS, BLOCK, told, told, told, x, 1.0, runs=3, runs_wanted=3) for x in (1.0, 2.0)]
    words = {"title": told, "about": told or "-", "x_label": told, "y_label": told}
    for kind in ("line", "bar"):
        drawn = draw(figure(series, **words, kind=kind, panel="environment.id"))
        assert b"Oblique" not in drawn, "the letters of formulas"
        root = ET.fromstring(drawn)
        assert (root.findtext("{*}title") or "") == told
        assert (root.findtext("{*}desc") or "").startswith(told)


def test_large_numbers_of_a_logarithmic_axis_are_powers_without_formulas() -> None:
    from rtbench.results.pictures import _round

    assert [_round(x) for x in (0, 0.01, 200, 1e6, 2.5e7, 1e-5)] == ["0", "0.01", "200", "10⁶", "2.5 × 10⁷", "10⁻⁵"]


def test_equal_figures_give_equal_bytes_without_a_date() -> None:
    assert draw(CASES["panels"]) == draw(CASES["panels"])
    assert not re.search(rb"20[2-9][0-9]-", draw(CASES["line"]))


def test_every_series_has_its_colour_and_incomplete_points_are_hollow() -> None:
    whole = draw(CASES["line"]).decode()
    assert all(colour in whole for colour in COLOURS[:3])
    assert COLOURS[4] not in whole.partition("</style>")[2]
    hollow = draw(CASES["incomplete"]).decode().partition("</style>")[2]
    assert f'fill="{PAPER}" stroke="{COLOURS[0]}"' in hollow or f'fill="{PAPER}"' in hollow
    assert "hollow points: some runs lack the number" in draw(CASES["incomplete"]).decode()


def test_all_that_is_drawn_lies_within_the_axes() -> None:
    """The greatest value stands in the last panel: the first must not fix the common scale."""
    for same_scale in (True, False):
        high = [Point(OURS, BLOCK, f"p{n}", "s", "", x, n * 10.0 + x) for n in range(3) for x in (0.0, 1.0)]
        canvas = canvas_of(figure(high, panel="environment.id", same_scale=same_scale))
        limits = [axes.get_ylim() for axes in canvas.axes[:3]]
        assert all(low == 0 and top >= 10 * n + 1 for n, (low, top) in enumerate(limits))
        assert (len(set(limits)) == 1) is same_scale


def test_a_png_is_a_png() -> None:
    assert draw(CASES["line"], "png").startswith(b"\x89PNG")


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [INK, QUIET, *COLOURS])
def test_small_text_of_every_colour_can_be_read_on_light_and_dark(colour: str) -> None:
    """Labels have the colours of their lines; WCAG asks for a contrast of 4.5 (AA)."""
    for text, paper in ((colour, PAPER), (DARK[colour], DARK[PAPER])):
        dark, light = sorted((luminance(text), luminance(paper)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, paper)


def test_the_colours_differ() -> None:
    assert len({*COLOURS, INK, QUIET, PAPER}) == len(COLOURS) + 3
    assert len(set(DARK.values())) == len(DARK)


def test_labels_are_moved_apart_by_hand() -> None:
    assert spread([10.0, 50.0], 5.0, 0.0, 100.0) == [10.0, 50.0]
    assert spread([10.0, 12.0, 50.0], 5.0, 0.0, 100.0) == [10.0, 15.0, 50.0]
    assert spread([99.0, 100.0, 20.0], 5.0, 0.0, 100.0) == [95.0, 100.0, 20.0]
    assert spread([], 5.0, 0.0, 100.0) == []


@given(st.lists(st.floats(0, 100), max_size=12))
def test_labels_never_overlap_and_keep_their_order(wanted: list[float]) -> None:
    placed = spread(wanted, 5.0, 0.0, 100.0)
    ordered = sorted(placed)
    assert all(above - below >= 5.0 - 1e-9 for below, above in itertools.pairwise(ordered))
    assert all(height <= 100.0 for height in placed)
    by_wish = [placed[index] for index in sorted(range(len(wanted)), key=lambda index: (wanted[index], index))]
    assert by_wish == ordered


def test_many_series_differ_in_colour_or_marker() -> None:
    combined = list(itertools.islice(zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False), 30))
    assert len(set(combined)) == 30


def test_a_panel_of_a_number_says_what_it_counts() -> None:
    numbered = [Point(OURS, BLOCK, panel, "s", "", x, x) for panel in ("1", "2.5") for x in (0.0, 1.0)]
    for field, told in (
        ("learner.threads", ["threads = 1", "threads = 2.5"]),
        ("interaction.delta", ["δ = 1", "δ = 2.5"]),
    ):
        canvas = canvas_of(figure(numbered, panel=field))
        assert [axes.get_title(loc="left") for axes in canvas.axes[:2]] == told


def test_what_is_negative_is_stacked_downwards() -> None:
    """At one place 3, −2, 4 and −1: from 0 to 3, 0 to −2, 3 to 7, −2 to −3."""
    given = [Point(OURS, BLOCK, "", "", name, "a", y) for name, y in zip("pqrs", (3.0, -2.0, 4.0, -1.0), strict=True)]
    (axes,) = canvas_of(figure(given, kind="bar")).axes
    found = [(bar.get_y(), bar.get_y() + bar.get_height()) for group in axes.containers for bar in group]
    assert found == [(0, 3), (0, -2), (3, 7), (-2, -3)]
