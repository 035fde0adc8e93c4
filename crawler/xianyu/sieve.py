"""Which listings go on to the feed: each once a run, and only if it is new, changed, or long not written."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.spidermiddlewares.base import BaseSpiderMiddleware

from .batches import BATCHES, Batches, fingerprint
from .items import Listing
from .parsing import Reject
from .state import STATES, Known, State
from .stopping import stopped


class Sieve(BaseSpiderMiddleware):
    """Takes `Listing` and `Reject` from spiders; hands on the listings that are worth it.

    A spider middleware and no pipeline, as a spider's callback goes on only after this has seen what it yielded: so
    `State.end_keyword` finds every listing of its walk counted. Pipelines run some time later.
    """

    def __init__(self, crawler: Crawler, memory: State, run: Batches) -> None:
        super().__init__(crawler)
        self._memory = memory
        self._run = run
        self._seen: set[str] = set()
        self._refresh = timedelta(days=crawler.settings.getint("XIANYU_REFRESH_DAYS"))

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "Sieve":
        """As Scrapy makes it; only the runner's crawls have what it stands on."""
        memory, run = STATES.get(crawler), BATCHES.get(crawler)
        if memory is None or run is None:
            raise NotConfigured("not under the runner")
        return cls(crawler, memory, run)

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """What `start()` yields, until the crawl is told to stop: a long file is not read to its end then."""
        async for found in super().process_start(self._until_stopped(start)):
            yield found

    async def _until_stopped(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for found in start:
            if stopped(self.crawler):
                return
            yield found

    def get_processed_item(self, item: Any, response: Response | None) -> Any:  # noqa: ARG002 -- Scrapy's
        """The listing, if it goes on; rejects are written down here."""
        if isinstance(item, Reject):
            self._run.reject(item)
            self.crawler.stats.inc_value("xianyu/rejected")
            return None
        if not isinstance(item, Listing):
            return item
        if item.item_id in self._seen:
            self.crawler.stats.inc_value("xianyu/duplicates")
            return None
        self._seen.add(item.item_id)
        known = self._memory.known_listing(item.item_id)
        if known is not None and not self._worth(item, known):
            self.crawler.stats.inc_value("xianyu/unchanged")
            return None
        self._memory.hand_on(item.item_id)
        return item

    def _worth(self, listing: Listing, known: Known) -> bool:
        """Whether readers learn something. What was seen before the known sight is old, whatever it says."""
        since = datetime.fromisoformat(listing.fetched_at) - known.emitted_at
        if since < timedelta():
            return False
        return since >= self._refresh or fingerprint(listing) != known.fingerprint
