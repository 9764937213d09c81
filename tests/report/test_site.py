"""The site of a tiny suite, its pages read as a browser would: whole, escaped, equal each time, honest about gaps."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from helpers.samples import hand_row, install_parts, write_suite

from rtbench.errors import SuiteError
from rtbench.report.collect import Other, Site, collect
from rtbench.report.graphics import Artist
from rtbench.report.pages import build
from rtbench.report.site import LIVE, MANIFEST, digest_of, with_live, write
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "link", "input", "img", "br", "hr"}
FIGURE = """
[[figures]]
name = "by-delta"
title = "Return <by> delta"
about = "What is to be seen & why."
x = "interaction.delta"
y = "eval_return_final"
series = ["architecture"]
panel = "environment.id"
x_label = "δ"
y_label = "return"
"""


class Page(HTMLParser):
    """A page's elements; every tag must be closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def tags(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    install_parts(tmp_path / "site", monkeypatch)
    label = f"label = {json.dumps(HOSTILE)}"
    changes = [(f'{place}label = "net"', f"{place}{label}") for place in ("architecture = { ", '"fake/net", ')]
    path = Path(write_suite(tmp_path / "suites", *changes))
    path.write_text(path.read_text(encoding="utf-8") + FIGURE, encoding="utf-8")
    return str(path)


def rows(path: str, **columns: Any) -> list[dict[str, Any]]:
    """Two cells complete, one with two of three runs."""
    cells = [cell for cell in expand(load_suite(path), support=False) if not cell.excluded]
    base = next(cell for cell in cells if cell.method == "base" and cell.environment == "A-v0")
    net = [cell for cell in cells if cell.method == HOSTILE and cell.environment == "A-v0"]
    wanted = [(base, 3), (net[0], 3), (net[1], 2)]
    changed = {"git_commit": "c0ffee" * 5, "reason": None, **columns}
    return [
        hand_row(cell.cell, seed, eval_return_final=50.0 + 10 * seed, **changed)
        for cell, count in wanted
        for seed in range(count)
    ]


def made(path: str, given: list[dict[str, Any]] | None = None, **options: Any) -> Site:
    return collect([load_suite(path)], rows(path) if given is None else given, **options)


@pytest.fixture
def files(suite: str) -> dict[str, bytes]:
    return build(made(suite, others=[Other("another", HOSTILE, "a paper")]), Artist())


def pages(files: dict[str, bytes]) -> dict[str, Page]:
    return {name: Page(content.decode()) for name, content in files.items() if name.endswith(".html")}


def test_every_page_is_well_formed_and_complete(files: dict[str, bytes]) -> None:
    found = pages(files)
    assert len(found) == 2 + 3  # overview, suite, a page per cell with rows
    for page in found.values():
        assert page.tags("html")[0]["lang"] == "en"
        assert len(page.tags("h1")) == 1
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes}
        assert labelled <= set(ids)


def test_every_link_leads_to_a_file_of_the_site(files: dict[str, bytes]) -> None:
    for name, page in pages(files).items():
        for tag, attributes in page.elements:
            given = attributes.get("href", "") if tag in ("a", "link") else attributes.get("src", "")
            if not given or given.startswith("data:"):
                continue
            address, fragment = urldefrag(given)
            target = (
                (Path("/") / Path(name).parent / unquote(address)).resolve().relative_to("/") if address else Path(name)
            )
            assert str(target) in files, (name, given)
            if fragment:
                assert f'id="{fragment}"' in files[str(target)].decode()


