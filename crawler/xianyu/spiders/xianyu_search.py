"""Searches the live site, one keyword after the other, page by page, the newest listings first."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import scrapy
from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from .. import mtop, pictures
from ..clock import utcnow
from ..downloading import answer_of, api_request
from ..items import Listing
from ..middlewares import reason
from ..outcomes import Outcome
from ..parsing import Context, Page, Reject, SchemaChanged, parse_search
from ..state import STATES
from ..stopping import mark_partial, stop, stopped
from ..targets import Target, read_targets

GIVE_UP: Final = 3
"""Searches in a row without an answer after which the site is left alone until the next run."""


@dataclass(slots=True)
class Walk:
    """The way through the pages of one search."""

    target: Target
    page: int = 1
    """The page that is asked for, from 1."""
    last: tuple[str, ...] = ()
    """The listings of the page before."""
    watermark: str | None = None
    """When the newest listing was published, as `Listing.published_at`."""


class XianyuSearch(scrapy.Spider):
    """Asks for one page at a time: the next one, or the next keyword, when a page was read.

    A keyword ends with the last page, with the page limit, with a page that repeats the one before, or with a page
    that an earlier, finished walk has been past (`State.covers`). Where a page cannot be had its walk stays unfinished,
    which the next run makes good, and the other keywords go on.
    """

    name = "xianyu_search"

    def __init__(self, targets: str = "", **more: Any) -> None:
        """`targets` is the path of the file that `xianyu.targets` describes."""
        super().__init__(**more)
        self._file = targets
        self._targets: Iterator[Target] = iter(())
        self._unanswered = 0

    async def start(self) -> AsyncIterator[Request]:
        """The first page of the first search."""
        if not self.settings.getbool("XIANYU_LIVE"):
            stop(self.crawler, Outcome.CONFIGURATION, "XIANYU_LIVE is not yes")
            return
        self._targets = iter(read_targets(Path(self._file)))
        for request in self._next_walk():
            yield request

    def parse(self, response: Response, walk: Walk | None = None) -> Iterator[Listing | Reject | Request]:
        """What one page of a search holds, and the request of what comes after it.

        `walk` is None under `scrapy check`, where a page stands alone.

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
        self._unanswered = 0
        self.crawler.stats.inc_value("xianyu/pages")
        if memory := STATES.get(self.crawler):
            memory.known(page.item_ids)  # one statement for all of them
        pictures.remember(self.crawler, page.picture_urls)
        yield from page.listings
        yield from page.rejects
        if walk is not None:
            yield from self._go_on(walk, page)

    def _go_on(self, walk: Walk, page: Page) -> Iterator[Request]:
        """The next page of a walk, or what comes after its end."""
        if walk.page == 1:
            walk.watermark = max((each.published_at for each in page.listings if each.published_at), default=None)
        memory = STATES.get(self.crawler)
        if (
            page.has_next
            and walk.page < self.settings.getint("XIANYU_PAGE_LIMIT")
            and page.item_ids != walk.last
            and not (memory and memory.covers(walk.target.keyword, page.item_ids))
        ):
            walk.last, walk.page = page.item_ids, walk.page + 1
            yield self._ask(walk)
            return
        self.logger.info("%s: end after %d pages", walk.target.keyword, walk.page)
        if memory:
            memory.end_keyword(walk.target.keyword, walk.watermark, walk.page)
        yield from self._next_walk()

    def _next_walk(self) -> Iterator[Request]:
        """The first page of the next search, if there is one and nobody wants to stop."""
        if stopped(self.crawler) or (target := next(self._targets, None)) is None:
            return
        if memory := STATES.get(self.crawler):
            memory.begin_keyword(target.keyword)
        yield self._ask(Walk(target))

    def _ask(self, walk: Walk) -> Request:
        return api_request(
            self.settings["XIANYU_BASE_URL"],
            mtop.SEARCH_API,
            mtop.search_data(walk.target.keyword, walk.page),
            callback=self.parse,
            errback=self.unanswered,
            cb_kwargs={"walk": walk},
        )

    def unanswered(self, failure: Failure) -> Iterator[Request]:
        """A page could not be had. Its walk stays unfinished; the next search goes on, unless the crawl is ending."""
        if (why := reason(self.crawler, failure)) is None:
            return
        walk: Walk = failure.request.cb_kwargs["walk"]  # type: ignore[attr-defined]  # Scrapy put it there
        mark_partial(self.crawler, f"{walk.target.keyword}, page {walk.page}: {why}")
        self._unanswered += 1
        if self._unanswered == GIVE_UP:
            stop(self.crawler, Outcome.PARTIAL, f"{GIVE_UP} searches in a row brought no answer; the last: {why}")
        yield from self._next_walk()
