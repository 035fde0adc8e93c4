"""The command line: `run` crawls once; `status` lists the last runs; `forgive` ends a cool-down.

Made for cron: Scrapy itself always exits with 0, but here the exit code says how the run ended (`outcomes.EXIT_CODES`).
"""

import argparse
import asyncio
import errno
import json
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
from contextlib import contextmanager, suppress
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
from .console import complain, encodable, say, shown, tolerant_output
from .errors import ConfigurationError
from .exporters import BATCH_URI
from .lock import AlreadyRunningError, exclusive_lock
from .notices import Notice, NoticeWhen, host_name, send
from .options import Options, read_options
from .outcomes import EXIT_CODES, Outcome
from .pictures import Pictures
from .retention import Pruned, prune
from .run_folder import MANIFEST, RUN_FOLDERS, RUN_ID, Counts, RunFolder, close_killed_runs, write_atomically
from .state import STATES, State
from .stopping import CrawlResult, mark_fault, result_of, stop

LIVE_SPIDERS: Final = frozenset({"xianyu_search", "xianyu_detail"})
OUTCOMES_ABOVE_FAULT: Final = frozenset(
    {Outcome.BLOCKED, Outcome.LOGIN, Outcome.LIMITED, Outcome.UNKNOWN_ANSWER, Outcome.ROBOTS, Outcome.CONFIGURATION}
)
"""Outcomes that are reported even if there was an error of ours too (see the log), as somebody has to act on them."""


STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""They stop a run in good order. SIGHUP comes when the terminal is closed, or the connection to it is lost."""
NOT_OURS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""Errors of files that belong to another user, or of a disk that cannot be written to: the operator can mend that."""


