"""How fast, and under which name: Scrapy's settings that follow from ours, and the pause before each request."""

import asyncio
import random
import time
from collections import defaultdict
from contextlib import suppress
from typing import Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.settings import BaseSettings
from scrapy.utils.httpobj import urlparse_cached

from . import __version__
from .downloading import refuse_if_stopped
from .stopping import ending


def user_agent(name: str, contact: str) -> str:
    """An honest one: `SaltfishCrawler/1.0.0 (+mailto:ops@example.org)`."""
    who = f"mailto:{contact}" if "@" in contact and "://" not in contact else contact
    return f"{name}/{__version__}" + (f" (+{who})" if who else "")


class Politeness:
    """Scrapy add-on: what the operator chose as XIANYU_ settings becomes Scrapy's own."""

    def update_settings(self, settings: BaseSettings) -> None:
        """Called by Scrapy once the settings of a crawl are complete."""
        contact = settings.get("XIANYU_CONTACT") or ""
        settings.set("USER_AGENT", user_agent(settings["BOT_NAME"], contact), "addon")
        settings.set("DOWNLOAD_TIMEOUT", settings.getfloat("XIANYU_ANSWER_TIMEOUT"), "addon")


class PaceMiddleware:
    """One pause before each request to a host, drawn once, and never shorter than the host's Crawl-delay.

    Instead of Scrapy's DOWNLOAD_DELAY, jitter and AutoThrottle, which together fall short in four ways: a pause is
    drawn again each time that somebody looks whether it is over, so that 5 s ± 50 % last 6.1 s on average; jitter may
    undercut a Crawl-delay; AutoThrottle lowers a delay that robots.txt raised; and a request that waits for its turn
    holds up a crawl that was told to stop. What AutoThrottle is for is kept: a server that needs longer to answer than
    our delay is asked no faster than it answers. A retry waits twice as long, the next one four times.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._delay = crawler.settings.getfloat("XIANYU_DELAY")
        self._jitter = crawler.settings.getfloat("XIANYU_JITTER")
        self._latency: dict[str, float] = {}
        self._least: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """As Scrapy makes middlewares."""
        return cls(crawler)

    def at_least(self, host: str, seconds: float) -> None:
        """A host's robots.txt wants this Crawl-delay."""
        self._least[host] = seconds

    def pause(self, host: str, *, retries: int = 0) -> float:
        """Draw the seconds between the start of the last request to a host and the start of the next one."""
        mean = max(self._delay, self._latency.get(host, 0.0)) * float(2**retries)
        drawn = mean * random.uniform(1 - self._jitter, 1 + self._jitter)  # noqa: S311 -- not for secrets
        return max(drawn, self._least.get(host, 0.0))

    async def process_request(self, request: Request) -> None:
        """Wait for this request's turn.

        Raises:
            Refused: the crawl was told to stop, before or while it waited.
        """
        host = urlparse_cached(request).hostname
        if host is None:  # a file, under `scrapy check`
            return
        pause = self.pause(host, retries=request.meta.get("retry_times", 0))
        async with self._turns[host]:
            if host in self._last:
                with suppress(TimeoutError):
                    wait = self._last[host] + pause - time.monotonic()
                    await asyncio.wait_for(ending(self._crawler).told.wait(), max(wait, 0.0))
            refuse_if_stopped(self._crawler)
            self._last[host] = time.monotonic()

    def process_response(self, request: Request, response: Response) -> Response:
        """Learn how long a server takes: half of what was known, half of what was seen, as AutoThrottle does."""
        host, latency = urlparse_cached(request).hostname, request.meta.get("download_latency")
        if host is not None and latency is not None:
            self._latency[host] = (self._latency.get(host, latency) + latency) / 2
        return response
