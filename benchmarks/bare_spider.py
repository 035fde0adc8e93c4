"""The spider that the crawler is compared with: it only decodes each page and makes a dict of each row.

`python -m benchmarks.bare_spider URL PAGES FEED`: reads `URL/1` to `URL/<PAGES>`, one after the other, and writes JSON
Lines with Scrapy's own feed. No protocol, no robots.txt, no state, no checks: what is left is what any spider needs.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import orjson
from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

SETTINGS: Final = {
    # As the crawler's own settings have them.
    "CONCURRENT_REQUESTS": 1,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "DOWNLOAD_DELAY": 0,
    "RETRY_TIMES": 2,
    "COOKIES_ENABLED": True,
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
    "LOG_LEVEL": "INFO",
    "DOWNLOAD_WARNSIZE": 0,
}


class BareSpider(Spider):
    """Asks for the next page as long as there is one."""

    name = "bare"

    def __init__(self, url: str, pages: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.url, self.pages = url, pages

    async def start(self) -> AsyncIterator[Request]:
        """The first page."""
        yield Request(f"{self.url}/1", cb_kwargs={"page": 1})

    def parse(self, response: Response, page: int) -> Iterator[dict[str, Any] | Request]:
        """Thirty dicts, and the next page."""
        data = orjson.loads(response.body)["data"]
        for row in data["resultList"]:
            main = row["data"]["item"]["main"]
            content, arguments = main["exContent"], main["clickParam"]["args"]
            yield {
                "item_id": arguments["id"],
                "title": content["title"],
                "description": content["detailParams"].get("title"),
                "price": "".join(part["text"] for part in content.get("price", ())),
                "orig_price": content.get("oriPrice"),
                "area": content.get("area"),
                "category_id": arguments.get("tbCatId"),
                "published_at": arguments["publishTime"],
                "auction": content["isAuction"],
                "advertisement": content["isAliMaMaAD"],
            }
        if page < self.pages and data["resultInfo"]["hasNextPage"]:
            yield Request(f"{self.url}/{page + 1}", cb_kwargs={"page": page + 1})


def main() -> None:
    """Crawl once."""
    url, pages, feed = sys.argv[1:]
    process = CrawlerProcess({**SETTINGS, "FEEDS": {feed: {"format": "jsonlines", "encoding": "utf8"}}})
    process.crawl(BareSpider, url=url, pages=int(pages))
    process.start()


if __name__ == "__main__":
    main()
