"""The pictures of listings, only where the operator wants them: `XIANYU_PICTURES=yes`.

Not Scrapy's ImagesPipeline: it logs the address of each picture that fails, and those hold the seller's number.
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

from .batches import write_whole
from .items import Listing
from .middlewares import retry_after
from .options import LEAST_DELAY, is_this_machine
from .outcomes import Outcome
from .stopping import stop

logger = logging.getLogger(__name__)

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
MOST_PIXELS: Final = 50_000_000
QUALITY: Final = 85
"""Of the JPEG files that are kept."""


class Pictures:
    """Item pipeline: puts the pictures of a listing into the run's `pictures/`, their names into the listing.

    They are asked for as everything is: after robots.txt, with the delay, within the day's budget; never signed, and
    no second time. Whatever cannot be had, or is no picture, is counted, and the listing goes on without it. A host
    that asks for fewer requests ends the crawl, as the API does.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._folder = Path(crawler.settings["XIANYU_RUN_DIR"]) / "pictures"
        self._polite = crawler.settings.getfloat("XIANYU_DELAY") >= LEAST_DELAY
        self._addresses: dict[str, list[str]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "Pictures":
        """As Scrapy makes it."""
        return cls(crawler)

    def remember(self, addresses: Mapping[str, list[str]]) -> None:
        """Where the pictures of listings are, by item id; called before the listings are yielded."""
        self._addresses.update(addresses)

    async def process_item(self, item: Listing) -> Listing:
        """The listing, with the names of its pictures."""
        for address in self._addresses.pop(item.item_id, []):
            name = await self._fetch(address)
            if name is None:
                self._crawler.stats.inc_value("xianyu/pictures_missing")
            elif name not in item.pictures:
                self._crawler.stats.inc_value("xianyu/pictures")
                item.pictures.append(name)
        return item

    async def _fetch(self, address: str) -> str | None:
        url = absolute(address)
        if url is None or not (self._polite or is_this_machine(url)):
            return None
        request = Request(url, callback=NO_CALLBACK, meta={"handle_httpstatus_all": True, "dont_retry": True})
        try:
            response = await self._crawler.engine.download_async(request)
        except Exception as error:  # noqa: BLE001 -- refused, unreachable, too long: no picture is worth a listing
            logger.info("A picture could not be had: %s", type(error).__name__)
            return None
        if response.status in (420, 429):
            wait = retry_after(response)
            stop(self._crawler, Outcome.LIMITED, f"a picture: HTTP {response.status}", retry_after=wait)
            return None
        if response.status != 200:
            logger.info("A picture could not be had: HTTP %d", response.status)
            return None
        content = await asyncio.to_thread(clean, response.body)
        if content is None:
            return None
        name = f"{sha256(content).hexdigest()[:40]}.jpg"
        await asyncio.to_thread(self._store, name, content)
        return name

    def _store(self, name: str, content: bytes) -> None:
        self._folder.mkdir(exist_ok=True)
        write_whole(self._folder / name, content)


def remember(crawler: Crawler, addresses: Mapping[str, list[str]]) -> None:
    """Tell the pipeline, if there is one, where the pictures of a page's listings are."""
    pipeline = crawler.get_item_pipeline(Pictures)
    if pipeline is not None:
        pipeline.remember(addresses)


def absolute(address: str) -> str | None:
    """The address with a scheme, `https:` where it had none; None if nothing can be fetched from it."""
    url = f"https:{address}" if address.startswith("//") else address
    try:
        parts = urlsplit(url)
    except ValueError:  # no host's name
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None


def clean(body: bytes) -> bytes | None:
    """The picture as a JPEG, upright, without what cameras write beside it, such as the place; None if it is none."""
    from PIL import Image, ImageOps  # here, as most runs want no pictures and need not carry it

    try:
        with Image.open(BytesIO(body), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return None
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        stored = BytesIO()
        upright.save(stored, "JPEG", quality=QUALITY)  # which has no more than 65,500 pixels on a side
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # all that Pillow says of what is none
        return None
    return stored.getvalue()
