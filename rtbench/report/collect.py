"""Everything a site shows of its suites, worked out from rows and suite files: leaderboards, comparisons, figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.errors import RtbenchError
from rtbench.report.curves import comparison_figures, curve_figures
from rtbench.report.losses import loss_figures
from rtbench.results.comparison import Comparison, compare, ranked
from rtbench.results.figures import Figure, build_figures
from rtbench.results.leaderboard import Leaderboard, build_all
from rtbench.results.pages import file_stem
from rtbench.results.ranks import Rank
from rtbench.suites.expand import SuiteCell, expand, missing_parts
from rtbench.suites.model import Suite, load_suite
from rtbench.suites.published import by_key

if TYPE_CHECKING:
    from rtbench.report.clocks import Parity

FILMS = ("mp4", "webm", "gif", "png")
Running = Mapping[str, Any]
"""A run under way: suite, title, share (0…1), units_per_s, unit, alive."""
Sections = Callable[[str, Sequence[Mapping[str, Any]]], Sequence[str]]
"""What plugins add to a suite's page (Markdown), from its name and rows."""


@dataclass(frozen=True)
class SuiteReport:
    """One suite with all that is known of it."""

    suite: Suite
    board: Leaderboard
    ranks: Sequence[Rank | None]
    comparisons: Sequence[Comparison]
    figures: Sequence[Figure]
    extra_figures: Sequence[Figure]
    """Where return is lost, learning curves, performance profiles, sample efficiency."""
    profiles: Mapping[str, tuple[Suite, list[SuiteCell]]]
    films: Sequence[Path] = ()
    sections: Sequence[str] = ()

    @property
    def stem(self) -> str:
        """Its folder's name."""
        return file_stem(self.suite.name)

    @property
    def statuses(self) -> dict[str, int]:
        """Lines by status."""
        return dict(sorted(Counter(line["status"] for line in self.board.lines).items()))

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The rows behind its lines."""
        return [row for _, cells in self.board.made_of for cell in cells.values() for row in cell.rows]

    @property
    def published(self) -> Mapping[Any, Any]:
        """The printed figures by what they stand for."""
        return by_key(self.suite.published)


@dataclass(frozen=True)
class Other:
    """A suite without rows: its name, title and what it answers to."""

    name: str
    title: str
    source: str


@dataclass(frozen=True)
class Site:
    """All that a site shows; `problems` are files that could not be read, `parities` comparisons of the clocks."""

    suites: Sequence[SuiteReport]
    others: Sequence[Other] = ()
    running: Sequence[Running] = ()
    problems: Sequence[str] = ()
    parities: Sequence[Parity] = ()


def collect(
    suites: Iterable[Suite],
    rows: Iterable[Mapping[str, Any]],
    *,
    others: Sequence[Other] = (),
    running: Sequence[Running] = (),
    films: Path | None = None,
    sections: Sections | None = None,
    problems: Sequence[str] = (),
    parities: Sequence[Parity] = (),
) -> Site:
    """The site of these suites from rows of any source; `films` is a folder with one of films per suite."""
    known, rows = list(suites), list(rows)
    boards = build_all(known, rows)
    reports = [
        _report(suite, board, rows, films, sections) for suite, board in zip(known, boards, strict=True) if board.lines
    ]
    return Site(reports, others, running, problems, parities)


def _report(
    suite: Suite, board: Leaderboard, rows: Sequence[Mapping[str, Any]], films: Path | None, sections: Sections | None
) -> SuiteReport:
    comparisons = compare(suite, board)
    extra = list(curve_figures(suite, board))
    for number, compared in enumerate(comparisons, start=1):
        extra += comparison_figures(suite, board, compared, number)
    profiles = _profiles(suite, {line["profile"] for line in board.lines})
    report = SuiteReport(
        suite=suite,
        board=board,
        ranks=ranked(suite, board),
        comparisons=comparisons,
        figures=build_figures(suite, rows),
        extra_figures=[*loss_figures(profiles, rows), *extra],
        profiles=profiles,
        films=_films(films, file_stem(suite.name)),
    )
    if sections is None:
        return report
    return SuiteReport(**{**vars(report), "sections": sections(suite.name, report.rows)})


def _profiles(suite: Suite, wanted: set[str]) -> dict[str, tuple[Suite, list[SuiteCell]]]:
    """The suite under each profile that has lines, with its cells."""
    if missing_parts(suite):
        return {}
    loaded = {name: load_suite(str(suite.path), name) for name in suite.profiles if name in wanted}
    return {name: (profile, expand(profile, support=False)) for name, profile in loaded.items()}


def _films(folder: Path | None, stem: str) -> list[Path]:
    if folder is None or not (folder / stem).is_dir():
        return []
    return sorted(path for path in (folder / stem).iterdir() if path.suffix.lower().lstrip(".") in FILMS)


def others_than(names: Iterable[str]) -> list[Other]:
    """The registered suites besides these; one that cannot be read here is left out."""
    from rtbench import plugins

    out = []
    for name in sorted(set(plugins.entries("suites")) - set(names)):
        try:
            suite = load_suite(name)
        except RtbenchError:
            continue
        out.append(Other(name, suite.title, suite.source))
    return out
