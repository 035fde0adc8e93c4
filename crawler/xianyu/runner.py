"""The command line: `run` crawls once; `status` lists the last runs; `forgive` ends a cool-down.

Made for cron: Scrapy itself always exits with 0, but here the exit code says how the run ended (`outcomes.EXIT_CODES`).
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
from .clock import isoformat, utcnow
from .errors import ConfigurationError
from .exporters import BATCH_URI
from .lock import AlreadyRunningError, exclusive_lock
from .options import Options, read_options
from .outcomes import EXIT_CODES, Outcome
from .pictures import Pictures
from .run_folder import MANIFEST, RUN_FOLDERS, RUN_ID, Counts, RunFolder, close_killed_runs, write_atomically
from .state import STATES, State
from .stopping import CrawlResult, mark_fault, result_of, stop

LIVE_SPIDERS: Final = frozenset({"xianyu_search", "xianyu_detail"})
OUTCOMES_ABOVE_FAULT: Final = frozenset(
    {Outcome.BLOCKED, Outcome.LOGIN, Outcome.LIMITED, Outcome.UNKNOWN_ANSWER, Outcome.ROBOTS, Outcome.CONFIGURATION}
)
"""Outcomes that are reported even if there was an error of ours too (see the log), as somebody has to act on them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        options = read_options(os.environ, data=parsed.data, page_limit=getattr(parsed, "pages", None))
        return int(parsed.command(parsed, options))
    except ConfigurationError as error:
        return _print_refusal(Outcome.CONFIGURATION, str(error))
    except AlreadyRunningError as error:
        return _print_refusal(Outcome.ALREADY_RUNNING, str(error))
    except (OSError, sqlite3.Error) as error:  # such as a full disk: no manifest could be written
        return _print_refusal(Outcome.FAULT, str(error))


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
        description="Read answers that you saved from your own browser, as JSON, JSON Lines or HAR, also packed with"
        " gzip or zip. Sends nothing.",
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
        options.check_live_allowed()
    now = utcnow()
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{spider}-{secrets.token_hex(2)}"
    _make_folder(options.data)
    with exclusive_lock(options.data / "lock", f"{run_id}, process {os.getpid()}"):
        state = State(options.data / "state.sqlite3")
        try:
            killed = close_killed_runs(options.data / "runs", state)
            cooldown = state.active_cooldown(now) if live else None
            if cooldown is not None:
                return _print_refusal(
                    Outcome.COOLING,
                    f"cooling until {isoformat(cooldown.until)} after {cooldown.outcome} ({cooldown.detail});"
                    " nothing was sent",
                )
            run_folder = RunFolder(options.data / "runs", run_id=run_id, spider=spider, now=now, state=state)
            with logging_to(options.data / "logs" / f"{run_id}.log", days=options.log_days):
                logger = logging.getLogger("xianyu")
                logger.info("Run %s begins: crawler %s, process %d", run_id, __version__, os.getpid())
                for other in killed:
                    logger.warning("Run %s had been killed; its manifest says so now", other)
                return Run(options, state, run_folder).crawl(_spider_arguments(parsed))
        finally:
            state.close()


def _spider_arguments(parsed: argparse.Namespace) -> dict[str, Any]:
    names = ("files", "category", "targets", "items")
    return {name: getattr(parsed, name) for name in names if hasattr(parsed, name)}