TOLD_BY_RUNS: Final = frozenset({"3", "4", "5"})
"""Exit codes of runs that came to their end and told it. 1 and 2 are Python's own too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    with tolerant_output():
        parsed = _parser().parse_args(arguments)
        options: Options | None = None
        try:
            options = read_options(os.environ, data=parsed.data, page_limit=getattr(parsed, "pages", None))
            return int(parsed.command(parsed, options))
        except ConfigurationError as error:
            outcome, detail = Outcome.CONFIGURATION, str(error)
        except AlreadyRunningError as error:
            outcome, detail = Outcome.ALREADY_RUNNING, str(error)
        except CoolingError as error:
            outcome, detail = Outcome.COOLING, str(error)
        except OSError as error:  # such as a full disk: no manifest could be written
            outcome, detail = Outcome.CONFIGURATION if error.errno in NOT_OURS else Outcome.FAULT, str(error)
        except sqlite3.Error as error:
            outcome, detail = Outcome.FAULT, str(error)
        code = _print_refusal(outcome, detail)
        # Of a run that ended at once because there is another, that other one will tell.
        if options is not None and parsed.command is _run and outcome is not Outcome.ALREADY_RUNNING:
            _tell(options, f"{parsed.spider}: {outcome}", [f"It did not begin; exit code {code}.", detail], code=code)
        return code


class CoolingError(Exception):
    """The cool-down after an earlier block is not over, so nothing may be sent; the message says until when."""


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
    search.add_argument(
        "targets",
        metavar="TARGETS",
        help="a text file: a keyword a line; after tabs a category, price: 100-800, region: 上海, without: 壳",
    )
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
    pruning = commands.add_parser(
        "prune",
        parents=[data],
        help="delete the folders of old runs (XIANYU_RUN_DAYS, XIANYU_RUN_COUNT); each run does so too",
        description="Delete the folders of runs that are older than XIANYU_RUN_DAYS days, and of more than"
        " XIANYU_RUN_COUNT runs the oldest. What was not imported yet stays. Each run does the same when it begins.",
    )
    pruning.add_argument("--dry-run", action="store_true", help="delete nothing; say what would be deleted")
    pruning.set_defaults(command=_prune)
    notice = commands.add_parser(
        "notice",
        parents=[data],
        help="send a message to whoever is told how runs end (XIANYU_NOTICE)",
        description="Send a message to whoever is told how runs end, to try it; or, for OnFailure= of systemd, with"
        " --unit, that a unit failed. What a run has told itself is not told again.",
    )
    notice.add_argument("--unit", metavar="NAME", help="say that this unit of systemd failed, and how")
    notice.add_argument("text", nargs="*", metavar="TEXT", help="the message")
    notice.set_defaults(command=_notice)
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
            killed = close_killed_runs(options.data / "runs", state, now=now)
            state.forget_times_after(now)
            cooldown = state.active_cooldown(now) if live else None
            if cooldown is not None:
                raise CoolingError(
                    f"cooling until {isoformat(cooldown.until)} after {cooldown.outcome} ({cooldown.detail});"
                    " nothing was sent"
                )
            with logging_to(options.data / "logs" / f"{run_id}.log", days=options.log_days), _signals_wait():
                logger = logging.getLogger("xianyu")
                logger.info("Run %s begins: crawler %s, process %d", run_id, __version__, os.getpid())
                for other in killed:
                    logger.warning("Run %s had been killed; its manifest says so now", other)
                _log_pruned(logger, _prune_runs(options))
                run_folder = RunFolder(options.data / "runs", run_id=run_id, spider=spider, now=now, state=state)
                return Run(options, state, run_folder).crawl(_spider_arguments(parsed))
        finally:
            with suppress(sqlite3.Error):  # a full disk; what was committed is in the write-ahead log
                state.close()


def _prune_runs(options: Options, *, dry_run: bool = False) -> Pruned:
    """Delete the folders of runs that the settings say are old. The caller holds the lock."""
    runs = options.data / "runs"
    return prune(runs, now=utcnow(), days=options.run_days, count=options.run_count, dry_run=dry_run)


def _log_pruned(logger: logging.Logger, pruned: Pruned) -> None:
    if pruned.deleted:
        logger.info("%d old runs were deleted: %s", len(pruned.deleted), ", ".join(pruned.deleted))
    if pruned.not_imported:
        logger.warning("%d old runs stay, as they were not imported", len(pruned.not_imported))
    for why in pruned.failed:
        logger.warning("An old run cannot be deleted: %s", why)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """During the block, signals that stop a run wait until `Run` takes them: there is a manifest already."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
            try:
                outcome, detail = self._crawled(settings, arguments)
            except Exception as error:
                logging.getLogger("xianyu").exception("The crawl broke")
                outcome, detail = Outcome.FAULT, f"{type(error).__name__}: {error}"
            outcome, detail = self._finish(outcome, shown(detail))
        self._tell(outcome, detail)
        return EXIT_CODES[outcome]

    def _crawled(self, settings: Settings, arguments: dict[str, Any]) -> tuple[Outcome, str]:
        """Crawl, and return how it ended, and the detail of that."""
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
        return outcome, detail

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
            left_out=stats.get("xianyu/left_out", 0),
        )

    def _stats(self) -> dict[str, Any]:
        # `Crawler.stats` raises an error as long as the crawl has not begun, and it may never begin.
        collector = None if self._crawler is None else self._crawler._stats
        return {} if collector is None else collector.get_stats()

    # Signals and the time limit

    @contextmanager
    def _stopped_by_signals_and_timeout(self) -> Iterator[None]:
        """`STOP_SIGNALS` and the time limit stop the crawl in good order; a second signal, or `XIANYU_GRACE`, at once.

        After the block these signals are ignored: everything is written, and the process is about to exit. A SIGHUP
        that was ignored before, as under `nohup`, stays ignored.
        """
        self._start_timer(
            self._options.timeout, self._request_stop, Outcome.TIMEOUT, f"{self._options.timeout:g} s are over"
        )
        for number in STOP_SIGNALS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        try:
            yield
        finally:
            for timer in self._timers:
                timer.cancel()
            for number in STOP_SIGNALS:
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
        with suppress(OSError, ValueError, AttributeError):  # nobody reads it, or there is no standard output
            os.write(sys.stdout.fileno(), line.encode("utf-8", "backslashreplace"))
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

    def _finish(self, outcome: Outcome, detail: str) -> tuple[Outcome, str]:
        """Write statistics, manifest and summary; returns how the run ended if these could be written."""
        logger = logging.getLogger("xianyu")
        # Pages that were read from files do not show that the site answers us again.
        live = self._folder.manifest.spider in LIVE_SPIDERS
        if live and outcome in (Outcome.FINISHED, Outcome.BUDGET) and self.counts().pages:
            self._state.clear_cooldown()
        self._folder.give_back_reserve()
        self._record_wait()
        try:
            self._write_stats()
        except OSError as error:
            outcome, detail = _worse(outcome, detail, f"the statistics cannot be written: {error}")
        # Last, as it says that the folder is complete. If this run is killed before, the next one closes the folder.
        try:
            self._folder.close(outcome=outcome, exit_code=EXIT_CODES[outcome], detail=detail, now=utcnow())
        except OSError as error:  # the next run says `killed` in it, and loses nothing
            outcome, detail = _worse(outcome, detail, f"the manifest cannot be written: {error}")
        summary = self._summary(outcome, detail)
        logger.info("Run ends: %s", summary)
        say(summary)
        if EXIT_CODES[outcome]:
            complain(f"crawler: {outcome}: {detail}")
        return outcome, detail

    def _tell(self, outcome: Outcome, detail: str) -> None:
        """Tell the operator how the run ended. Whether that succeeds changes nothing of how it did."""
        manifest, code = self._folder.manifest, EXIT_CODES[outcome]
        counts = manifest.counts
        lines = [
            f"{counts.listings} listings new or changed, {counts.unchanged} unchanged, {counts.rejected} rejected;"
            f" {counts.pages} pages, {counts.requests} requests; exit code {code}.",
            *([detail] if detail else []),
            manifest.run_id,
        ]
        _tell(self._options, f"{manifest.spider}: {outcome}", lines, code=code)

    def _record_wait(self) -> None:
        """Try once more to record the cool-down of a block, if the disk was full when it came."""
        result = None if self._crawler is None else result_of(self._crawler)
        if result is not None and result.unrecorded_wait is not None and result.outcome is not None:
            try:
                self._state.start_cooldown(utcnow(), result.outcome, result.detail, at_least=result.unrecorded_wait)
            except sqlite3.Error:
                logging.getLogger("xianyu").exception("The cool-down cannot be recorded; wait by hand")

    def _write_stats(self) -> None:
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
                "left_out": counts.left_out,
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


