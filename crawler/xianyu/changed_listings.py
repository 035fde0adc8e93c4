"""Which listings are written to the feed: those that are new, have changed, or have not been written for some days."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.spidermiddlewares.base import BaseSpiderMiddleware

from .items import Flag, Listing
from .parsing import Reject
from .run_folder import RUN_FOLDERS, RunFolder, fingerprint
from .state import STATES, KnownListing, State
from .stopping import is_stopping


class ChangedListingsFilter(BaseSpiderMiddleware):
    """Takes `Listing` and `Reject` objects from the spiders and passes on the listings to be written, each once a run.

    This is a spider middleware, not an item pipeline, because of the order of events: Scrapy resumes a spider's
    callback only after the middlewares have handled what it yielded. So when the spider calls `State.end_walk`, the
    state knows of every listing of that walk. Pipelines would run later.
    """

    def __init__(self, crawler: Crawler, state: State, run_folder: RunFolder) -> None:
        super().__init__(crawler)
        self._state = state
        self._run_folder = run_folder
        self._seen: dict[str, bool] = {}
        """The listings of this run, and whether each was found with a keyword: not only recommended."""
        self._refresh = timedelta(days=crawler.settings.getint("XIANYU_REFRESH_DAYS"))

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "ChangedListingsFilter":
        """Called by Scrapy. Raises `NotConfigured` for crawls that `xianyu.runner` did not start."""
        state, run_folder = STATES.get(crawler), RUN_FOLDERS.get(crawler)
        if state is None or run_folder is None:
            raise NotConfigured("not under the runner")
        return cls(crawler, state, run_folder)

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """What the spider's `start()` yields, up to the moment when the crawl is stopped.

        Otherwise `xianyu_file` would read a long file to its end first.
        """
        async for found in super().process_start(self._until_stopping(start)):
            yield found

    async def _until_stopping(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for found in start:
            if is_stopping(self.crawler):
                return
            yield found

    def get_processed_item(self, item: Any, response: Response | None) -> Any:  # noqa: ARG002 -- Scrapy's signature
        """The listing if it is to be written, else None. A reject is recorded in the run's folder."""
        if isinstance(item, Reject):
            self._run_folder.add_reject(item)
            self.crawler.stats.inc_value("xianyu/rejected")
            return None
        if not isinstance(item, Listing):
            return item
        is_hit = Flag.RECOMMENDED not in item.flags
        if not is_hit:
            self.crawler.stats.inc_value("xianyu/recommended")
        # A hit is news of what was only recommended so far. All else of a listing is the same within a run.
        seen_as_hit = self._seen.get(item.item_id)
        if seen_as_hit is not None and (seen_as_hit or not is_hit):
            self.crawler.stats.inc_value("xianyu/duplicates")
            return None
        self._seen[item.item_id] = is_hit
        known = self._state.known_listing(item.item_id)
        if known is not None and not self._is_due(item, known):
            self.crawler.stats.inc_value("xianyu/unchanged")
            return None
        self._state.add_pending(item.item_id)
        return item

    def _is_due(self, listing: Listing, known: KnownListing) -> bool:
        """Whether the listing has changed since it was last written, or was last written long ago.

        One that was fetched before the known one is outdated, so it is never due.
        """
        age = datetime.fromisoformat(listing.fetched_at) - known.emitted_at
        if age < timedelta():
            return False
        return age >= self._refresh or fingerprint(listing) != known.fingerprint