class Run:
    """One crawl with Scrapy: stops it on signals and at the time limit, and reports how it ended."""

    def __init__(self, options: Options, state: State, run_folder: RunFolder) -> None:
        self._options = options
        self._state = state
        self._folder = run_folder
        self._began = time.monotonic()
        self._crawler: Crawler | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_request: tuple[Outcome, str] | None = None
        self._timers: list[threading.Timer] = []

    def crawl(self, arguments: dict[str, Any]) -> int:
        """Crawl, write manifest and statistics, print the summary, and return the exit code."""
        settings = Settings()
        settings.setmodule("xianyu.settings", priority="project")
        settings.setdict(self._settings(), priority="cmdline")
        if self._options.pictures:
            settings.set_in_component_priority_dict("ITEM_PIPELINES", Pictures, 300)
        with self._stopped_by_signals_and_timeout():
            process = AsyncCrawlerProcess(settings)
            for name in (None, "scrapy"):  # Scrapy has just set it to DEBUG, which is slow and logs items
                logging.getLogger(name).setLevel(settings["LOG_LEVEL"])
            crawler = self._crawler = process.create_crawler(self._folder.manifest.spider)
            STATES[crawler] = self._state
            RUN_FOLDERS[crawler] = self._folder
            self._folder.counts = self.counts
            crawler.signals.connect(self._on_spider_opened, signal=signals.spider_opened)
            crawler.signals.connect(self._on_spider_error, signal=signals.spider_error)
            crawler.signals.connect(self._on_item_error, signal=signals.item_error)
            task = process.crawl(crawler, **arguments)
            process.start(install_signal_handlers=False)
            self._loop = None  # it is closed
            failure = task.exception() if task.done() and not task.cancelled() else None
            outcome, detail = self._final_outcome(failure)
            if failure is not None and outcome is Outcome.FAULT:
                logging.getLogger("xianyu").error("The crawl broke", exc_info=failure)
            return self._finish(outcome, detail)

    def _settings(self) -> dict[str, Any]:
        return {
            **self._options.settings(),
            "XIANYU_RUN_ID": self._folder.manifest.run_id,
            "XIANYU_RUN_DIR": str(self._folder.path),
            "FEEDS": {BATCH_URI: {"format": "listings", "store_empty": False, "batch_item_count": self._options.batch}},
            "FEED_STORAGES": {"batch": "xianyu.exporters.BatchStorage"},
            "FEED_EXPORTERS": {"listings": "xianyu.exporters.ListingExporter"},
            "LOG_INSTALL_ROOT_HANDLER": False,
        }

    def counts(self) -> Counts:
        """The counts up to now."""
        stats = self._stats()
        return Counts(
            requests=self._state.requests_counted,
            pages=stats.get("xianyu/pages", 0),
            unchanged=stats.get("xianyu/unchanged", 0),
            duplicates=stats.get("xianyu/duplicates", 0),
            recommended=stats.get("xianyu/recommended", 0),
            rejected=stats.get("xianyu/rejected", 0),
        )

    def _stats(self) -> dict[str, Any]:
        # `Crawler.stats` raises an error as long as the crawl has not begun, and it may never begin.
        collector = None if self._crawler is None else self._crawler._stats
        return {} if collector is None else collector.get_stats()

    # Signals and the time limit

    @contextmanager
    def _stopped_by_signals_and_timeout(self) -> Iterator[None]:
        """SIGTERM, SIGINT and the time limit stop the crawl in good order; a second signal, or `XIANYU_GRACE`, at once.

        After the block these signals are ignored: everything is written, and the process is about to exit.
        """
        self._start_timer(
            self._options.timeout, self._request_stop, Outcome.TIMEOUT, f"{self._options.timeout:g} s are over"
        )
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
        if self._stop_request is not None:
            self._exit_now()
        self._request_stop(Outcome.STOPPED, signal.Signals(number).name)

    def _request_stop(self, outcome: Outcome, detail: str) -> None:
        """Stop the crawl. Called from a signal handler or a timer's thread, so it hands over to the event loop."""
        if self._stop_request is not None:
            return
        self._stop_request = (outcome, detail)
        self._start_timer(self._options.grace, self._exit_now)
        if self._loop is not None and self._crawler is not None:
            self._loop.call_soon_threadsafe(stop, self._crawler, outcome, detail)

    def _start_timer(self, seconds: float, function: Callable[..., None], *arguments: object) -> None:
        """Call `function` in a thread after some seconds, even if something blocks the event loop then."""
        timer = threading.Timer(seconds, function, arguments)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _exit_now(self) -> None:
        """Exit at once. Finished batches stay, and the next run marks this one as killed."""
        outcome, detail = self._stop_request or (Outcome.STOPPED, "")
        line = f"{self._summary(outcome, f'{detail}; did not close in time, ended hard')}\n"
        os.write(sys.stdout.fileno(), line.encode())
        os._exit(EXIT_CODES[outcome])

    def _on_spider_opened(self, spider: Spider) -> None:
        del spider
        self._loop = asyncio.get_running_loop()
        if self._stop_request is not None and self._crawler is not None:
            stop(self._crawler, *self._stop_request)
            raise CloseSpider(self._stop_request[0])

    # The result

    def _on_spider_error(self, failure: Failure) -> None:
        assert self._crawler is not None  # noqa: S101 -- it sends the signal
        if isinstance(failure.value, ConfigurationError):
            stop(self._crawler, Outcome.CONFIGURATION, str(failure.value))
        else:
            mark_fault(self._crawler, type(failure.value).__name__)

    def _on_item_error(self, failure: Failure) -> None:
        assert self._crawler is not None  # noqa: S101 -- it sends the signal
        mark_fault(self._crawler, type(failure.value).__name__)

    def _final_outcome(self, failure: BaseException | None) -> tuple[Outcome, str]:
        assert self._crawler is not None  # noqa: S101 -- set by `crawl`, which calls this
        if isinstance(failure, ConfigurationError):
            return Outcome.CONFIGURATION, str(failure)
        result = result_of(self._crawler)
        if failure is not None:
            result.faults.append(type(failure).__name__)
        return final_outcome(result, finish_reason=self._stats().get("finish_reason"), pages=self.counts().pages)

    def _finish(self, outcome: Outcome, detail: str) -> int:
        logger = logging.getLogger("xianyu")
        # Pages that were read from files do not show that the site answers us again.
        live = self._folder.manifest.spider in LIVE_SPIDERS
        if live and outcome in (Outcome.FINISHED, Outcome.BUDGET) and self.counts().pages:
            self._state.clear_cooldown()
        code = EXIT_CODES[outcome]
        stats = self._stats()
        write_atomically(
            self._folder.path / "stats.json",
            orjson.dumps(
                {key: stats[key] for key in sorted(stats)},
                default=str,
                option=orjson.OPT_INDENT_2
                | orjson.OPT_APPEND_NEWLINE
                | orjson.OPT_UTC_Z
                | orjson.OPT_OMIT_MICROSECONDS,
            ),
        )
        # Last, as it says that the folder is complete. If this run is killed before, the next one closes the folder.
        self._folder.close(outcome=outcome, exit_code=code, detail=detail, now=utcnow())
        summary = self._summary(outcome, detail)
        logger.info("Run ends: %s", summary)
        print(summary, flush=True)
        if code:
            print(f"crawler: {outcome}: {detail}", file=sys.stderr)
        return code

    def _summary(self, outcome: Outcome, detail: str) -> str:
        counts = self._folder.manifest.counts
        return _key_value_line(
            {
                "run_id": self._folder.manifest.run_id,
                "spider": self._folder.manifest.spider,
                "outcome": outcome,
                "exit_code": EXIT_CODES[outcome],
                "requests": counts.requests,
                "pages": counts.pages,
                "listings": counts.listings,
                "unchanged": counts.unchanged,
                "duplicates": counts.duplicates,
                "recommended": counts.recommended,
                "rejected": counts.rejected,
                "seconds": round(time.monotonic() - self._began, 1),
                "manifest": self._folder.manifest_path,
                "detail": detail,
            }
        )


