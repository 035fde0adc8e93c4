"""How fast, and under which name: Scrapy's settings that follow from ours, and the pause between two requests."""

import random
from typing import Self

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.settings import BaseSettings

from . import __version__


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
        settings.set("DOWNLOAD_DELAY", settings.getfloat("XIANYU_DELAY"), "addon")
        settings.set("DOWNLOAD_TIMEOUT", settings.getfloat("XIANYU_ANSWER_TIMEOUT"), "addon")


class Pace:
    """Extension: one pause before each request, drawn once, never shorter than a Crawl-delay.

    Scrapy's own jitter is off (DOWNLOAD_DELAY_JITTER = 0), and so is its AutoThrottle: the first draws again each time
    that it looks whether a pause is over, which makes 5 s ± 50 % last 6.1 s on average, and may undercut a Crawl-delay;
    the second lowers a delay that robots.txt raised. What AutoThrottle is for is kept: a server that needs longer to
    answer than our delay is asked no faster than it answers. A retry waits twice as long, the next one four times.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._delay = crawler.settings.getfloat("XIANYU_DELAY")
        self._jitter = crawler.settings.getfloat("XIANYU_JITTER")
        self._latency: dict[str, float] = {}
        self._least: dict[str, float] = {}
        crawler.signals.connect(self.reached, signals.request_reached_downloader)
        crawler.signals.connect(self.downloaded, signals.response_downloaded)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """As Scrapy makes extensions."""
        return cls(crawler)

    def at_least(self, slot: str, seconds: float) -> None:
        """A host's robots.txt wants this Crawl-delay. Slots are named by hosts."""
        self._least[slot] = seconds

    def pause(self, slot: str, *, retries: int = 0) -> float:
        """Draw the seconds between the start of the last request to a host and the next one's."""
        mean = max(self._delay, self._latency.get(slot, 0.0)) * float(2**retries)
        drawn = mean * random.uniform(1 - self._jitter, 1 + self._jitter)  # noqa: S311 -- not for secrets
        return max(drawn, self._least.get(slot, 0.0))

    def reached(self, request: Request, spider: Spider) -> None:  # noqa: ARG002 -- Scrapy names the arguments
        """A request is about to wait for its turn."""
        name = request.meta["download_slot"]
        self._crawler.engine.downloader.slots[name].delay = self.pause(name, retries=request.meta.get("retry_times", 0))

    def downloaded(self, response: Response, request: Request, spider: Spider) -> None:  # noqa: ARG002 -- as above
        """Learn how long a server takes: half of what was known, half of what was seen, as AutoThrottle does."""
        name, latency = request.meta["download_slot"], request.meta.get("download_latency")
        if latency is not None:
            self._latency[name] = (self._latency.get(name, latency) + latency) / 2
