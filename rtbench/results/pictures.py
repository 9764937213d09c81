"""A figure drawn with matplotlib: SVG that follows the reader's light or dark scheme, or PNG.

Text is drawn as paths of matplotlib's own font, so that a picture looks equal anywhere; title and description are in
the SVG for those who do not see it. Colours are those of Okabe and Ito, dark enough for small text; markers differ too.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from rtbench.results.figures import OURS, SYMBOLS, Figure, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET, GRID, PAPER = "#1d2939", "#667085", "#e4e7ec", "#ffffff"
COLOURS = ("#0072b2", "#c85200", "#00835f", "#a63d90", "#8f6700", "#5f6f00", "#7a5230", "#4b4b8f")
DASHES = ((4, 3), (1, 2), (6, 2, 1, 2))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one fewer than colours: 56 series before two look the same
DARK = {
    **{INK: "#e4e7ec", QUIET: "#a4aebd", GRID: "#2b3340", PAPER: "#14181f"},
    **dict(
        zip(
            COLOURS,
            ("#4aa8e0", "#ff8a50", "#3fc99b", "#dd88cc", "#e6b93c", "#c3d44a", "#c89a70", "#a9a9ee"),
            strict=True,
        )
    ),
}
"""What each colour becomes on a dark background."""
HEAD_INCHES = 0.55
PANEL_INCHES, MOST_DIRECT, MOST_COLUMNS, MOST_TICKS = (6.4, 3.9), 8, 2, 10
SETTINGS: Any = {
    **{"svg.hashsalt": "rtbench", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9.5},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": QUIET, "axes.labelcolor": QUIET},
    **{"xtick.color": QUIET, "ytick.color": QUIET, "text.color": INK, "figure.facecolor": PAPER},
    **{"axes.facecolor": PAPER, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.8, "axes.axisbelow": True},
    "text.parse_math": False,  # a dollar in a label is a dollar
}

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Key = tuple[str, str]
"""Series and value: what has a colour of its own."""


def draw(figure: Figure, form: Literal["svg", "png"] = "svg") -> bytes:
    """The picture of a figure's `drawn` points."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        canvas = canvas_of(figure)
        if form == "png":
            canvas.savefig(buffer, format="png", dpi=130)
            return buffer.getvalue()
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_readers(buffer.getvalue().decode(), figure).encode()


def canvas_of(figure: Figure) -> Any:
    """The same before it is a file: matplotlib's own figure, a panel an axes."""
    from matplotlib.figure import Figure as Canvas

    panels = list(dict.fromkeys(point.panel for point in figure.drawn if point.origin == OURS)) or [""]
    columns = min(len(panels), MOST_COLUMNS)
    rows = -(-len(panels) // columns)
    # Beside a single panel there is room for the names of its lines.
    width, height = (PANEL_INCHES[0] + 1.9, PANEL_INCHES[1]) if len(panels) == 1 else (4.3 * columns, 3.0 * rows)
    canvas: Any = Canvas(figsize=(width, height + 0.7), layout="constrained")
    axes = canvas.subplots(rows, columns, squeeze=False, sharey=figure.table.same_scale)
    styles = _styles(figure)
    ends = [_panel(place, figure, panel, styles) for place, panel in zip(axes.flat, panels, strict=False)]
    _from_zero(axes.flat[: len(panels)], figure)
    for place in axes.flat[len(panels) :]:
        place.set_axis_off()
    if len(panels) == 1 and figure.table.kind == "line" and len(ends[0]) <= MOST_DIRECT:
        _label_ends(axes.flat[0], ends[0])
    elif len(panels) == 1:
        _legend(axes.flat[0], figure, styles, "upper left", bbox_to_anchor=(1.01, 1.0))
    else:
        _legend(canvas, figure, styles, "outside lower center", ncols=min(3, len(styles) + 1))
    canvas.get_layout_engine().set(rect=(0, 0, 1, 1 - HEAD_INCHES / (height + 0.7)))
    _head(canvas, figure)
    return canvas


def _head(canvas: Any, figure: Figure) -> None:
    """Title, as large as it fits, and caption."""
    wide, tall = canvas.get_size_inches()
    fits = min(12.5, 108 * wide / max(1, len(figure.table.title)))  # an em is about 1.5 letters
    canvas.text(0.01, 1 - 0.25 / tall, figure.table.title, fontsize=fits, fontweight="bold", color=INK)
    canvas.text(0.01, 1 - 0.43 / tall, caption(figure), fontsize=7.5, color=QUIET)


def caption(figure: Figure) -> str:
    """Where the points are from: suite, profile, budget, clock."""
    if figure.block is None:
        return f"suite {figure.suite}: no rows yet"
    profile, budget, clock, machine = figure.block
    told = f"suite {figure.suite}, profile {profile} ({budget}), {clock} clock" + (f", {machine}" if machine else "")
    open_ = any(not point.complete for point in figure.drawn)
    return told + ("; hollow points: some runs lack the number" if open_ else "")


def _styles(figure: Figure) -> dict[Key, tuple[str, str]]:
    """Colour and marker by series and value, the same in every panel; ours first, then what only others have."""
    ordered = sorted(figure.drawn, key=lambda point: point.origin != OURS)
    keys = dict.fromkeys((p.series, p.value) for p in ordered if p.origin == OURS or p.series)
    mine = {series for series, value in keys if value}
    keys = dict.fromkeys(key for key in keys if key[1] or key[0] not in mine)
    return dict(zip(keys, zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False), strict=False))


