"""`rtbench report --html DIR`: the site built once, or again and again while runs go on."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.cli.output import emit, line, note
from rtbench.cli.parity import FOLDER as PARITY
from rtbench.cli.recordings import Recordings
from rtbench.cli.report import sections_of
from rtbench.cli.results import NOT_DRAWN, can_draw, tell_set_aside
from rtbench.errors import RtbenchError, SuiteError

if TYPE_CHECKING:
    from rtbench.realtime.recording import Recording
    from rtbench.report.collect import Running, Site
    from rtbench.report.graphics import Artist
    from rtbench.results.places import State
    from rtbench.suites.model import Suite

FILMS = "films"
"""The folder of results in which films lie, in one of each suite's."""


def build_site(suite: str | None, html: Path, state: State, folder: Path, *, live_s: float | None, json: bool) -> None:
    """Write the site of one suite, or of all with rows; with `live_s` again that often until it is interrupted."""
    from rtbench.report.graphics import Artist

    artist = Artist(can_draw=can_draw())
    if not artist.can_draw:
        note(f"warning: {NOT_DRAWN}")
    site, written = _build(suite, html, state, folder, artist, live_s)
    tell_set_aside(site.problems)
    page = html / "index.html"
    told = {"suites": [each.suite.name for each in site.suites], "page": str(page), "written": len(written)}

    def render() -> None:
        lines = sum(len(each.board.lines) for each in site.suites)
        line(f"{page}: {len(site.suites)} suites, {lines} lines, {len(written)} files changed")
        line("next: open it in a browser" + ("; Ctrl-C ends the renewing" if live_s else ""))

    emit({"schema_version": 1, **told}, json=json, render=render)
    if live_s is not None:
        _renew(suite, html, state, folder, artist, live_s)


def _renew(suite: str | None, html: Path, state: State, folder: Path, artist: Artist, live_s: float) -> None:
    """Build again whenever rows or progress changed; on Ctrl-C once more, without the looking for news."""
    seen = _trace(state, folder)
    try:
        while True:
            threading.Event().wait(live_s)
            now = _trace(state, folder)
            if now != seen:
                seen = now
                _, written = _build(suite, html, state, folder, artist, live_s)
                note(f"{len(written)} files changed")
    except KeyboardInterrupt:
        _build(suite, html, state, folder, artist, None)
        raise


def _trace(state: State, folder: Path) -> tuple[tuple[str, int], ...]:
    """What a site is built from, by name and time of change: rows, progress, submissions."""
    from rtbench.results.places import open_store

    if not isinstance(state, Path):  # names and contents: a bucket's times of change are its own clock's
        store = open_store(state)
        kept = [(key, hash(store.read(key))) for key in store.list("progress/")]
        return (*((key, 0) for key in store.list("rows/")), *kept, *_trace(folder / "no-state", folder))
    places = (state / "rows", state / "progress", *(folder / name for name in ("submissions", "timelines", PARITY)))
    found = (path for place in places if place.is_dir() for path in place.iterdir())
    out = []
    for path in found:
        try:
            out.append((str(path), path.stat().st_mtime_ns))
        except OSError:  # gone meanwhile
            continue
    return tuple(sorted(out))


def _build(
    suite: str | None, html: Path, state: State, folder: Path, artist: Artist, live_s: float | None
) -> tuple[Site, list[Path]]:
    from rtbench.report import pages, site
    from rtbench.report.clocks import parities
    from rtbench.report.collect import collect, others_than

    problems: list[str] = []
    local, rows = _rows(state, folder, problems)
    unreadable: dict[str, str] = {}
    artist.recordings = _recordings(Recordings(state, folder, local), unreadable)
    suites = _suites(suite, rows)
    found = collect(
        suites,
        rows,
        others=others_than(each.name for each in suites) if suite is None else (),
        running=_running(suites, state) if live_s is not None else (),
        films=folder / FILMS,
        sections=_plugin_sections(),
        parities=parities(folder / PARITY, problems) if suite is None else (),
        problems=problems,
    )
    built = pages.build(found, artist, live_s=live_s)
    found = dataclasses.replace(found, problems=[*found.problems, *unreadable.values()])
    return found, site.write(site.with_live(built) if live_s is not None else built, html)


def _rows(state: State, folder: Path, problems: list[str]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The local rows, and these with the submitted ones; a line in `problems` for what cannot be read."""
    from rtbench.results.places import open_store
    from rtbench.results.rows import RowStore
    from rtbench.results.submissions import readable_submissions

    scan = RowStore(open_store(state)).scan(newest=True)
    problems += [f"{state}/{problem}" for problem in scan.problems]
    return list(scan.rows), [*scan.rows, *readable_submissions(folder / "submissions", problems)]


def _suites(given: str | None, rows: Sequence[Mapping[str, Any]]) -> list[Suite]:
    """The suite asked for, or every one here that rows name; what is not installed here is told."""
    from rtbench.results.regret import COUNTERFACTUALS
    from rtbench.suites.model import find_suite, load_suite

    if given is not None:
        return [load_suite(given)]
    out = []
    for name in sorted({row["suite"].removesuffix(COUNTERFACTUALS) for row in rows}):
        try:
            find_suite(name, whole=True)
            out.append(load_suite(name))
        except RtbenchError:
            note(f"warning: suite {name!r} is not installed here; its rows are left out")
    return out


def _recordings(kept: Recordings, unreadable: dict[str, str]) -> Callable[[Mapping[str, Any]], Recording | None]:
    """What happened when in the run of a row; in `unreadable` what of it is damaged, by run_id."""

    def of(row: Mapping[str, Any]) -> Recording | None:
        try:
            return kept.of(row)
        except RtbenchError as error:
            unreadable[row["run_id"]] = f"{error.place}: {error.message}"
            return None

    return of


def _plugin_sections() -> Any:
    """What plugins add to a suite's page; None if none does."""
    from rtbench import plugins

    manager, _ = plugins.hooks()
    if not manager.hook.rtbench_report_section.get_hookimpls():
        return None
    return lambda suite, rows: sections_of(manager, suite, rows)


def _running(suites: Sequence[Suite], state: State) -> list[Running]:
    """Runs of these suites' profiles that are under way, from local state."""
    from rtbench.cli.running import running_now
    from rtbench.suites.expand import expand
    from rtbench.suites.model import load_suite

    out: list[Running] = []
    for suite in suites:
        runs: set[str] = set()
        for profile in suite.profiles:
            try:
                cells = expand(load_suite(str(suite.path), profile), support=False)
            except SuiteError:  # a part that is not installed here runs nowhere here
                continue
            runs |= {run for cell in cells for run in cell.run_ids}
        for told in running_now(state, runs):
            share = told["done_units"] / told["total_units"] if told["total_units"] else 0.0
            out.append(
                {
                    **{name: told[name] for name in ("title", "units_per_s", "unit", "alive")},
                    **{"suite": suite.name, "share": share},
                }
            )
    return out
