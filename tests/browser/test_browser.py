"""The site as a reader meets it: opened from disk, wide and narrow, light and dark, by mouse and by keyboard."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

LEAST_CONTRAST = 4.5


def suites(site: Path) -> list[Path]:
    return sorted(site.glob("suites/*/index.html"))


def some_pages(site: Path) -> list[Path]:
    """The overview, every suite, and the first cell of each."""
    cells = [sorted(path for path in page.parent.glob("*.html") if path != page)[:1] for page in suites(site)]
    return [site / "index.html", *suites(site), *itertools.chain(*cells)]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_its_width_and_can_be_read(site: Path, open_page: Any, width: int, scheme: str) -> None:
    for path in some_pages(site):
        page = open_page(path, width=width, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        low = page.evaluate(CONTRAST, LEAST_CONTRAST)
        assert low == [], (path, scheme)
        page.close()


CONTRAST = """least => {
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const part = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * part(r / 255) + .7152 * part(g / 255) + .0722 * part(b / 255);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (colour.startsWith('rgb') && (parse(colour)[3] ?? 1) === 1) return parse(colour);
    }
    return [255, 255, 255];
  };
  const low = new Set();
  for (const node of document.querySelectorAll('main *')) {
    const text = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!text || node.closest('svg') || !node.checkVisibility()) continue;
    const { color } = getComputedStyle(node);
    if (!color.startsWith('rgb')) continue;
    const [a, b] = [light(parse(color)), light(behind(node))].sort((x, y) => y - x);
    const contrast = (a + .05) / (b + .05);
    if (contrast < least) low.add(`${node.tagName}.${node.className} ${contrast.toFixed(2)}`);
  }
  return [...low];
}"""


def test_every_link_leads_somewhere(site: Path, open_page: Any) -> None:
    ids: dict[Path, str] = {}
    for path in some_pages(site):
        page = open_page(path)
        for href in page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)"):
            address, fragment = urldefrag(href)
            target = Path(unquote(urlsplit(address).path))
            assert target.is_file(), (path, href)
            if fragment:
                text = ids.setdefault(target, target.read_text(encoding="utf-8"))
                assert f'id="{fragment}"' in text, (path, href)
        page.close()


def column(page: Any, table: str, head: str) -> list[float]:
    cells = page.eval_on_selector_all(
        f"{table} tbody tr:not([hidden]) td[data-head='{head}']", "all => all.map(td => td.dataset.sort ?? '')"
    )
    return [float(cell) for cell in cells if cell]


def test_sorting_by_click_and_by_key(site: Path, open_page: Any) -> None:
    page = open_page(site / "suites/combined/index.html")
    board = "[data-key=board-1]"
    head = page.locator(f"{board} th", has_text="mean ± SE")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    found = column(page, board, "mean ± SE")
    assert len(found) > 3
    assert found == sorted(found, reverse=True)
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, board, "mean ± SE") == sorted(found)
    # Texts sort as texts, and other heads are no longer said to be sorted.
    first = page.locator(f"{board} th").first
    first.get_by_role("button").click()
    assert (first.get_attribute("aria-sort"), head.get_attribute("aria-sort")) == ("ascending", "none")


def test_filtering_by_text_and_by_choice(site: Path, open_page: Any) -> None:
    page = open_page(site / "suites/combined/index.html")
    board = page.locator("[data-key=board-1]")
    shown = board.locator("tbody tr:visible")
    every = shown.count()
    board.locator("[data-search]").fill("skips pipelined")
    assert 0 < shown.count() < every
    assert all("skips" in text for text in shown.all_inner_texts())
    assert re.fullmatch(rf"{shown.count()} of {every} lines", board.locator(".count").inner_text())
    board.locator("[data-search]").fill("")
    board.locator("[data-filter=execution]").select_option("sequential")
    assert all("sequential" in text for text in shown.all_inner_texts())
    board.locator("[data-filter=execution]").select_option("")
    assert shown.count() == every


def test_long_tables_open_on_demand(site: Path, open_page: Any) -> None:
    page = open_page(site / "suites/theory/index.html")
    board = page.locator("[data-key=board-1]")
    rows = board.locator("tbody tr:visible")
    assert rows.count() == 25
    total = board.locator("tbody tr").count()
    board.get_by_role("button", name=f"Show all {total} lines").click()
    assert rows.count() == total
    assert not board.locator(".more").is_visible()


def test_the_theme_can_be_switched_and_is_remembered(site: Path, open_page: Any) -> None:
    page = open_page(site / "index.html", scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(paper) != before
    page.reload()
    assert page.evaluate(paper) != before
    ink = page.evaluate("getComputedStyle(document.querySelector('.plot [fill=\"#667085\"]')).fill")
    assert ink == "rgb(164, 174, 189)"  # pictures follow


def test_the_keyboard_reaches_everything_in_order(site: Path, open_page: Any) -> None:
    page = open_page(site / "suites/combined/index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName"))
    assert {"A", "BUTTON", "INPUT", "SELECT"} <= set(seen)
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_on_a_phone_lines_are_cards_that_can_be_sorted(site: Path, open_page: Any) -> None:
    page = open_page(site / "suites/combined/index.html", width=360)
    board = page.locator("[data-key=board-1]")
    assert (
        board.locator("tbody td").first.evaluate("td => getComputedStyle(td, '::before').content") == '"architecture"'
    )
    board.locator("[data-sort-by]").select_option(label="mean ± SE")
    found = column(page, "[data-key=board-1]", "mean ± SE")
    assert found == sorted(found, reverse=True)


def test_without_scripts_everything_is_there(site: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "suites/theory/index.html").as_uri())
    assert page.locator("[data-key=board-1] tbody tr:visible").count() > 100
    assert not page.locator("[data-key=board-1] .tools").is_visible()
    context.close()


def test_commands_are_shown_and_can_be_copied(site: Path, browser: Any) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    cell = next(path for path in sorted((site / "suites/combined").glob("*.html")) if path.name != "index.html")
    page.goto(cell.as_uri())
    shown = page.locator(".command pre").first.inner_text().strip()
    assert "rtbench run combined --profile demo --only" in shown
    page.locator(".command button").first.click()
    page.get_by_text("Copied").first.wait_for()
    context.close()


def test_a_live_page_renews_itself_when_there_is_news_and_keeps_what_was_chosen(
    site: Path, open_page: Any, tmp_path: Path
) -> None:
    shutil.copytree(site / "assets", tmp_path / "assets")
    folder = tmp_path / "suites" / "combined"
    folder.mkdir(parents=True)
    text = (site / "suites/combined/index.html").read_text(encoding="utf-8")
    path = folder / "index.html"
    path.write_text(
        text.replace("<body>", '<body data-live-s="0.2" data-live="../../assets/live.js">'), encoding="utf-8"
    )
    live = tmp_path / "assets" / "live.js"
    live.write_text('window.rtbenchLive && window.rtbenchLive("one");')
    page = open_page(path)
    page.locator("[data-key=board-1] [data-filter=execution]").select_option("sequential")
    page.evaluate("window.before = true")
    page.wait_for_timeout(700)
    assert page.evaluate("window.before") is True  # no news, no reload
    with page.expect_event("load"):
        live.write_text('window.rtbenchLive && window.rtbenchLive("two");')
    assert page.evaluate("window.before") is None
    assert page.locator("[data-key=board-1] [data-filter=execution]").input_value() == "sequential"