def _name(key: Key) -> str:
    return ", ".join(part for part in key if part)


# ---- a panel -----------------------------------------------------------------------------------------------------


def _panel_name(field: str, panel: str) -> str:
    """A panel's title; a number says what it counts."""
    key = field.rpartition(".")[2]
    return f"{SYMBOLS.get(key, key.replace('_', ' '))} = {panel}" if panel.replace(".", "", 1).isdigit() else panel


def _panel(axes: Axes, figure: Figure, panel: str, styles: Mapping[Key, tuple[str, str]]) -> list[Any]:
    """Everything of a panel but labels; the right end of each line, with its name and colour."""
    table = figure.table
    ours = [point for point in figure.drawn if point.origin == OURS and point.panel == panel]
    others = [point for point in figure.drawn if point.origin != OURS and point.panel in ("", panel)]
    groups = {key: [p for p in ours if (p.series, p.value) == key] for key in styles}
    groups = {key: points for key, points in groups.items() if points}
    if table.kind == "bar":
        _bars(axes, ours, styles)
        ends = []
    else:
        sizes = _sizes(groups)
        ends = [_series(axes, _name(k), points, styles[k], table.kind, sizes[k]) for k, points in groups.items()]
    ends += _references(axes, others, styles)
    if "x" not in table.log and table.kind == "line":
        _whole(axes, [point.x for point in ours])
    for name in table.log:
        _logarithmic(axes, name, [p.x if name == "x" else p.y for p in (*ours, *others)])
    if panel:
        axes.set_title(_panel_name(figure.table.panel, panel), loc="left", fontsize=10, color=INK)
    axes.set_xlabel(table.x_label)
    axes.set_ylabel(table.y_label)
    axes.tick_params(length=3)
    if not ours:
        axes.text(0.5, 0.5, "no rows yet", transform=axes.transAxes, ha="center", color=QUIET)
    return ends


def _from_zero(places: Sequence[Axes], figure: Figure) -> None:
    """Linear axes begin at 0 where nothing lies below; when all is drawn, since it ends the search for limits."""
    if "y" not in figure.table.log and not any((p.low if p.low is not None else p.y) < 0 for p in figure.drawn):
        tops = [axes.get_ylim()[1] for axes in places]
        for axes, top in zip(places, tops, strict=True):
            axes.set_ylim(0, top)


def _sizes(groups: Mapping[Key, Sequence[Point]]) -> dict[Key, float]:
    """How thick each series is drawn: equal, or where some coincide the earlier ones thicker, so that all are seen."""
    places = [{(point.x, point.y) for point in points} for points in groups.values()]
    pairs = itertools.combinations(places, 2)
    if not any(2 * len(one & other) > min(len(one), len(other)) > 1 for one, other in pairs):
        return dict.fromkeys(groups, 1.0)
    return {key: 1.0 + 0.75 * (len(groups) - 1 - number) for number, key in enumerate(groups)}


