"""Reads answers that the operator saved from their own browser. Sends nothing, unless pictures are to be fetched."""

import glob
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import scrapy
from scrapy.http import Response

from ..clock import utcnow
from ..errors import ConfigurationError
from ..har import SavedAnswer, saved_answers
from ..items import Listing
from ..mtop import SHAPE_BY_API
from ..outcomes import Outcome
from ..parsing import PARSERS, Context, Page, Reject, SchemaChanged
from ..pictures import remember_picture_urls
from ..run_folder import RUN_FOLDERS, record_page
from ..stopping import mark_partial, stop


class XianyuFile(scrapy.Spider):
    """Reads one file after the other; see `xianyu.har` and `xianyu.saved_files` for what they may hold.

    A file or an answer that cannot be read is logged and counted, and the run goes on; its outcome is `partial` then.
    If every answer has an unknown schema the outcome is `schema_changed`.

    `fetched_at` is when the browser sent the request, if the file tells, else when the file was last written.
    """

    name = "xianyu_file"

    def __init__(self, files: str | Iterable[str] = (), category: str | None = None, **more: Any) -> None:
        """`files` are paths or patterns (`saved/*.har`); in a single string they are separated by commas.

        `category` is the operator's label for all listings in the files.
        """
        super().__init__(**more)
        self._names = [files] if isinstance(files, str) else list(files)
        self._category = category or None
        self._pages = 0
        self._schema_error = ""

    async def start(self) -> AsyncIterator[Listing | Reject]:
        """The listings and rejects in the files. Raises `ConfigurationError` if none of the files exists.

        They are not read through Scrapy's downloader, as its pauses and limits are meant for servers.
        """
        for path in existing_files(self._names):
            try:
                body = path.read_bytes()
            except OSError as error:
                self._skip(path.name, error.strerror or type(error).__name__)
                continue
            for found in self.parse(Response(path.as_uri(), body=body)):
                yield found
        if self._schema_error and not self._pages:
            stop(self.crawler, Outcome.SCHEMA_CHANGED, self._schema_error)

    def parse(self, response: Response) -> Iterator[Listing | Reject]:
        """The listings and rejects in one file.

        @saved search.har
        @listings 3
        @rejects 0
        @fields item_id title price_fen area published_at fetched_at
        """
        path = Path(os.fsdecode(unquote_to_bytes(urlsplit(response.url).path)))  # a name need not be UTF-8
        written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        for saved in saved_answers(response.body):
            name = f"{path.name} {saved.place}".rstrip()
            try:
                page = self._page(saved, written_at)
            except SchemaChanged as error:
                self._schema_error = self._schema_error or f"{name}: {error}"
                self._skip(name, str(error))
                continue
            if page is None:
                self._skip(name, saved.problem)
                continue
            self._pages += 1
            self.crawler.stats.inc_value("xianyu/pages")
            remember_picture_urls(self.crawler, page.picture_urls)
            yield from page.listings
            for reject in page.rejects:
                yield replace(reject, place=f"{name} {reject.place}")

    def _page(self, saved: SavedAnswer, written_at: datetime) -> Page | None:
        if saved.answer is None:
            return None
        context = Context(
            # The browser's clock may be fast. A listing from the future would never be outdated by a later one.
            fetched_at=min(saved.fetched_at or written_at, utcnow()),
            keyword=saved.keyword,
            category=self._category,
            run_id=self.settings.get("XIANYU_RUN_ID", ""),
            item_id=saved.item_id,
        )
        page = PARSERS[SHAPE_BY_API[saved.api]](saved.answer.value, context=context)
        if not saved.is_narrowed:
            record_page(RUN_FOLDERS.get(self.crawler), page, category=self._category, fetched_at=context.fetched_at)
        return page

    def _skip(self, name: str, why: str) -> None:
        self.crawler.stats.inc_value("xianyu/broken")
        mark_partial(self.crawler, f"{name}: {why}")


def existing_files(names: Sequence[str]) -> list[Path]:
    """The files that paths and patterns stand for, each once, in order. A pattern without a match is kept as a path.

    Raises `ConfigurationError` if none of them exists.
    """
    found: dict[Path, None] = {}
    for name in names:
        for part in [name] if _exists(name) else filter(None, map(str.strip, name.split(","))):
            # Path.glob takes no absolute patterns.
            matches = [part] if _exists(part) else sorted(glob.glob(part, recursive=True))  # noqa: PTH207 -- see above
            found.update((Path(match).resolve(), None) for match in matches or [part])
    if not any(map(_exists, found)):
        raise ConfigurationError(f"no such file: {', '.join(names) or 'none was named'}")
    return list(found)


def _exists(name: str | Path) -> bool:
    try:
        return name != "" and Path(name).exists()
    except OSError:  # too long to be a name
        return False