def test_nothing_is_asked_of_a_network(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        text = content.decode()
        links = re.findall(r'(?:href|src|action|data)\s*=\s*["\']?(?:https?:)?//', text)
        assert links == [], name
        assert "fetch(" not in text
    assert "default-src 'none'" in files["index.html"].decode()


def test_names_of_strangers_are_text_and_never_markup(files: dict[str, bytes]) -> None:
    for name, page in pages(files).items():
        assert all("onerror" not in attributes for _, attributes in page.elements), name
        assert page.tags("img") == []
    suite_page = pages(files)["suites/tiny/index.html"]
    assert any(HOSTILE in word for word in suite_page.words)
    assert "<img" not in files["suites/tiny/figures/by-delta.svg"].decode()


def test_hostile_values_of_rows_are_text(suite: str) -> None:
    given = [
        {**row, "status": "failed", "reason": HOSTILE, "machine_class": HOSTILE, "eval_return_final": None}
        for row in rows(suite)
    ]
    for page in pages(build(made(suite, given), Artist(can_draw=False))).values():
        assert page.tags("img") == []


def test_two_builds_give_the_same_bytes_whatever_the_order_of_rows(suite: str, files: dict[str, bytes]) -> None:
    others = [Other("another", HOSTILE, "a paper")]
    again = build(collect([load_suite(suite)], rows(suite)[::-1], others=others), Artist())
    assert again == files
    assert digest_of(again) == digest_of(files)


def test_incomplete_lines_say_so_and_are_not_averaged(files: dict[str, bytes]) -> None:
    text = files["suites/tiny/index.html"].decode()
    lines = re.findall(r'<tr class="([a-z-]+)"', text)
    assert (lines.count("complete"), lines.count("incomplete")) == (2, 1)
    assert lines.count("missing") > 0
    assert "2/3" in text
    assert "Over all tasks" not in text  # B has no run: nothing to compare over tasks


def cells_of(page: Page, head: str) -> list[str]:
    """The sort values of a column."""
    return [each.get("data-sort", "") for each in page.tags("td") if each.get("data-head") == head]


def test_the_published_figure_stands_beside_with_the_difference_in_standard_errors(files: dict[str, bytes]) -> None:
    page = pages(files)["suites/tiny/index.html"]
    assert "100.0" in cells_of(page, "published")
    assert "-40.0" in cells_of(page, "difference")  # base: 60 ± 5.77, printed 100 ± 5
    text = re.sub(r"<[^>]+>", "", page.text)
    assert "−40 (−5.2 SE)" in text


def test_a_runs_page_has_its_commands_and_every_column(files: dict[str, bytes]) -> None:
    cell = next(
        cell for cell in files if cell.startswith("suites/tiny/") and b"seed 2" in files[cell] and "index" not in cell
    )
    text = files[cell].decode()
    assert "git checkout " + "c0ffee" * 5 in text
    assert "rtbench run tiny.toml --only" in text
    for word in ("run_id", "eval_return_final", "observation_age_p50_steps", "machine_class", "rtbench-fake 1.2"):
        assert word in text


def test_clocks_have_tables_of_their_own(suite: str) -> None:
    given = rows(suite)
    met = {**json.loads(given[3]["interaction_json"]), "clock": "wall"}
    changed = {"clock": "wall", "interaction_json": json.dumps(met), "cell_id": "f" * 64, "suite": "tiny"}
    walled = [{**row, **changed, "run_id": f"{seed:064x}"} for seed, row in enumerate(given[3:6])]
    page = pages(build(made(suite, [*given, *walled]), Artist(can_draw=False)))["suites/tiny/index.html"]
    clocks = re.findall(r'<span class="clock (\w+)">', page.text)
    assert sorted(set(clocks)) == ["virtual", "wall"]
    for board in page.text.split('<section class="board"')[1:]:
        assert len(set(re.findall(r'<span class="clock (\w+)">', board))) == 1


def test_without_matplotlib_the_data_are_still_there(suite: str) -> None:
    found = build(made(suite), Artist(can_draw=False))
    assert not any(name.endswith(".svg") for name in found)
    assert "suites/tiny/figures/by-delta.csv" in found
    assert "matplotlib was not installed" in found["suites/tiny/index.html"].decode()


def test_films_of_a_suite_are_shown(suite: str, tmp_path: Path) -> None:
    (tmp_path / "films" / "tiny").mkdir(parents=True)
    (tmp_path / "films" / "tiny" / "a run.mp4").write_bytes(b"film")
    (tmp_path / "films" / "tiny" / "notes.txt").write_bytes(b"no film")
    found = build(made(suite, films=tmp_path / "films"), Artist(can_draw=False))
    assert found["suites/tiny/films/a run.mp4"] == b"film"
    assert Page(found["suites/tiny/index.html"].decode()).tags("video")[0]["src"] == "films/a%20run.mp4"
    assert not any("notes" in name for name in found)


def test_a_live_site_tells_its_pages_which_version_it_is(suite: str) -> None:
    running = [{"suite": "tiny", "title": HOSTILE, "share": 0.25, "units_per_s": 12.0, "unit": "ticks", "alive": True}]
    found = with_live(build(made(suite, running=running), Artist(can_draw=False), live_s=2.0))
    text = found["suites/tiny/index.html"].decode()
    assert 'data-live-s="2.0" data-live="../../assets/live.js"' in text
    assert "25.0 %" in text
    first = found[LIVE]
    assert first == with_live(build(made(suite, running=running), Artist(can_draw=False), live_s=2.0))[LIVE]
    assert first != with_live(build(made(suite), Artist(can_draw=False), live_s=2.0))[LIVE]


def test_only_what_changed_is_written_and_what_is_gone_removed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert len(write({"a.html": b"a", "b/c.css": b"c"}, folder)) == 2
    (folder / "mine.txt").write_text("keep")
    before = (folder / "a.html").stat().st_mtime_ns
    assert write({"a.html": b"a", "d.html": b"d"}, folder) == [folder / "d.html", folder / "b/c.css"]
    assert (folder / "a.html").stat().st_mtime_ns == before
    assert not (folder / "b/c.css").exists()
    assert (folder / "mine.txt").read_text() == "keep"
    assert write({"a.html": b"a", "d.html": b"d"}, folder) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SuiteError, match="not empty"):
        write({"a.html": b"a"}, tmp_path)
    outside = tmp_path / "site"
    outside.mkdir()
    (outside / MANIFEST).write_text(json.dumps({"files": ["../thesis.tex", "/etc/none"]}))
    write({"a.html": b"a"}, outside)
    assert (tmp_path / "thesis.tex").exists()


def test_a_suite_that_reduces_by_the_mean_shows_the_means_interval(suite: str) -> None:
    path = Path(suite)
    path.write_text(path.read_text(encoding="utf-8").replace("[leaderboard]", '[leaderboard]\nreduce = "mean"'))
    page = pages(build(made(suite), Artist(can_draw=False)))["suites/tiny/index.html"]
    assert "60.0" in cells_of(page, "mean [95 %]")
    assert "IQM" not in page.text
