"""Fetches the details of single items, by their ids. The site often wants a login for that, which ends the run."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import scrapy
from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from .. import mtop
from ..clock import utcnow
from ..downloading import answer_of, api_request
from ..errors import ConfigurationError
from ..items import Listing
from ..middlewares import failure_reason
from ..outcomes import Outcome
from ..parsing import Context, Reject, SchemaChanged, parse_detail
from ..pictures import remember_picture_urls
from ..stopping import is_stopping, mark_partial, stop

_ITEM: Final = re.compile(r"(?:https?://\S+[?&]id=)?(?P<id>[0-9]{1,20})(?:[&#]\S*)?", re.ASCII)


class XianyuDetail(scrapy.Spider):
    """Fetches one item after the other. A deleted item is a reject; one that cannot be fetched makes the run partial.

    The site may show details only to users who are logged in. Then its answer ends the run as `login`.
    """

    name = "xianyu_detail"

    def __init__(self, items: str = "", **more: Any) -> None:
        """`items` is the path of a text file with an item's id, or the URL of its page, on each line."""
        super().__init__(**more)
        self._file = items
        self._items: Iterator[str] = iter(())

    async def start(self) -> AsyncIterator[Request]:
        """The request for the first item."""
        if not self.settings.getbool("XIANYU_LIVE"):
            stop(self.crawler, Outcome.CONFIGURATION, "XIANYU_LIVE is not yes")
            return
        self._items = iter(read_items(Path(self._file)))
        for request in self._next_request():
            yield request

    def parse(self, response: Response, item_id: str | None = None) -> Iterator[Listing | Reject | Request]:
        """The listing in the details of an item, and the request for the next one.

        @saved detail.json
        @listings 1
        @rejects 0
        @fields item_id title description price_fen orig_price_fen area category_id want_count published_at
        """
        context = Context(fetched_at=utcnow(), run_id=self.settings.get("XIANYU_RUN_ID", ""), item_id=item_id)
        try:
            page = parse_detail(answer_of(response).value, context=context)
        except SchemaChanged as error:
            stop(self.crawler, Outcome.SCHEMA_CHANGED, str(error))
            return
        self.crawler.stats.inc_value("xianyu/pages")
        remember_picture_urls(self.crawler, page.picture_urls)
        yield from page.listings
        yield from page.rejects
        yield from self._next_request()

    def unanswered(self, failure: Failure) -> Iterator[Request]:
        """Errback: record that an item could not be fetched, and request the next one unless the crawl is stopping."""
        if (why := failure_reason(self.crawler, failure)) is None:
            return
        item_id = failure.request.cb_kwargs["item_id"]  # type: ignore[attr-defined]  # Scrapy put it there
        mark_partial(self.crawler, f"item {item_id}: {why}")
        yield from self._next_request()

    def _next_request(self) -> Iterator[Request]:
        if is_stopping(self.crawler) or (item_id := next(self._items, None)) is None:
            return
        yield api_request(
            self.settings["XIANYU_BASE_URL"],
            mtop.DETAIL_API,
            mtop.detail_data(item_id),
            callback=self.parse,
            errback=self.unanswered,
            cb_kwargs={"item_id": item_id},
        )


def read_items(path: Path) -> list[str]:
    """The ids in a file, each once, in the file's order. Empty lines and lines that begin with # are ignored.

    Raises `ConfigurationError` if the file cannot be read, is not UTF-8, has no id in it, or has invalid lines; the
    message gives the numbers of all these lines.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8"
        raise ConfigurationError(f"cannot read the items in {path}: {why}") from error
    lines = {number: line.strip() for number, line in enumerate(text.splitlines(), 1)}
    found = {number: _ITEM.fullmatch(line) for number, line in lines.items() if line and not line.startswith("#")}
    invalid = [str(number) for number, match in found.items() if match is None]
    if invalid:
        raise ConfigurationError(f"{path}: no item's number in line {', '.join(invalid)}")
    if not found:
        raise ConfigurationError(f"{path}: no item in it; write one number on a line")
    return list(dict.fromkeys(match["id"] for match in found.values() if match is not None))
