"""A site as files: pages from templates, pictures and data beside them. Equal results give equal bytes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rtbench
from rtbench.drawing.svg import STYLE as LAYERS_STYLE
from rtbench.report import runs, views
from rtbench.report.collect import Site, SuiteReport
from rtbench.report.compared import comparison
from rtbench.report.graphics import Artist, Picture, distinct
from rtbench.report.inline import inline, scoped
from rtbench.report.timelines import STYLE as TIMELINE_STYLE
from rtbench.results.columns import PART_AXES
from rtbench.results.pages import to_csv
from rtbench.results.pictures import DARK, HEAD_INCHES

if TYPE_CHECKING:
    from jinja2 import Environment

    from rtbench.suites.expand import SuiteCell

HERE = Path(__file__).parent
MOST_DRAWINGS = 6
"""Timelines, and layer graphs, on a suite's page; every cell's page has its own."""
HEADS = {"plot": 72 * HEAD_INCHES, "timeline": 26.0, "layers": 38.0}
"""Height of the title within each kind of picture, in its own units; pages have it as text."""
Files = dict[str, bytes]


@dataclass(frozen=True)
class Gallery:
    """Pictures under one heading."""

    title: str
    about: str
    pictures: Sequence[Picture]
    open: bool = True


def build(site: Site, artist: Artist, *, live_s: float | None = None) -> Files:
    """Every file of the site by its path; with `live_s` the pages look that often whether they have changed."""
    out: Files = {"assets/site.css": stylesheet().encode(), "assets/site.js": _asset("site.js").encode()}
    headlines: dict[str, Picture | None] = {}
    for report in site.suites:
        cells = list(_cells(report, artist))
        galleries = _galleries(report, artist)
        headlines[report.suite.name] = next((p for g in galleries for p in g.pictures if p.kind == "plot"), None)
        folder = f"suites/{report.stem}"
        out[f"{folder}/leaderboard.csv"] = to_csv(report.board).encode()
        out |= {f"{folder}/films/{path.name}": path.read_bytes() for path in report.films}
        pictures = [picture for gallery in galleries for picture in gallery.pictures]
        pictures += [picture for _, _, drawn in cells for picture in drawn]
        for picture in pictures:
            if picture.svg:
                out[f"{folder}/figures/{picture.name}.svg"] = picture.svg.encode()
            if picture.data is not None:
                out[f"{folder}/figures/{picture.name}.csv"] = picture.data.encode()
        given = {"site": site, "report": report, "suite": report.suite, "root": "../..", "live_s": live_s}
        out[f"{folder}/index.html"] = _render("suite.html", **given, **_suite(report), galleries=galleries)
        for page, text, drawn in cells:
            out[f"{folder}/{page.page}"] = _render("cell.html", **given, page=page, about=text, pictures=drawn)
    for parity in site.parities:
        out[parity.page] = _render("parity.html", site=site, parity=parity, root="..", live_s=live_s)
    out["index.html"] = _render("overview.html", site=site, headlines=headlines, root=".", live_s=live_s)
    return out


def _suite(report: SuiteReport) -> dict[str, Any]:
    """What a suite's page shows besides pictures."""
    comparisons = [
        comparison(compared, f"Over all tasks, profile {compared.block[0]}") for compared in report.comparisons
    ]
    versions = {
        f"{row[f'{axis}_distribution']} {row[f'{axis}_version']}".strip() for row in report.rows for axis in PART_AXES
    }
    machines: dict[str, int] = {}
    for row in report.rows:
        name = row["machine_class"] or row["cpu"] or "unknown"
        machines[name] = machines.get(name, 0) + 1
    commits = sorted({row["git_commit"] for row in report.rows if row["git_commit"]})
    return {
        "tables": views.tables(report),
        "comparisons": comparisons,
        "versions": sorted(filter(None, versions)),
        "machines": sorted(machines.items()),
        "commits": commits,
        "printed": list(report.suite.published),
        "left_out": report.suite.ignored,
        "few": _fewest(report),
    }


def _fewest(report: SuiteReport) -> int | None:
    """The fewest runs that an interval rests on; None if there is no interval."""
    counts = [line["seeds_done"] for line in report.board.lines if line["low"] is not None]
    return min(counts, default=None)


