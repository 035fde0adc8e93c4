"""Stopping a crawl early, and what is recorded on the way about how it ends.

The first reason to stop counts. Once there is one, no further request is sent.
"""

import asyncio
import logging
import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from weakref import WeakKeyDictionary

from scrapy.crawler import Crawler

from .clock import isoformat, utcnow
from .console import shown
from .outcomes import COOLDOWN_OUTCOMES, Outcome
from .state import LONGEST_WAIT, STATES

logger = logging.getLogger(__name__)

ITEM_POLL_SECONDS: Final = 0.01
"""How often `_close` checks whether all items have been processed."""


@dataclass(slots=True)
class CrawlResult:
    """What is known so far about how a crawl ends. `runner.final_outcome` draws the conclusion."""

    outcome: Outcome | None = None
    """The first reason to stop; None as long as there is none."""
    detail: str = ""
    missing: list[str] = field(default_factory=list)
    """What could not be fetched, although the crawl went on."""
    faults: list[str] = field(default_factory=list)
    """Errors of ours, by the names of their exceptions: messages might hold data."""
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    unrecorded_wait: timedelta | None = None
    """How long the site asked us to wait, if the cool-down of this block could not be recorded yet; else None."""
    stop_requested: asyncio.Event = field(default_factory=asyncio.Event)
    """Set together with `outcome`. It wakes the requests that wait for their turn, so that they can give up."""


_RESULTS: Final[WeakKeyDictionary[Crawler, CrawlResult]] = WeakKeyDictionary()


def result_of(crawler: Crawler) -> CrawlResult:
    """The result of this crawl, as far as it is known."""
    if (result := _RESULTS.get(crawler)) is None:
        result = _RESULTS[crawler] = CrawlResult()
    return result


def is_stopping(crawler: Crawler) -> bool:
    """Whether there is a reason to stop this crawl. Then no further request may be sent."""
    return result_of(crawler).outcome is not None


def stop(crawler: Crawler, outcome: Outcome, detail: str, *, retry_after: float | None = None) -> None:
    """Record the reason, if it is the first one, and close the spider. Pages that are under way may be completed.

    `outcome` also becomes Scrapy's `finish_reason`. `detail` tells people what happened; it must not hold cookies,
    tokens or personal data. `retry_after` is how many seconds the site asked us to wait, if it did.

    If the site blocked us, the cool-down is written to the state at once, so that it holds even if the run is killed.
    """
    result = result_of(crawler)
    if result.outcome is not None:
        logger.info("Already stopping (%s); also: %s (%s)", result.outcome, outcome, detail)
        return
    detail = shown(detail)
    result.outcome, result.detail = outcome, detail
    result.stop_requested.set()
    logger.warning("Stopping: %s (%s)", outcome, detail)
    state = STATES.get(crawler)
    if state is not None and outcome in COOLDOWN_OUTCOMES:
        at_least = timedelta(seconds=min(retry_after or 0, LONGEST_WAIT.total_seconds()))
        try:
            cooldown = state.start_cooldown(utcnow(), outcome, detail, at_least=at_least)
            logger.warning("No live run before %s", isoformat(cooldown.until))
        except sqlite3.Error as error:  # a full disk; `runner` tries again when the run has given room back
            result.unrecorded_wait = at_least
            mark_fault(crawler, f"the cool-down cannot be recorded: {error}")
    if crawler.spider is not None and crawler.crawling:
        # The result keeps the task until it is done: the event loop alone holds only a weak reference to it.
        task = asyncio.ensure_future(_close(crawler, outcome))
        result.tasks.add(task)
        task.add_done_callback(result.tasks.discard)


async def _close(crawler: Crawler, outcome: Outcome) -> None:
    # Scrapy 2.19 never finishes if it is closed while an item from `start()` is being processed: only a response would
    # make it look again. So wait for the items first.
    while (slot := crawler.engine.scraper.slot) is not None and slot.itemproc_size:
        await asyncio.sleep(ITEM_POLL_SECONDS)
    if crawler.engine.spider is not None:  # None if the spider finished in the meantime
        await crawler.engine.close_spider_async(reason=outcome)


def mark_partial(crawler: Crawler, detail: str) -> None:
    """Record that something could not be fetched. The crawl goes on; its outcome is `partial` at best."""
    logger.warning("Not complete: %s", shown(detail))
    result_of(crawler).missing.append(shown(detail))


def mark_fault(crawler: Crawler, detail: str) -> None:
    """Record an error of ours. The crawl goes on; its outcome is `fault`, unless the site or the operator ended it."""
    logger.error("Fault: %s", shown(detail))
    result_of(crawler).faults.append(shown(detail))
