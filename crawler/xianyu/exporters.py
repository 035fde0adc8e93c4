"""How Scrapy's feed export writes its batches into the folder of the run: a storage and an item exporter.

The runner registers both with Scrapy: see `Run` in `xianyu.runner`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.exporters import BaseItemExporter

from .items import Listing
from .outcomes import Outcome
from .run_folder import RUN_FOLDERS, OpenBatch, RunFolder
from .stopping import mark_fault, result_of, stop

BATCH_URI: Final = "batch:items-%(batch_id)05d.jsonl"
"""The feed's address for Scrapy: the scheme of `BatchStorage`, then the name of the file."""


class BatchStorage:
    """Opens and finishes the files of batches: the scheme `batch` in `FEED_STORAGES`.

    Scrapy only logs the errors that these methods raise. So each is also recorded as a fault and stops the crawl: if
    the disk is full, going on would only lose more.
    """

    def __init__(self, uri: str, *, crawler: Crawler, feed_options: dict[str, Any] | None = None) -> None:
        del feed_options
        self._name = uri.removeprefix("batch:")
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler, uri: str, *, feed_options: dict[str, Any] | None = None) -> "BatchStorage":
        """Called by Scrapy."""
        return cls(uri, crawler=crawler, feed_options=feed_options)

    def open(self, spider: Spider) -> OpenBatch:
        """The file that the exporter writes into."""
        del spider
        with _stop_on_error(self._crawler):
            return _run_folder_of(self._crawler).open_batch(self._name)

    def store(self, file: OpenBatch) -> None:
        """Finish the file: it has all its listings, or the crawl is over."""
        with _stop_on_error(self._crawler):
            _run_folder_of(self._crawler).finish_batch(file)


class ListingExporter(BaseItemExporter):
    """Writes listings into an `OpenBatch`: the format `listings` in `FEED_EXPORTERS`."""

    def __init__(self, file: OpenBatch, *, crawler: Crawler, **kwargs: Any) -> None:
        super().__init__(dont_fail=True, **kwargs)
        self._file = file
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler, file: OpenBatch, **kwargs: Any) -> "ListingExporter":
        """Called by Scrapy."""
        return cls(file, crawler=crawler, **kwargs)

    def export_item(self, item: Listing) -> None:
        """Write one line. After a line that failed nothing is written: the file may end with half of that line."""
        if result_of(self._crawler).outcome is not Outcome.FAULT:
            with _stop_on_error(self._crawler):
                self._file.add(item)


def _run_folder_of(crawler: Crawler) -> RunFolder:
    run_folder = RUN_FOLDERS.get(crawler)
    if run_folder is None:
        raise RuntimeError("batches are written under `python -m xianyu run` only")
    return run_folder


@contextmanager
def _stop_on_error(crawler: Crawler) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        detail = f"the batch cannot be written: {error}"
        mark_fault(crawler, detail)
        stop(crawler, Outcome.FAULT, detail)
        raise
