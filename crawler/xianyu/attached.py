"""What belongs to one crawl and is too alive for its settings, which Scrapy copies: found by the crawler."""

from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from scrapy.crawler import Crawler

T = TypeVar("T")


class Attached(Generic[T]):
    """One kind of thing beside each crawler that has one, for as long as the crawler lives."""

    def __init__(self) -> None:
        self._by_crawler: WeakKeyDictionary[Crawler, T] = WeakKeyDictionary()

    def attach(self, crawler: Crawler, thing: T) -> None:
        """From now on `of(crawler)` answers `thing`."""
        self._by_crawler[crawler] = thing

    def of(self, crawler: Crawler) -> T | None:
        """The crawler's own, or None where nobody attached one, as under `scrapy check`."""
        return self._by_crawler.get(crawler)
