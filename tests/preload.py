"""Imports all that our programs need. Only for the fork server of `tests.processes`, which loads this module first.

Not among it are Twisted's reactor, which each process installs for itself, and the modules that are programs: a process
runs them anew, as `python -m` does.
"""

import gc
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress

from config import PROJECT_ROOT, load_settings_without_stores

sys.path.insert(0, str(PROJECT_ROOT / "crawler"))

from flask import Flask
from scrapy.settings import BaseSettings, Settings
from scrapy.utils.misc import load_object
from sqlalchemy.orm import configure_mappers


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


def preload_application() -> None:
    """Import the application, and what serves it, runs its jobs and stands in for its gateway."""
    for module in ("app.factory", "app.money.sandbox.server", "app.web.edge", "granian", "flask.cli"):
        importlib.import_module(module)
    for module in ("limits.storage.redis", "valkey"):  # what Flask-Limiter loads for its storage
        importlib.import_module(module)
    for module in ("outbox", "queues", "schedule", "search"):
        importlib.import_module(f"tasks.{module}")
    for module in ("rq.cron", "rq.scheduler", "rq.worker"):
        importlib.import_module(module)
    configure_mappers()


def preload_word_lists() -> None:
    """Read the word lists, as a process does before its first text, or worker before its first job."""
    from app.moderation.text import load_rules
    from app.settings import bind_settings

    app = Flask(__name__)
    bind_settings(app, load_settings_without_stores({}))
    with app.app_context():
        load_rules()


def preload_crawler() -> None:
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


gc.disable()  # as `app.load_app` does
preload_application()
preload_word_lists()
preload_crawler()
gc.freeze()  # else the collections of forked processes would copy its memory
gc.enable()