def _galleries(report: SuiteReport, artist: Artist) -> list[Gallery]:
    known = list(_with_rows(report))
    drawn = [artist.of_cell(cell.cell) for cell, _ in known]
    happened = [picture for cell, rows in known for picture in _happened(artist, cell, rows)]
    found = [
        Gallery("Figures", "As the suite's file asks for them.", [artist.figure(f) for f in report.figures]),
        Gallery(
            "Learning and comparison",
            "Returns while training, and methods over all tasks.",
            [artist.figure(figure) for figure in report.extra_figures],
        ),
        Gallery(
            "Who computes what, when",
            "A row per inference process, the actions they give below; a dashed step has no new action.",
            [*distinct([timeline for timeline, _ in drawn], MOST_DRAWINGS), *distinct(happened, MOST_DRAWINGS)],
        ),
        Gallery(
            "Layers in time",
            "How old what an action rests on is, by the paths through its layers.",
            distinct([layers for _, layers in drawn], MOST_DRAWINGS),
            open=False,
        ),
    ]
    return [gallery for gallery in found if gallery.pictures]


def _with_rows(report: SuiteReport) -> Iterator[tuple[SuiteCell, Sequence[Mapping[str, Any]]]]:
    """The suite's cells that have rows, with them, in the order of its leaderboard."""
    known = {cell.cell_id: cell for _, cells in report.profiles.values() for cell in cells}
    for _, cells in report.board.made_of:
        for name in sorted(cells):
            if cells[name].rows and name in known:
                yield known[name], cells[name].rows


def _happened(artist: Artist, cell: SuiteCell, rows: Sequence[Mapping[str, Any]]) -> Iterator[Picture]:
    """What happened when in a cell's runs on the wall clock, as far as it was kept."""
    for row in sorted(rows, key=lambda row: (row["seed"], row["run_id"])):
        drawn = artist.of_run(cell.cell, row)
        if drawn is not None:
            yield drawn


def _cells(report: SuiteReport, artist: Artist) -> Iterator[tuple[runs.CellPage, str, list[Picture]]]:
    known = {cell.cell_id: cell for cell, _ in _with_rows(report)}
    for page, rows in runs.cell_pages(report):
        cell = known.get(page.cell_id)
        if cell is None:
            yield page, "No profile of the suite asks for this cell any more.", []
            continue
        drawn = [*artist.of_cell(cell.cell), *_happened(artist, cell, rows.rows)]
        yield page, "", [picture for picture in drawn if picture is not None]


# ---- templates ---------------------------------------------------------------------------------------------------


def _render(template: str, **given: Any) -> bytes:
    text: str = _templates().get_template(template).render(version=rtbench.__version__, **given)
    return text.encode()


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,  # names come from plugins and rows
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Pictures are drawn by our own code, which escapes what it writes.
    made.filters["inline"] = lambda picture: Markup(inline(picture.svg, picture.name, HEADS[picture.kind]))
    made.filters["short"] = views.short
    made.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    made.filters["data_table"] = data_table
    return made


def data_table(picture: Picture, most: int = 60) -> tuple[list[str], list[list[str]], int]:
    """A picture's data for those who do not see it: heads, the first rows, and how many there are."""
    import csv
    import io

    rows = list(csv.reader(io.StringIO(picture.data or "")))
    if not rows:
        return [], [], 0
    heads, body = rows[0], rows[1:]
    kept = [at for at in range(len(heads)) if any(row[at] for row in body)]
    return [heads[at] for at in kept], [[row[at] for at in kept] for row in body[:most]], len(body)


def _asset(name: str) -> str:
    return (HERE / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def stylesheet() -> str:
    """The site's styles, with those of the pictures that are part of its pages."""
    rules = "".join(
        f'[fill="{light}"]{{fill:{dark}}}[stroke="{light}"]{{stroke:{dark}}}' for light, dark in DARK.items()
    )
    pictures: Mapping[str, str] = {
        ".layers": LAYERS_STYLE,
        ".timeline": TIMELINE_STYLE,
        ".plot": f"@media (prefers-color-scheme:dark){{{rules}}}",
    }
    return "\n".join([_asset("site.css"), *(scoped(style, scope) for scope, style in pictures.items())]) + "\n"