def final_outcome(result: CrawlResult, *, finish_reason: str | None, pages: int) -> tuple[Outcome, str]:
    """How a crawl ended, and the detail of that.

    `finish_reason` is Scrapy's; None if the crawl did not begin. `pages` is how many answers were parsed: a crawl
    without any did not succeed, even if nothing says why.
    """
    if result.outcome in OUTCOMES_ABOVE_FAULT:
        assert result.outcome is not None  # noqa: S101 -- None is not among them, as mypy does not see
        return result.outcome, result.detail
    if result.faults:
        return Outcome.FAULT, _first_and_count(result.faults)
    if result.outcome is not None:
        return result.outcome, result.detail
    if finish_reason != "finished":
        return Outcome.FAULT, f"Scrapy ended the crawl: {finish_reason}"
    if result.missing:
        return Outcome.PARTIAL, _first_and_count(result.missing)
    if not pages:
        return Outcome.FAULT, "not one page was read, and nothing says why"
    return Outcome.FINISHED, ""


def _first_and_count(said: Sequence[str]) -> str:
    details = list(dict.fromkeys(said))
    return details[0] if len(details) == 1 else f"{details[0]} (and {len(details) - 1} more; see the log)"


def _key_value_line(values: Mapping[str, object]) -> str:
    """`key=value key="two words"` on one line."""
    return " ".join(f"{key}={_quoted(str(value))}" for key, value in values.items())


