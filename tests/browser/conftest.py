"""A headless Chromium and the site it looks at (`--site`); `tox -e browser` builds the site first.

RTBENCH_CHROMIUM names the browser's program; else the first one on the PATH is taken, else playwright's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--site", required=True, help="folder of a built site")


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Path:
    return Path(request.config.getoption("--site")).resolve()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = os.environ.get("RTBENCH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


class Watch:
    """What a page said and asked for."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.outside: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda asked: self._asked(asked.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:")):
            self.outside.append(url)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Any]:
    """Opens a file at a width and colour scheme; every page must be silent and ask for nothing outside."""
    contexts, watches = [], []

    def opened(path: Path, *, width: int = 1280, scheme: Any = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        watches.append(Watch(page))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [watch.said for watch in watches if watch.said] == []
    assert [watch.outside for watch in watches if watch.outside] == []