def _worse(outcome: Outcome, detail: str, trouble: str) -> tuple[Outcome, str]:
    """How a run ended that had `trouble` at its end: as before if that was no success, else with a fault."""
    return (outcome, detail) if EXIT_CODES[outcome] else (Outcome.FAULT, trouble)


def _first_and_count(said: Sequence[str]) -> str:
    details = list(dict.fromkeys(said))
    return details[0] if len(details) == 1 else f"{details[0]} (and {len(details) - 1} more; see the log)"


def _key_value_line(values: Mapping[str, object]) -> str:
    """`key=value key="two words"` on one line."""
    return " ".join(f"{key}={_quoted(str(value))}" for key, value in values.items())


def _quoted(text: str) -> str:
    """`text`, as a text of JSON if it holds more than one word, or what standard output cannot show."""
    text = shown(text)
    if not encodable(text):
        return json.dumps(text)
    plain = text and text.isprintable() and not any(character in ' "=' for character in text)
    return text if plain else orjson.dumps(text).decode()


def _print_refusal(outcome: Outcome, detail: str) -> int:
    """Print the line of a run that could not begin, which has no manifest, and return its exit code."""
    say(_key_value_line({"outcome": outcome, "exit_code": EXIT_CODES[outcome], "detail": detail}))
    complain(f"crawler: {detail}")
    return EXIT_CODES[outcome]


def _tell(options: Options, title: str, lines: Sequence[str], *, code: int) -> None:
    """Send a notice, if the operator wants one after such an exit code. A failure of that is a line, nothing else."""
    if options.receiver is None or (not code and options.notice_when == NoticeWhen.TROUBLE):
        return
    text = "\n".join([*lines, host_name()])
    problem = send(options.receiver, Notice(title=f"Crawler, {title}", text=text, urgent=bool(code)))
    if problem is not None:
        logging.getLogger("xianyu").warning("The notice was not taken: %s", problem)
        complain(f"crawler: the notice was not taken: {problem}")


def _make_folder(path: Path) -> None:
    """Create the data folder with `logs/` and `runs/` in it."""
    try:
        for name in ("logs", "runs"):
            (path / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ConfigurationError(f"the data folder {path} cannot be made: {error.strerror}") from error
    for folder in (path, path / "logs", path / "runs"):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"the data folder {folder} cannot be written to")


@contextmanager
def logging_to(path: Path, *, days: int) -> Iterator[None]:
    """Log to this file during the block. Deletes logs beside it that are older than `days`."""
    oldest = time.time() - timedelta(days=days).total_seconds()
    for old in path.parent.glob("*.log"):
        with suppress(OSError):  # somebody else's, or deleted by now
            if RUN_ID.fullmatch(old.stem) and old.stat().st_mtime < oldest:
                old.unlink()
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
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
        with suppress(OSError):
            handler.close()


