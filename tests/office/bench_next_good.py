"""How soon a reviewer sees the next good: `make bench-review`. By its name it is no test, as speed is never tested."""

from statistics import median
from typing import Final

from flask import Flask

from tests.factories import make_user
from tests.live import LiveServer
from tests.money.sandbox_server import eventually
from tests.office.test_browser import Browser, actions, browser, desk
from tests.office.waiting import waiting_case

__all__ = ["browser"]  # a fixture

_DECISIONS: Final = 15
_FAST: Final = 200
"""Milliseconds that the next good may take, in the median."""


def test_the_next_good_is_there_at_once(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    """With 200 goods waiting, by keyboard alone: median of the time from the key to the next good."""
    owner = make_user(app)
    for number in range(200):
        waiting_case(app, owner=owner, title=f"商品 {number}")
    with desk(app, live_server, browser) as at:
        at.open("/admin/review/")
        at.press("Enter")
        took = []
        for _ in range(_DECISIONS):
            at.page.wait_for_selector("#next [data-case]", state="attached")
            at.page.evaluate(_WATCH)
            at.press("a")
            at.page.wait_for_function("window.shownAfter !== undefined")
            took.append(at.page.evaluate("window.shownAfter"))
        eventually(lambda: len(actions(app)) == _DECISIONS, what="the decisions")
    assert median(took) < _FAST, took
    print(f"next good after a decision: median {median(took):.0f} ms, longest {max(took):.0f} ms")


# From the key to the frame that shows another case, as the browser itself measures it.
_WATCH = """
() => {
  delete window.shownAfter;
  const desk = document.getElementById("desk");
  addEventListener("keydown", () => {
    const begin = performance.now();
    new MutationObserver((_, observer) => {
      observer.disconnect();
      requestAnimationFrame(() => { window.shownAfter = performance.now() - begin; });
    }).observe(desk, { childList: true });
  }, { once: true, capture: true });
}
"""
