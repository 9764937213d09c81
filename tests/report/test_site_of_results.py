"""The site of everything under results/: every suite's page, every figure, every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtbench.report.collect import Site, collect
from rtbench.report.graphics import Artist
from rtbench.report.pages import build
from rtbench.results.submissions import read_submissions
from rtbench.suites.model import load_suite

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture(scope="module")
def site() -> Site:
    rows = read_submissions(RESULTS / "submissions")
    return collect([load_suite(name) for name in sorted({row["suite"] for row in rows})], rows)


@pytest.fixture(scope="module")
def files(site: Site) -> dict[str, bytes]:
    return build(site, Artist(can_draw=False))


def test_every_line_with_runs_links_to_their_page(site: Site, files: dict[str, bytes]) -> None:
    for report in site.suites:
        for _, cells in report.board.made_of:
            for cell_id, cell in cells.items():
                assert (f"suites/{report.stem}/{cell_id[:16]}.html" in files) == bool(cell.rows)


def test_every_run_of_a_profile_has_its_command(site: Site, files: dict[str, bytes]) -> None:
    pages = {name: content.decode() for name, content in files.items() if name.count("/") == 2 and "index" not in name}
    pages = {name: text for name, text in pages.items() if name.endswith(".html")}
    assert len(pages) > 250
    with_command = [name for name, text in pages.items() if "rtbench run " in text]
    lost = {name for name in pages.keys() - set(with_command) if "asks for this cell any more" not in pages[name]}
    assert lost == set()


def test_timelines_and_layers_are_drawn_where_time_passes(files: dict[str, bytes]) -> None:
    drawn = [name for name in files if "/timeline-" in name]
    assert {name.split("/")[1] for name in drawn} >= {"combined", "mujoco-delta", "theory"}
    assert any("/layers-" in name for name in files)
    assert not any("/timeline-" in name for name in files if name.startswith("suites/wall-smoke/"))


def test_regret_is_shown_taken_apart(files: dict[str, bytes]) -> None:
    assert "suites/theory/figures/every-scheduler.csv" in files
    text = files["suites/theory/figures/every-scheduler.csv"].decode()
    assert all(term in text for term in ("inaction", "delay", "random actions"))
