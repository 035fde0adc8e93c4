"""Chromium for tests. In CI a machine without it fails them: what people see is not optional.

`make test` works on a fresh machine, where nothing may be installed: there such tests are skipped and say so.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PHONE = (390, 844)
DESKTOP = (1280, 800)


@dataclass(frozen=True)
class Tab:
    """A browser's page, with all that it asked for and all that it complained about."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def asked_elsewhere(self, *allowed: str) -> list[str]:
        """The addresses it asked for that begin with none of `allowed`."""
        return [url for url in self.asked if not url.startswith(allowed)]


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser; for a module whose tests share it, as it takes a second or more to start."""
    if shutil.which(_CHROMIUM) is None and "CI" not in os.environ:
        pytest.skip("there is no Chromium here; CI has one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab_of(browser: Browser, size: tuple[int, int] = DESKTOP) -> Iterator[Tab]:
    """A tab in a context of its own (cookies, cache), `size` CSS pixels wide and high."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height})
    try:
        tab = Tab(context.new_page())
        tab.page.on("request", lambda request: tab.asked.append(request.url))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on(
            "console",
            lambda message: (
                tab.complaints.append(f"{message.text} {message.location.get('url', '')}")
                if message.type == "error"
                else None
            ),
        )
        yield tab
    finally:
        context.close()


@contextmanager
def open_tab(size: tuple[int, int] = DESKTOP) -> Iterator[Tab]:
    """A tab of a new browser, `size` CSS pixels wide and high."""
    with open_browser() as browser, tab_of(browser, size) as tab:
        yield tab