def _series(
    axes: Axes, name: str, points: Sequence[Point], style: tuple[str, str], kind: str, size: float = 1.0
) -> Any:
    """A line with its band, or a cloud; (name, colour, last x, last y)."""
    colour, marker = style
    xs, ys = [p.x for p in points], [p.y for p in points]
    if kind == "line":
        lows = [p.y if p.low is None else p.low for p in points]
        highs = [p.y if p.high is None else p.high for p in points]
        if all(not isinstance(x, str) for x in xs):
            axes.fill_between(xs, lows, highs, color=colour, alpha=0.18, linewidth=0)
        axes.plot(xs, ys, color=colour, linewidth=1.7 * size)
    full = [p for p in points if p.complete]
    for some, face in ((full, colour), ([p for p in points if not p.complete], PAPER)):
        at = ([p.x for p in some], [p.y for p in some])
        axes.scatter(
            *at, s=26 * size, marker=marker, facecolor=face, edgecolor=colour, linewidth=1.2, zorder=3, clip_on=False
        )
    return name, colour, xs[-1], ys[-1]


def _references(axes: Axes, points: Sequence[Point], styles: Mapping[Key, tuple[str, str]]) -> list[Any]:
    """What others found, dashed: in the colour of the series it belongs to, else in grey with a label of its own."""
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.origin, point.series), []).append(point)
    origins = list(dict.fromkeys(origin for origin, _ in groups))
    colours = {series: colour for (series, _), (colour, _) in styles.items()}
    ends = []
    for (origin, series), some in groups.items():
        some = sorted(some, key=lambda point: point.x)
        xs, ys = [point.x for point in some], [point.y for point in some]
        dashes = DASHES[origins.index(origin) % len(DASHES)]
        colour = colours.get(series, INK)
        look: Any = {"linewidth": 1.1, "dashes": dashes, "marker": "d", "markerfacecolor": PAPER}
        if series not in colours:
            ends.append((_name((origin, series)), INK, xs[-1], ys[-1]))
        axes.plot(xs, ys, color=colour, zorder=4, **look)
    return ends


def _bars(axes: Axes, points: Sequence[Point], styles: Mapping[Key, tuple[str, str]]) -> None:
    """Bars side by side by series, stacked by value, what is negative downwards; a label below each place along x."""
    places = list(dict.fromkeys(point.x for point in points))
    series = list(dict.fromkeys(point.series for point in points))
    width = 0.8 / max(1, len(series))
    bottoms: dict[tuple[float | str, str, bool], float] = {}
    for key in dict.fromkeys((point.series, point.value) for point in points):
        some = [point for point in points if (point.series, point.value) == key]
        left = [places.index(p.x) - 0.4 + width * (series.index(p.series) + 0.5) for p in some]
        below = [bottoms.get((p.x, p.series, p.y < 0), 0.0) for p in some]
        colour = styles[key][0]
        axes.bar(left, [p.y for p in some], width * 0.92, bottom=below, color=colour)
        for at, base, point in zip(left, below, some, strict=True):
            bottoms[point.x, point.series, point.y < 0] = base + point.y
            if point.low is not None and point.high is not None and point.high > point.low:
                axes.plot([at, at], [base + point.low, base + point.high], color=INK, linewidth=1)
    long = max((len(str(place)) for place in places), default=0) * len(places) > 60
    axes.set_xticks(
        range(len(places)), [str(p) for p in places], rotation=25 if long else 0, ha="right" if long else "center"
    )
    axes.grid(False, axis="x")


def _logarithmic(axes: Axes, name: str, values: Sequence[float | str]) -> None:
    """A logarithmic axis; where there is a 0, linear below the smallest positive value."""
    numbers = [value for value in values if not isinstance(value, str)]
    positive = [value for value in numbers if value > 0]
    if not positive or len(numbers) < len(values):
        return
    options: dict[str, Any] = {"value": "log"}
    if min(numbers) <= 0:
        options = {"value": "symlog", "linthresh": min(positive), "linscale": 0.4}
    (axes.set_xscale if name == "x" else axes.set_yscale)(**options)
    axis = axes.xaxis if name == "x" else axes.yaxis
    short = max(positive) < 50 * min(positive)
    axis.set_major_formatter(lambda value, _: _round(value))
    axis.set_minor_formatter(lambda value, _: _round(value) if short and f"{value:e}"[0] in "25" else "")


