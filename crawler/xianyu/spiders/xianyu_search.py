"""Searches the site, one keyword after the other, page by page, newest listings first."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import scrapy
from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from .. import mtop
from ..clock import utcnow
from ..downloading import answer_of, api_request
from ..items import Listing
from ..middlewares import failure_reason
from ..outcomes import Outcome
from ..parsing import Context, Page, Reject, SchemaChanged, parse_search
from ..pictures import remember_picture_urls
from ..run_folder import RUN_FOLDERS, record_page
from ..state import STATES
from ..stopping import is_stopping, mark_partial, stop
from ..targets import Target, read_targets

MAX_UNANSWERED: Final = 3
"""The crawl stops when so many searches in a row brought no answer."""


@dataclass(slots=True)
class Walk:
    """A walk through the result pages of one search."""

    target: Target
    page: int = 1
    """The page to request, from 1."""
    last_item_ids: tuple[str, ...] = ()
    """The listings of the previous page."""
    watermark: str | None = None
    """When the newest listing was published, as `Listing.published_at`."""


class XianyuSearch(scrapy.Spider):
    """Requests one page at a time: after each page the next one, or the first one of the next keyword.

    A walk ends at the last page, at one without hits, at the page limit, at a page that repeats the previous one, or at
    a page that the last complete walk of the keyword has covered (`State.covers_page`). If a page cannot be fetched, or
    the first one is empty though the site counts offers, the walk stays incomplete, so that the next run repeats it in
    full, and the crawl goes on with the next keyword.
    """

    name = "xianyu_search"

    def __init__(self, targets: str = "", **more: Any) -> None:
        """`targets` is the path of a file as `xianyu.targets` describes it."""
        super().__init__(**more)
        self._file = targets
        self._targets: Iterator[Target] = iter(())
        self._unanswered = 0

    async def start(self) -> AsyncIterator[Request]:
        """The request for the first page of the first search."""
        if not self.settings.getbool("XIANYU_LIVE"):
            stop(self.crawler, Outcome.CONFIGURATION, "XIANYU_LIVE is not yes")
            return
        self._targets = iter(read_targets(Path(self._file)))
        for request in self._next_walk():
            yield request

    def parse(self, response: Response, walk: Walk | None = None) -> Iterator[Listing | Reject | Request]:
        """The listings and rejects of one page, and the next request.

        `walk` is None under `scrapy check`, which checks a single page.

        @saved search.json
        @listings 8
        @rejects 2
        @fields item_id url title price_status category_id published_at fetched_at
        """
        context = Context(
            fetched_at=utcnow(),
            keyword=walk.target.keyword if walk else None,
            category=walk.target.category if walk else None,
            run_id=self.settings.get("XIANYU_RUN_ID", ""),
        )
        try:
            page = parse_search(answer_of(response).value, context=context)
        except SchemaChanged as error:
            stop(self.crawler, Outcome.SCHEMA_CHANGED, str(error))
            return
        self.crawler.stats.inc_value("xianyu/pages")
        if walk is not None and walk.page == 1:
            folder = None if walk.target.filters.narrow_search else RUN_FOLDERS.get(self.crawler)
            record_page(folder, page, category=context.category, fetched_at=context.fetched_at)
            if page.offers and not page.listings and not page.rejects:
                self._unanswered = 0  # it is an answer
                mark_partial(
                    self.crawler,
                    f"{walk.target.keyword}, page 1: the site counts {page.offers} offers and shows none",
                )
                yield from self._next_walk()
                return
        self._unanswered = 0
        if state := STATES.get(self.crawler):
            state.known_listings(page.item_ids)  # one query; `known_listing` then finds each of them in the result
        remember_picture_urls(self.crawler, page.picture_urls)
        wanted = page.listings if walk is None else list(filter(walk.target.filters.admits, page.listings))
        self.crawler.stats.inc_value("xianyu/left_out", len(page.listings) - len(wanted))
        yield from wanted
        yield from page.rejects
        if walk is not None:
            yield from self._next_page_or_walk(walk, page, tuple(listing.item_id for listing in wanted))

    def _next_page_or_walk(self, walk: Walk, page: Page, wanted: tuple[str, ...]) -> Iterator[Request]:
        """The request for the next page of the walk, or at its end, for the first page of the next walk.

        `wanted` are the listings of the page that are what the target asked for.
        """
        if walk.page == 1:
            walk.watermark = max((each.published_at for each in page.listings if each.published_at), default=None)
        state = STATES.get(self.crawler)
        if (
            page.has_next
            and walk.page < self.settings.getint("XIANYU_PAGE_LIMIT")
            and page.item_ids != walk.last_item_ids
            and not (state and state.covers_page(walk.target.walk, wanted))
        ):
            walk.last_item_ids, walk.page = page.item_ids, walk.page + 1
            yield self._page_request(walk)
            return
        self.logger.info("%s: end after %d pages", walk.target.keyword, walk.page)
        if state:
            state.end_walk(walk.target.walk, walk.watermark, walk.page)
        yield from self._next_walk()

    def _next_walk(self) -> Iterator[Request]:
        """The request for the first page of the next search; none after the last one, or if the crawl is stopping."""
        if is_stopping(self.crawler) or (target := next(self._targets, None)) is None:
            return
        if state := STATES.get(self.crawler):
            state.begin_walk(target.walk)
        yield self._page_request(Walk(target))

    def _page_request(self, walk: Walk) -> Request:
        return api_request(
            self.settings["XIANYU_BASE_URL"],
            mtop.SEARCH_API,
            mtop.search_data(
                walk.target.keyword,
                walk.page,
                search_filter=walk.target.filters.search_filter,
                extra_filter=walk.target.filters.extra_filter,
            ),
            callback=self.parse,
            errback=self.unanswered,
            cb_kwargs={"walk": walk},
        )

    def unanswered(self, failure: Failure) -> Iterator[Request]:
        """Errback: record that a page could not be fetched, and begin the next search unless the crawl is stopping."""
        if (why := failure_reason(self.crawler, failure)) is None:
            return
        yield from self._unanswered_walk(failure.request.cb_kwargs["walk"], why)  # type: ignore[attr-defined]  # Scrapy's

    def _unanswered_walk(self, walk: Walk, why: str) -> Iterator[Request]:
        mark_partial(self.crawler, f"{walk.target.keyword}, page {walk.page}: {why}")
        self._unanswered += 1
        if self._unanswered == MAX_UNANSWERED:
            stop(
                self.crawler, Outcome.PARTIAL, f"{MAX_UNANSWERED} searches in a row brought no answer; the last: {why}"
            )
        yield from self._next_walk()
