"""How a crawl is ended before its time: the first reason counts, and nothing is sent after it."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from weakref import WeakKeyDictionary

from scrapy.crawler import Crawler

from .clock import utcnow, written
from .outcomes import COOLING_OUTCOMES, Outcome
from .state import STATES

logger = logging.getLogger(__name__)

LONGEST_ASKED: Final = timedelta(days=30)
"""A Retry-After beyond this is taken for this."""
ITEM_SECONDS: Final = 0.01
"""How often it is looked whether all items are through."""


@dataclass(slots=True)
class Ending:
    """What is known so far of how a crawl ends."""

    outcome: Outcome | None = None
    """The first reason to stop, or None while nobody wanted that."""
    detail: str = ""
    partial: list[str] = field(default_factory=list)
    """What could not be had, while the rest went on."""
    faults: list[str] = field(default_factory=list)
    """What went wrong on our side: kinds of exceptions, with no data in them."""
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the outcome: wakes whoever pauses before a request that must not be sent any more."""


_ENDINGS: Final[WeakKeyDictionary[Crawler, Ending]] = WeakKeyDictionary()


def ending(crawler: Crawler) -> Ending:
    """What is known so far of how this crawl ends."""
    if (known := _ENDINGS.get(crawler)) is None:
        known = _ENDINGS[crawler] = Ending()
    return known


def stopped(crawler: Crawler) -> bool:
    """Whether this crawl was told to stop: then nothing may be sent any more."""
    return ending(crawler).outcome is not None


def stop(crawler: Crawler, outcome: Outcome, detail: str, *, retry_after: float | None = None) -> None:
    """Remember why, if it is the first reason, and close the spider; pages under way may come to their end.

    A block is written down as a cool-down at once, so that even kill -9 does not make the next run forget it.

    Args:
        outcome: The reason; also Scrapy's `finish_reason`.
        detail: What happened, for people; no cookies, tokens or personal data.
        retry_after: How many seconds the site asked us to wait, if it did.
    """
    found = ending(crawler)
    if found.outcome is not None:
        logger.info("Already stopping (%s); also: %s (%s)", found.outcome, outcome, detail)
        return
    found.outcome, found.detail = outcome, detail
    found.told.set()
    logger.warning("Stopping: %s (%s)", outcome, detail)
    memory = STATES.get(crawler)
    if memory is not None and outcome in COOLING_OUTCOMES:
        at_least = timedelta(seconds=min(retry_after or 0, LONGEST_ASKED.total_seconds()))
        cooldown = memory.cool_down(utcnow(), outcome, detail, at_least=at_least)
        logger.warning("No live run before %s", written(cooldown.until))
    if crawler.spider is not None and crawler.crawling:
        # Kept until it is done: the event loop itself holds its tasks weakly.
        task = asyncio.ensure_future(_close(crawler, outcome))
        found.tasks.add(task)
        task.add_done_callback(found.tasks.discard)


async def _close(crawler: Crawler, outcome: Outcome) -> None:
    # Scrapy 2.19 waits for ever if it closes while an item of `start()` is under way: only responses wake it again.
    while (slot := crawler.engine.scraper.slot) is not None and slot.itemproc_size:
        await asyncio.sleep(ITEM_SECONDS)
    if crawler.engine.spider is not None:  # else it closed by itself in between
        await crawler.engine.close_spider_async(reason=outcome)


def mark_partial(crawler: Crawler, detail: str) -> None:
    """Remember that something could not be had. The crawl goes on; its outcome is `partial` at best."""
    logger.warning("Not complete: %s", detail)
    ending(crawler).partial.append(detail)


def mark_fault(crawler: Crawler, detail: str) -> None:
    """Remember a fault of ours. The crawl goes on; its outcome is `fault`, unless the site stopped it."""
    logger.error("Fault: %s", detail)
    ending(crawler).faults.append(detail)
