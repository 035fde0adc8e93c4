"""Imports all that a crawl needs. Only for the fork server of `tests.crawler.processes`, which loads this module first.

Twisted's reactor is not among it: each process installs its own.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress

from tests.live import PROJECT

sys.path.insert(0, str(PROJECT / "crawler"))

from scrapy.settings import BaseSettings, Settings
from scrapy.utils.misc import load_object


def _names(value: object) -> Iterator[str]:
    """All texts in a setting that may be the name of a class: `package.module.Class`."""
    if isinstance(value, str):
        if "." in value:
            yield value
    elif isinstance(value, Mapping | BaseSettings):
        for item in value.items():
            yield from _names(item)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)


def preload() -> None:
    """Import the crawler, and whatever its settings name."""
    for module in ("settings", "runner", "exporters", "pictures", "changed_listings"):  # settings first: see its top
        importlib.import_module(f"xianyu.{module}")
    for spider in ("xianyu_search", "xianyu_file", "xianyu_detail"):
        importlib.import_module(f"xianyu.spiders.{spider}")
    settings = Settings()
    settings.setmodule("xianyu.settings", priority="project")
    for name, value in settings.items():
        if name != "TWISTED_REACTOR":
            for path in _names(value):
                with suppress(ImportError, NameError):  # a text that is no name
                    load_object(path)


preload()
