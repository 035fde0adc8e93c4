"""Being polite to the site: a pause before each request, and a User-Agent that says who is asking."""

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
from .downloading import refuse_if_stopping
from .stopping import result_of


def user_agent(name: str, contact: str) -> str:
    """Name, version and contact: `SaltfishCrawler/1.1.0 (+mailto:ops@example.org)`."""
    who = f"mailto:{contact}" if "@" in contact and "://" not in contact else contact
    return f"{name}/{__version__}" + (f" (+{who})" if who else "")


class PolitenessAddon:
    """Scrapy add-on that derives Scrapy's settings from the operator's `XIANYU_` settings."""

    def update_settings(self, settings: BaseSettings) -> None:
        """Called by Scrapy once the settings of a crawl are complete."""
        contact = settings.get("XIANYU_CONTACT") or ""
        settings.set("USER_AGENT", user_agent(settings["BOT_NAME"], contact), "addon")
        settings.set("DOWNLOAD_TIMEOUT", settings.getfloat("XIANYU_ANSWER_TIMEOUT"), "addon")


class PaceMiddleware:
    """Makes each request wait until some seconds after the last one to the same host.

    The pause is drawn at random around `XIANYU_DELAY`, and is never shorter than the Crawl-delay of the host's
    robots.txt. A server that takes longer to answer than our delay is asked no faster than it answers. The pause before
    a first retry is twice as long, before a second one four times.

    Scrapy's own DOWNLOAD_DELAY, RANDOMIZE_DOWNLOAD_DELAY and AutoThrottle are not used, for four reasons. The random
    delay is drawn again at each check whether it is over, so that 5 s ± 50 % last 6.1 s on average. It may be shorter
    than a Crawl-delay. AutoThrottle lowers a delay that robots.txt has raised. A request that waits for its turn keeps
    a crawl from stopping.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._delay = crawler.settings.getfloat("XIANYU_DELAY")
        self._jitter = crawler.settings.getfloat("XIANYU_JITTER")
        self._latency: dict[str, float] = {}
        self._crawl_delays: dict[str, float] = {}
        self._last_start: dict[str, float] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy."""
        return cls(crawler)

    def set_crawl_delay(self, host: str, seconds: float) -> None:
        """Keep the Crawl-delay that a host's robots.txt asks for."""
        self._crawl_delays[host] = seconds

    def draw_pause(self, host: str, *, retries: int = 0) -> float:
        """Draw the seconds from the start of the last request to a host until the start of the next one."""
        mean = max(self._delay, self._latency.get(host, 0.0)) * float(2**retries)
        drawn = mean * random.uniform(1 - self._jitter, 1 + self._jitter)  # noqa: S311 -- not for secrets
        return max(drawn, self._crawl_delays.get(host, 0.0))

    async def process_request(self, request: Request) -> None:
        """Wait for this request's turn. Raises `RequestRefused` if the crawl is stopped before or while it waits."""
        host = urlparse_cached(request).hostname
        if host is None:  # a file, under `scrapy check`
            return
        pause = self.draw_pause(host, retries=request.meta.get("retry_times", 0))
        async with self._locks[host]:
            if host in self._last_start:
                with suppress(TimeoutError):
                    wait = self._last_start[host] + pause - time.monotonic()
                    await asyncio.wait_for(result_of(self._crawler).stop_requested.wait(), max(wait, 0.0))
            refuse_if_stopping(self._crawler)
            self._last_start[host] = time.monotonic()

    def process_response(self, request: Request, response: Response) -> Response:
        """Learn how long the server takes, as AutoThrottle does: the average of what was known and the new latency."""
        host, latency = urlparse_cached(request).hostname, request.meta.get("download_latency")
        if host is not None and latency is not None:
            self._latency[host] = (self._latency.get(host, latency) + latency) / 2
        return response
