"""The command line: `run` crawls once, as cron would have it; `status` shows how things stand; `forgive` ends a wait.

Scrapy itself exits with 0 whatever happened. Here the exit code says how a run ended (`outcomes.EXIT_CODES`).
"""

import argparse
import asyncio
import logging
import os
import re
import secrets
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final

import orjson
from scrapy import Spider, signals
from scrapy.crawler import AsyncCrawlerProcess, Crawler
from scrapy.exceptions import CloseSpider
from scrapy.settings import Settings
from twisted.python.failure import Failure

from . import __version__
from .batches import BATCH_URI, BATCHES, MANIFEST, RUN_ID, Batches, Counts, close_killed_runs, write_whole
from .clock import utcnow, written
from .errors import ConfigurationError
from .lock import AlreadyRunningError, only_one
from .options import Options, read_options
from .outcomes import EXIT_CODES, Outcome
from .pictures import Pictures
from .state import STATES, State
from .stopping import Ending, ending, mark_fault, stop

LIVE_SPIDERS: Final = frozenset({"xianyu_search", "xianyu_detail"})
ENDINGS_OF_OTHERS: Final = frozenset(
    {Outcome.BLOCKED, Outcome.LOGIN, Outcome.LIMITED, Outcome.UNKNOWN_ANSWER, Outcome.ROBOTS, Outcome.CONFIGURATION}
)
"""A fault of ours beside these is in the log; what the site or the operator has to be asked about comes first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        options = read_options(os.environ, data=parsed.data, page_limit=getattr(parsed, "pages", None))
        return int(parsed.command(parsed, options))
    except ConfigurationError as error:
        return _refuse(Outcome.CONFIGURATION, str(error))
    except AlreadyRunningError as error:
        return _refuse(Outcome.ALREADY_RUNNING, str(error))
    except (OSError, sqlite3.Error) as error:  # no room or no right to write, and so no manifest that could say it
        return _refuse(Outcome.FAULT, str(error))


def _parser() -> argparse.ArgumentParser:
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, metavar="DIR", help="folder of state, logs and runs (XIANYU_DATA)")
    parser = argparse.ArgumentParser(
        prog="crawler",
        description="A polite crawler of publicly listed goods on 闲鱼. Settings are XIANYU_ variables of the"
        " environment; README.md beside this program has the table.",
        epilog="Exit codes: 0 well, 1 a fault of ours, 2 configuration, 3 the site does not want us (or we still wait"
        " because it did not), 4 not complete, 5 the site's answers changed, 75 already running.",
    )
    parser.add_argument("--version", action="version", version=f"crawler {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="crawl once", description="Crawl once and say in one line how it went.")
    spiders = run.add_subparsers(dest="spider", required=True, metavar="SPIDER")
    offline = spiders.add_parser(
        "xianyu_file",
        parents=[data],
        help="read answers that you saved from your own browser; sends nothing",
        description="Read answers that you saved from your own browser, as JSON or HAR. Sends nothing.",
    )
    offline.add_argument("files", nargs="+", metavar="FILE", help="a saved answer, or a HAR of the browser's network")
    offline.add_argument("--category", metavar="LABEL", help="your label for all that is in these files, such as 手机")
    search = spiders.add_parser(
        "xianyu_search",
        parents=[data],
        help="search the site; needs XIANYU_LIVE=yes",
        description="Search the site as a guest, slowly. Needs XIANYU_LIVE=yes: read in README.md why.",
    )
    search.add_argument("targets", metavar="TARGETS", help="a text file: one keyword, or keyword[TAB]category, a line")
    search.add_argument("--pages", metavar="N", help="pages of 30 for one keyword (XIANYU_PAGE_LIMIT)")
    detail = spiders.add_parser(
        "xianyu_detail",
        parents=[data],
        help="ask for single items; needs XIANYU_LIVE=yes",
        description="Ask the site for single items, slowly. Needs XIANYU_LIVE=yes: read in README.md why.",
    )
    detail.add_argument("items", metavar="ITEMS", help="a text file: one item's number a line")
    run.set_defaults(command=_run)
    for spider in (offline, search, detail):
        spider.set_defaults(command=_run)
    status = commands.add_parser(
        "status", parents=[data], help="the last runs, the wait, the budget", description="Show how things stand."
    )
    status.add_argument("--last", type=int, default=10, metavar="N", help="how many runs (10)")
    status.set_defaults(command=_status)
    forgive = commands.add_parser(
        "forgive",
        parents=[data],
        help="end the wait after a block, by hand",
        description="End the wait after a block, and count the next block as a first one. Find out first why the"
        " site blocked you: whoever goes on as before is blocked for longer.",
    )
    forgive.set_defaults(command=_forgive)
    return parser


# run


def _run(parsed: argparse.Namespace, options: Options) -> int:
    spider = str(parsed.spider)
    live = spider in LIVE_SPIDERS or options.pictures
    if live:
        options.refuse_live()
    now = utcnow()
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{spider}-{secrets.token_hex(2)}"
    _make_folder(options.data)
    with only_one(options.data / "lock", f"{run_id}, process {os.getpid()}"):
        memory = State(options.data / "state.sqlite3")
        try:
            killed = close_killed_runs(options.data / "runs", memory)
            cooldown = memory.cooldown(now) if live else None
            if cooldown is not None:
                return _refuse(
                    Outcome.COOLING,
                    f"cooling until {written(cooldown.until)} after {cooldown.outcome} ({cooldown.detail});"
                    " nothing was sent",
                )
            run = Batches(options.data / "runs", run_id=run_id, spider=spider, now=now, state=memory)
            with logging_to(options.data / "logs" / f"{run_id}.log", days=options.log_days):
                logger = logging.getLogger("xianyu")
                logger.info("Run %s begins: crawler %s, process %d", run_id, __version__, os.getpid())
                for other in killed:
                    logger.warning("Run %s had been killed; its manifest says so now", other)
                return Run(options, memory, run).crawl(_spider_arguments(parsed))
        finally:
            memory.close()


def _spider_arguments(parsed: argparse.Namespace) -> dict[str, Any]:
    names = ("files", "category", "targets", "items")
    return {name: getattr(parsed, name) for name in names if hasattr(parsed, name)}


class Run:
    """One crawl: Scrapy inside, and around it what ends it in time and says how it ended."""

    def __init__(self, options: Options, memory: State, run: Batches) -> None:
        self._options = options
        self._memory = memory
        self._batches = run
        self._began = time.monotonic()
        self._crawler: Crawler | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: tuple[Outcome, str] | None = None
        self._timers: list[threading.Timer] = []

    def crawl(self, arguments: dict[str, Any]) -> int:
        """Crawl to the end, write manifest and stats, print the summary; the exit code."""
        settings = Settings()
        settings.setmodule("xianyu.settings", priority="project")
        settings.setdict(self._settings(), priority="cmdline")
        if self._options.pictures:
            settings.set_in_component_priority_dict("ITEM_PIPELINES", Pictures, 300)
        with self._ended_from_outside():
            process = AsyncCrawlerProcess(settings)
            for name in (None, "scrapy"):  # Scrapy has just set its own to DEBUG, which costs time and prints items
                logging.getLogger(name).setLevel(settings["LOG_LEVEL"])
            crawler = self._crawler = process.create_crawler(self._batches.manifest.spider)
            STATES[crawler] = self._memory
            BATCHES[crawler] = self._batches
            self._batches.counts = self.counts
            crawler.signals.connect(self._opened, signal=signals.spider_opened)
            crawler.signals.connect(self._erred, signal=signals.spider_error)
            crawler.signals.connect(self._item_erred, signal=signals.item_error)
            task = process.crawl(crawler, **arguments)
            process.start(install_signal_handlers=False)
            self._loop = None  # nobody listens there any more
            failure = task.exception() if task.done() and not task.cancelled() else None
            outcome, detail = self._conclude(failure)
            if failure is not None and outcome is Outcome.FAULT:
                logging.getLogger("xianyu").error("The crawl broke", exc_info=failure)
            return self._finish(outcome, detail)

    def _settings(self) -> dict[str, Any]:
        return {
            **self._options.settings(),
            "XIANYU_RUN_ID": self._batches.manifest.run_id,
            "XIANYU_RUN_DIR": str(self._batches.folder),
            "FEEDS": {BATCH_URI: {"format": "listings", "store_empty": False, "batch_item_count": self._options.batch}},
            "FEED_STORAGES": {"batch": "xianyu.batches.BatchStorage"},
            "FEED_EXPORTERS": {"listings": "xianyu.batches.ListingExporter"},
            "LOG_INSTALL_ROOT_HANDLER": False,
        }

    def counts(self) -> Counts:
        """What was done so far."""
        stats = self._stats()
        return Counts(
            requests=self._memory.spent,
            pages=stats.get("xianyu/pages", 0),
            unchanged=stats.get("xianyu/unchanged", 0),
            duplicates=stats.get("xianyu/duplicates", 0),
            rejected=stats.get("xianyu/rejected", 0),
        )

    def _stats(self) -> dict[str, Any]:
        # The attribute without the underscore raises until the crawl begins, which it may never come to.
        collector = None if self._crawler is None else self._crawler._stats
        return {} if collector is None else collector.get_stats()

    # What ends it from outside

    @contextmanager
    def _ended_from_outside(self) -> Iterator[None]:
        """SIGTERM, SIGINT and the time limit end the crawl cleanly; a second signal, or the grace's end, hard.

        After the block signals are ignored: all is said and done, and what is left is the end of the process.
        """
        self._after(self._options.timeout, self._end, Outcome.TIMEOUT, f"{self._options.timeout:g} s are over")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for timer in self._timers:
                timer.cancel()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._told is not None:
            self._end_hard()
        self._end(Outcome.STOPPED, signal.Signals(number).name)

    def _end(self, outcome: Outcome, detail: str) -> None:
        """From a signal's handler or a timer's thread."""
        if self._told is not None:
            return
        self._told = (outcome, detail)
        self._after(self._options.grace, self._end_hard)
        if self._loop is not None and self._crawler is not None:
            self._loop.call_soon_threadsafe(stop, self._crawler, outcome, detail)

    def _after(self, seconds: float, function: Callable[..., None], *arguments: object) -> None:
        """In a thread, so that it works even while something blocks the event loop."""
        timer = threading.Timer(seconds, function, arguments)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _end_hard(self) -> None:
        """What was finished stays; the next run marks this one as killed."""
        outcome, detail = self._told or (Outcome.STOPPED, "")
        line = f"{self._summary(outcome, f'{detail}; did not close in time, ended hard')}\n"
        os.write(sys.stdout.fileno(), line.encode())
        os._exit(EXIT_CODES[outcome])

    def _opened(self, spider: Spider) -> None:
        del spider
        self._loop = asyncio.get_running_loop()
        if self._told is not None and self._crawler is not None:
            stop(self._crawler, *self._told)
            raise CloseSpider(self._told[0])

    # How it ended

    def _erred(self, failure: Failure) -> None:
        assert self._crawler is not None  # noqa: S101 -- it is what calls us
        if isinstance(failure.value, ConfigurationError):
            stop(self._crawler, Outcome.CONFIGURATION, str(failure.value))
        else:
            mark_fault(self._crawler, type(failure.value).__name__)

    def _item_erred(self, failure: Failure) -> None:
        assert self._crawler is not None  # noqa: S101 -- it is what calls us
        mark_fault(self._crawler, type(failure.value).__name__)

    def _conclude(self, failure: BaseException | None) -> tuple[Outcome, str]:
        assert self._crawler is not None  # noqa: S101 -- made before
        if isinstance(failure, ConfigurationError):
            return Outcome.CONFIGURATION, str(failure)
        found = ending(self._crawler)
        if failure is not None:
            found.faults.append(type(failure).__name__)
        return conclude(found, finish_reason=self._stats().get("finish_reason"), pages=self.counts().pages)

    def _finish(self, outcome: Outcome, detail: str) -> int:
        logger = logging.getLogger("xianyu")
        asked = self._batches.manifest.spider in LIVE_SPIDERS  # pages of files say nothing of what the site wants
        if asked and outcome in (Outcome.FINISHED, Outcome.BUDGET) and self.counts().pages:
            self._memory.forget_blocks()
        code = EXIT_CODES[outcome]
        stats = self._stats()
        write_whole(
            self._batches.folder / "stats.json",
            orjson.dumps(
                {key: stats[key] for key in sorted(stats)},
                default=str,
                option=orjson.OPT_INDENT_2
                | orjson.OPT_APPEND_NEWLINE
                | orjson.OPT_UTC_Z
                | orjson.OPT_OMIT_MICROSECONDS,
            ),
        )
        # Last, as it says that nothing more will come; a run killed before this is cleared up by the next one.
        self._batches.close(outcome=outcome, exit_code=code, detail=detail, now=utcnow())
        summary = self._summary(outcome, detail)
        logger.info("Run ends: %s", summary)
        print(summary, flush=True)
        if code:
            print(f"crawler: {outcome}: {detail}", file=sys.stderr)
        return code

    def _summary(self, outcome: Outcome, detail: str) -> str:
        counts = self._batches.manifest.counts
        return _line(
            {
                "run_id": self._batches.manifest.run_id,
                "spider": self._batches.manifest.spider,
                "outcome": outcome,
                "exit_code": EXIT_CODES[outcome],
                "requests": counts.requests,
                "pages": counts.pages,
                "listings": counts.listings,
                "unchanged": counts.unchanged,
                "duplicates": counts.duplicates,
                "rejected": counts.rejected,
                "seconds": round(time.monotonic() - self._began, 1),
                "manifest": self._batches.path,
                "detail": detail,
            }
        )


def conclude(found: Ending, *, finish_reason: str | None, pages: int) -> tuple[Outcome, str]:
    """How a crawl ended, from what really happened, and its detail.

    Args:
        found: Who stopped it, what could not be had, what went wrong.
        finish_reason: Scrapy's own word; None if it did not come to one.
        pages: How many answers were read. A crawl that read none, and nothing says why, did not succeed.
    """
    if found.outcome in ENDINGS_OF_OTHERS:
        assert found.outcome is not None  # noqa: S101 -- None is not among them
        return found.outcome, found.detail
    if found.faults:
        return Outcome.FAULT, _counted(found.faults)
    if found.outcome is not None:
        return found.outcome, found.detail
    if finish_reason != "finished":
        return Outcome.FAULT, f"Scrapy ended the crawl: {finish_reason}"
    if found.partial:
        return Outcome.PARTIAL, _counted(found.partial)
    if not pages:
        return Outcome.FAULT, "not one page was read, and nothing says why"
    return Outcome.FINISHED, ""


def _counted(said: Sequence[str]) -> str:
    details = list(dict.fromkeys(said))
    return details[0] if len(details) == 1 else f"{details[0]} (and {len(details) - 1} more; see the log)"


def _line(values: Mapping[str, object]) -> str:
    """`key=value key="two words"`, on one line."""
    return " ".join(f"{key}={_value(str(value))}" for key, value in values.items())


def _value(text: str) -> str:
    plain = text and text.isprintable() and not any(character in ' "=' for character in text)
    return text if plain else orjson.dumps(text).decode()


def _refuse(outcome: Outcome, detail: str) -> int:
    """A run that did not begin: the same one line, without a manifest."""
    print(_line({"outcome": outcome, "exit_code": EXIT_CODES[outcome], "detail": detail}), flush=True)
    print(f"crawler: {detail}", file=sys.stderr)
    return EXIT_CODES[outcome]


def _make_folder(path: Path) -> None:
    """Make the data folder with `logs/` and `runs/` in it."""
    try:
        for name in ("logs", "runs"):
            (path / name).mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK)
    except OSError as error:
        raise ConfigurationError(f"the data folder {path} cannot be made: {error.strerror}") from error
    if not writable:
        raise ConfigurationError(f"the data folder {path} cannot be written to")


@contextmanager
def logging_to(path: Path, *, days: int) -> Iterator[None]:
    """Everything that is logged goes to this file; logs older than `days` are removed."""
    oldest = time.time() - timedelta(days=days).total_seconds()
    for old in path.parent.glob("*.log"):
        if RUN_ID.fullmatch(old.stem) and old.stat().st_mtime < oldest:
            old.unlink()
    handler = logging.FileHandler(path, encoding="utf-8")
    formatter = _Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(logging.INFO)
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.INFO)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        handler.close()


class _Formatter(logging.Formatter):
    """Of addresses, but those of the API and of robots.txt, tells only the host: see `Listing.pictures`."""

    def format(self, record: logging.LogRecord) -> str:
        """Its lines, those of a traceback too."""
        return _ELSEWHERE.sub(r"\1/…", super().format(record))


_ELSEWHERE: Final = re.compile(r"(https?://[^/\s<>\"']+)/(?!h5/|robots\.txt\b)[^\s<>\"']+")


# status, forgive


def _status(parsed: argparse.Namespace, options: Options) -> int:
    path = options.data / "state.sqlite3"
    if not path.exists():
        print(f"{options.data}: no run yet")
        return 0
    now = utcnow()
    memory = State(path)
    try:
        cooldown, spent = memory.cooldown(now), memory.requests_of_day(now)
    finally:
        memory.close()
    print(f"data      {options.data}")
    print(f"requests  {spent} of {options.daily_budget} today in China; {max(options.daily_budget - spent, 0)} left")
    if cooldown is None:
        print("cooling   no")
    else:
        print(f"cooling   until {written(cooldown.until)}: {cooldown.outcome}, {cooldown.detail}")
    folders = sorted((options.data / "runs").glob(f"*/{MANIFEST}"), reverse=True)
    for folder in (path.parent for path in folders[: max(parsed.last, 0)]):
        try:
            print(_in_short(orjson.loads((folder / MANIFEST).read_bytes())))
        except (ValueError, KeyError, TypeError) as error:
            print(f"{folder.name:<40} is damaged ({error}): move it elsewhere")
    return 0


def _in_short(manifest: Mapping[str, Any]) -> str:
    counts = manifest["counts"]
    return (
        f"{manifest['run_id']:<40} {manifest['outcome']:<15} {counts['listings']:>6} listings"
        f" {counts['requests']:>5} requests  {manifest['detail']}"
    ).rstrip()


def _forgive(parsed: argparse.Namespace, options: Options) -> int:
    del parsed
    path = options.data / "state.sqlite3"
    if not path.exists():
        print(f"{options.data}: no run yet")
        return 0
    with only_one(options.data / "lock", f"forgive, process {os.getpid()}"):
        memory = State(path)
        try:
            print("the wait is over, by your word" if memory.forget_blocks() else "there is no wait")
        finally:
            memory.close()
    return 0