class _LogFile(logging.FileHandler):
    """A log that keeps quiet when it cannot be written, as on a full disk: Python would say so for each line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the name of the method in `logging`
        """Drop the record."""


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
        return _said([f"{options.data}: no run yet"])
    now = utcnow()
    state = State(path)
    try:
        cooldown, spent = state.active_cooldown(now), state.requests_of_day(now)
    finally:
        state.close()
    cooling = "no" if cooldown is None else f"until {isoformat(cooldown.until)}: {cooldown.outcome}, {cooldown.detail}"
    lines = [
        f"data      {options.data}",
        f"requests  {spent} of {options.daily_budget} today in China; {max(options.daily_budget - spent, 0)} left",
        f"cooling   {cooling}",
    ]
    folders = sorted((options.data / "runs").glob(f"*/{MANIFEST}"), reverse=True)
    for folder in (path.parent for path in folders[: max(parsed.last, 0)]):
        try:
            lines.append(_status_line(orjson.loads((folder / MANIFEST).read_bytes())))
        except OSError as error:
            lines.append(f"{folder.name:<40} cannot be read ({error.strerror})")
        except (ValueError, KeyError, TypeError) as error:
            lines.append(f"{folder.name:<40} is damaged ({error}): move it elsewhere")
    return _said(lines)


def _said(lines: Sequence[str]) -> int:
    """Print the lines, and return the exit code of that."""
    return 0 if say("\n".join(lines)) else EXIT_CODES[Outcome.FAULT]


def _status_line(manifest: Mapping[str, Any]) -> str:
    counts = manifest["counts"]
    return (
        f"{manifest['run_id']:<40} {manifest['outcome']:<15} {counts['listings']:>6} listings"
        f" {counts['requests']:>5} requests  {manifest['detail']}"
    ).rstrip()


def _prune(parsed: argparse.Namespace, options: Options) -> int:
    if not (options.data / "runs").is_dir():
        return _said([f"{options.data}: no run yet"])
    with exclusive_lock(options.data / "lock", f"prune, process {os.getpid()}"):
        pruned = _prune_runs(options, dry_run=parsed.dry_run)
    for why in pruned.failed:
        complain(f"crawler: an old run cannot be deleted: {why}")
    stay = f"; {len(pruned.not_imported)} more are old, and stay as they were not imported" * bool(pruned.not_imported)
    done = "would be deleted" if parsed.dry_run else "were deleted"
    code = _said([*pruned.deleted, f"{len(pruned.deleted)} runs {done}{stay}"])
    return EXIT_CODES[Outcome.FAULT] if pruned.failed else code


def _notice(parsed: argparse.Namespace, options: Options) -> int:
    if options.receiver is None:
        raise ConfigurationError("XIANYU_NOTICE and XIANYU_NOTICE_URL do not say whom to tell")
    text = " ".join(parsed.text) or "This is a try."
    if parsed.unit is not None:
        # systemd.exec(5): what became of the unit whose OnFailure= began this one.
        result, status = (os.environ.get(f"MONITOR_{name}", "") for name in ("SERVICE_RESULT", "EXIT_STATUS"))
        if result == "exit-code" and status in TOLD_BY_RUNS:
            return _said([f"{parsed.unit} ended with {status}, which the run has told itself"])
        text = f"{parsed.unit} failed: {result or 'no reason given'} {status}".rstrip()
    problem = send(options.receiver, Notice(title="Crawler", text=f"{text}\n{host_name()}", urgent=bool(parsed.unit)))
    if problem is not None:
        complain(f"crawler: the notice was not taken: {problem}")
        return EXIT_CODES[Outcome.FAULT]
    return _said(["the notice was taken"])


def _forgive(parsed: argparse.Namespace, options: Options) -> int:
    del parsed
    path = options.data / "state.sqlite3"
    if not path.exists():
        return _said([f"{options.data}: no run yet"])
    with exclusive_lock(options.data / "lock", f"forgive, process {os.getpid()}"):
        state = State(path)
        try:
            cleared = state.clear_cooldown()
        finally:
            state.close()
    return _said(["the wait is over, by your word" if cleared else "there is no wait"])
