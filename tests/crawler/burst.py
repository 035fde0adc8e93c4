"""`python -m tests.crawler.burst URL KEYWORD FOLDER DELAY`: a spider that requests five pages at once.

The crawler's own spiders never do. It prints what came of each request, and logs as much as Scrapy can.
"""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response
from scrapy.settings import Settings
from twisted.python.failure import Failure
from xianyu import mtop
from xianyu.downloading import answer_of, api_request
from xianyu.state import STATES, State
from xianyu.stopping import result_of


class Burst(Spider):
    """Requests the first five pages of a keyword."""

    name = "burst"

    def __init__(self, base: str, keyword: str) -> None:
        super().__init__()
        self._base = base
        self._keyword = keyword

    async def start(self) -> AsyncIterator[Request]:
        """The five requests."""
        for page in range(1, 6):
            data = mtop.search_data(self._keyword, page)
            yield api_request(self._base, mtop.SEARCH_API, data, callback=self.parse, errback=self.failed)

    def parse(self, response: Response) -> None:
        """Print that an answer came, and whether its latency is known, which the pause before a request depends on."""
        timed = response.meta["download_latency"] > 0
        print("read", response.url, answer_of(response).ret, *["in time"] * timed)

    def failed(self, failure: Failure) -> None:
        """Print why none came."""
        print("failed", type(failure.value).__name__)


def main() -> None:
    """Crawl, and print the outcome."""
    base, keyword, folder, delay = sys.argv[1:]
    settings = Settings()
    settings.setmodule("xianyu.settings", priority="project")
    changed = {"LOG_LEVEL": "DEBUG", "XIANYU_DELAY": float(delay), "XIANYU_JITTER": 0, "CONCURRENT_REQUESTS": 5}
    settings.setdict(changed, priority="cmdline")
    process = AsyncCrawlerProcess(settings)
    crawler = process.create_crawler(Burst)
    STATES[crawler] = State(Path(folder) / "state.sqlite3")
    process.crawl(crawler, base, keyword)
    process.start()
    print("ended", result_of(crawler).outcome)


if __name__ == "__main__":
    main()
