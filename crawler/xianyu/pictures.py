"""Fetches the pictures of listings, if the operator sets `XIANYU_PICTURES=yes`.

Scrapy's ImagesPipeline is not used because it logs the URL of each picture that fails, which may hold the seller's
number.
"""

import asyncio
import logging
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http.request import NO_CALLBACK

from .items import Listing
from .middlewares import retry_after
from .options import MIN_DELAY, is_loopback
from .outcomes import Outcome
from .run_folder import write_atomically
from .stopping import stop

logger = logging.getLogger(__name__)

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PIXELS: Final = 50_000_000
QUALITY: Final = 85
"""Quality of the JPEG files that are stored."""


class Pictures:
    """Item pipeline that stores the pictures of a listing in the run's `pictures/`, and their names in the listing.

    The same rules hold as for the API: robots.txt, the delay, the day's budget. Pictures are not signed and not
    retried. One that cannot be fetched, or is no picture, is only counted as missing. A host that asks for fewer
    requests stops the crawl.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._folder = Path(crawler.settings["XIANYU_RUN_DIR"]) / "pictures"
        self._polite = crawler.settings.getfloat("XIANYU_DELAY") >= MIN_DELAY
        self._urls: dict[str, list[str]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "Pictures":
        """Called by Scrapy."""
        return cls(crawler)

    def remember_urls(self, urls: Mapping[str, list[str]]) -> None:
        """Keep the picture URLs of listings, by item id, until the pipeline processes the listings."""
        self._urls.update(urls)

    async def process_item(self, item: Listing) -> Listing:
        """The listing, with the names of its stored pictures."""
        for url in self._urls.pop(item.item_id, []):
            name = await self._fetch(url)
            if name is None:
                self._crawler.stats.inc_value("xianyu/pictures_missing")
            elif name not in item.pictures:
                self._crawler.stats.inc_value("xianyu/pictures")
                item.pictures.append(name)
        return item

    async def _fetch(self, relative_url: str) -> str | None:
        url = absolute_url(relative_url)
        if url is None or not (self._polite or is_loopback(url)):
            return None
        request = Request(url, callback=NO_CALLBACK, meta={"handle_httpstatus_all": True, "dont_retry": True})
        try:
            response = await self._crawler.engine.download_async(request)
        except Exception as error:  # noqa: BLE001 -- whatever fails, the listing is more important than its picture
            logger.info("A picture could not be had: %s", type(error).__name__)
            return None
        if response.status in (420, 429):
            wait = retry_after(response)
            stop(self._crawler, Outcome.LIMITED, f"a picture: HTTP {response.status}", retry_after=wait)
            return None
        if response.status != 200:
            logger.info("A picture could not be had: HTTP %d", response.status)
            return None
        content = await asyncio.to_thread(clean_jpeg, response.body)
        if content is None:
            return None
        name = f"{sha256(content).hexdigest()[:40]}.jpg"
        await asyncio.to_thread(self._store, name, content)
        return name

    def _store(self, name: str, content: bytes) -> None:
        self._folder.mkdir(exist_ok=True)
        write_atomically(self._folder / name, content)


def remember_picture_urls(crawler: Crawler, urls: Mapping[str, list[str]]) -> None:
    """Give the pipeline, if it is enabled, the picture URLs of a page. To be called before its listings are yielded."""
    pipeline = crawler.get_item_pipeline(Pictures)
    if pipeline is not None:
        pipeline.remember_urls(urls)


def absolute_url(url: str) -> str | None:
    """The URL with a scheme, which is `https:` if it had none; None if it is no HTTP URL."""
    absolute = f"https:{url}" if url.startswith("//") else url
    try:
        parts = urlsplit(absolute)
    except ValueError:  # not a valid host
        return None
    return absolute if parts.scheme in ("http", "https") and parts.hostname else None


def clean_jpeg(body: bytes) -> bytes | None:
    """The picture as an upright JPEG without metadata, such as where it was taken; None if `body` is no picture."""
    from PIL import Image, ImageOps  # imported here, as most runs fetch no pictures

    try:
        with Image.open(BytesIO(body), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return None
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        stored = BytesIO()
        upright.save(stored, "JPEG", quality=QUALITY)  # fails above 65,500 pixels a side
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow raises for invalid files
        return None
    return stored.getvalue()