def _round(value: float) -> str:
    """A number on a logarithmic axis as people write it: 0.01, 200, 10⁶."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:g}"
    factor, power = f"{value:e}".split("e")
    ten = "10" + str(int(power)).translate(RAISED)
    return ten if float(factor) == 1 else f"{float(factor):g} × {ten}"


def _whole(axes: Axes, xs: Sequence[float | str]) -> None:
    """A few whole numbers along x are the ticks; there is nothing between them."""
    numbers = sorted({x for x in xs if not isinstance(x, str)})
    if len(numbers) == len(set(xs)) <= MOST_TICKS and all(float(x).is_integer() for x in numbers):
        axes.set_xticks(numbers, [f"{x:g}" for x in numbers])


# ---- labels ------------------------------------------------------------------------------------------------------


def _legend(where: Any, figure: Figure, styles: Mapping[Key, tuple[str, str]], place: str, **options: Any) -> None:
    """Marker and colour of every series, and what is dashed."""
    from matplotlib.lines import Line2D

    line: Any = {} if figure.table.kind == "line" else {"linestyle": "none"}
    handles = [
        Line2D([], [], color=colour, marker="s" if figure.table.kind == "bar" else marker, label=_name(key), **line)
        for key, (colour, marker) in styles.items()
        if _name(key)
    ]
    for number, origin in enumerate(dict.fromkeys(p.origin for p in figure.drawn if p.origin != OURS)):
        look: Any = {"dashes": DASHES[number % len(DASHES)], "marker": "d", "markerfacecolor": PAPER}
        handles.append(Line2D([], [], color=INK, linewidth=1.1, label=origin, **look))
    if handles:
        where.legend(handles=handles, loc=place, frameon=False, fontsize=8.5, **options)


def _label_ends(axes: Axes, ends: Sequence[tuple[str, str, Any, float]]) -> None:
    """Each line's name at its right end, moved apart where they would overlap."""
    named = [end for end in ends if end[0]]
    if not named:
        return
    figure: Any = axes.figure
    figure.draw_without_rendering()  # so that it is known where the axes will be
    box = axes.get_window_extent()
    apart = 12.5 * figure.dpi / 72
    wanted = [
        (float(axes.transData.transform((0 if isinstance(x, str) else x, y))[1]), name, colour)
        for name, colour, x, y in named
    ]
    heights = spread([height for height, _, _ in wanted], apart, float(box.y0), float(box.y1))
    for height, (_, name, colour) in zip(heights, wanted, strict=True):
        at = (1.015, (height - box.y0) / box.height)
        axes.annotate(name, at, xycoords="axes fraction", color=colour, fontsize=8.5, va="center")


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Heights as near as can be to those wanted, at least `apart` from each other, in the same order, within bounds."""
    order = sorted(range(len(wanted)), key=lambda index: (wanted[index], index))
    out = [min(max(wanted[index], low), high) for index in order]
    for here in range(1, len(out)):
        out[here] = max(out[here], out[here - 1] + apart)
    top = high
    for here in reversed(range(len(out))):
        out[here] = top = min(out[here], top)
        top -= apart
    placed = [0.0] * len(wanted)
    for index, height in zip(order, out, strict=True):
        placed[index] = height
    return placed


# ---- the file ----------------------------------------------------------------------------------------------------

_STYLE = re.compile(r' style="([^"]*)"')


def _for_readers(svg: str, figure: Figure) -> str:
    """Title and description, and styles as attributes, which a rule for dark backgrounds can overrule."""

    def attributes(match: re.Match[str]) -> str:
        pairs = (part.partition(":") for part in match[1].split(";") if part.strip())
        return "".join(f' {name.strip()}="{value.strip()}"' for name, _, value in pairs)

    rules = "".join(
        f'[fill="{light}"]{{fill:{dark}}}[stroke="{light}"]{{stroke:{dark}}}' for light, dark in DARK.items()
    )
    about = f"{figure.table.about} {caption(figure)}."
    told = f"<title>{escape(figure.table.title)}</title>\n <desc>{escape(about)}</desc>"
    style = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"
    plain = _STYLE.sub(attributes, svg)
    plain = re.sub(r"<metadata>.*?</metadata>", "", plain, flags=re.DOTALL)
    opening = re.compile(r"(<svg [^>]*?)>", re.DOTALL)
    # A function, since in a template the backslashes of a title would be references.
    return opening.sub(lambda match: f'{match[1]} role="img">\n {told}\n {style}', plain, count=1)