def _quoted(text: str) -> str:
    plain = text and text.isprintable() and not any(character in ' "=' for character in text)
    return text if plain else orjson.dumps(text).decode()


def _print_refusal(outcome: Outcome, detail: str) -> int:
    """Print the line of a run that could not begin, which has no manifest, and return its exit code."""
    print(_key_value_line({"outcome": outcome, "exit_code": EXIT_CODES[outcome], "detail": detail}), flush=True)
    print(f"crawler: {detail}", file=sys.stderr)
    return EXIT_CODES[outcome]


def _make_folder(path: Path) -> None:
    """Create the data folder with `logs/` and `runs/` in it."""
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
    """Log to this file during the block. Deletes logs beside it that are older than `days`."""
    oldest = time.time() - timedelta(days=days).total_seconds()
    for old in path.parent.glob("*.log"):
        if RUN_ID.fullmatch(old.stem) and old.stat().st_mtime < oldest:
            old.unlink()
    handler = logging.FileHandler(path, encoding="utf-8")
    formatter = _UrlHidingFormatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
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


class _UrlHidingFormatter(logging.Formatter):
    """Shortens URLs to their host, except those of the API and robots.txt: see `Listing.pictures` for the reason."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record, including its traceback."""
        return _OTHER_URL.sub(r"\1/…", super().format(record))


_OTHER_URL: Final = re.compile(r"(https?://[^/\s<>\"']+)/(?!h5/|robots\.txt\b)[^\s<>\"']+")


# status, forgive


def _status(parsed: argparse.Namespace, options: Options) -> int:
    path = options.data / "state.sqlite3"
    if not path.exists():
        print(f"{options.data}: no run yet")
        return 0
    now = utcnow()
    state = State(path)
    try:
        cooldown, spent = state.active_cooldown(now), state.requests_of_day(now)
    finally:
        state.close()
    print(f"data      {options.data}")
    print(f"requests  {spent} of {options.daily_budget} today in China; {max(options.daily_budget - spent, 0)} left")
    if cooldown is None:
        print("cooling   no")
    else:
        print(f"cooling   until {isoformat(cooldown.until)}: {cooldown.outcome}, {cooldown.detail}")
    folders = sorted((options.data / "runs").glob(f"*/{MANIFEST}"), reverse=True)
    for folder in (path.parent for path in folders[: max(parsed.last, 0)]):
        try:
            print(_status_line(orjson.loads((folder / MANIFEST).read_bytes())))
        except (ValueError, KeyError, TypeError) as error:
            print(f"{folder.name:<40} is damaged ({error}): move it elsewhere")
    return 0


def _status_line(manifest: Mapping[str, Any]) -> str:
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
    with exclusive_lock(options.data / "lock", f"forgive, process {os.getpid()}"):
        state = State(path)
        try:
            print("the wait is over, by your word" if state.clear_cooldown() else "there is no wait")
        finally:
            state.close()
    return 0
