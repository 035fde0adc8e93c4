"""Downloader middlewares: robots.txt that fails closed, the day's budget, and what an answer means for the crawl."""

import logging
import re
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Final, Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import Response
from scrapy.robotstxt import RobotParser
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.utils.httpobj import urlparse_cached
from scrapy.utils.misc import load_object
from twisted.python.failure import Failure

from . import mtop
from .clock import utcnow
from .downloading import ANSWER, API
from .mtop import NotJson, NotJsonKind, Verdict
from .outcomes import Outcome
from .politeness import PaceMiddleware
from .state import STATES
from .stopping import mark_fault, stop, stopped

logger = logging.getLogger(__name__)


class Unanswered(Exception):  # noqa: N818 -- a state of affairs, as HttpError's siblings are
    """An answer could not be had, after all retries: the walk that needed it ends here."""


def reason(crawler: Crawler, failure: Failure) -> str | None:
    """Why a request of the API brought no answer, for people; None where the crawl is ending and said why already.

    What is none of the network's failures is a fault of ours, and ends the crawl: nobody judged what came.
    """
    error = failure.value
    if stopped(crawler):
        return None
    if isinstance(error, HttpError):
        return f"HTTP {error.response.status}"
    if isinstance(error, Unanswered):
        return str(error)
    found = type(error).__name__
    failures = map(load_object, crawler.settings.getlist("RETRY_EXCEPTIONS"))
    if not isinstance(error, (IgnoreRequest, DownloadCancelledError, *failures)):
        mark_fault(crawler, found)
        stop(crawler, Outcome.FAULT, found)
        return None
    return found


class RobotsMiddleware(RobotsTxtMiddleware):
    """Scrapy's own, which allows everything where robots.txt cannot be had; this one then forbids everything.

    After RFC 9309, 2.3.1: 4xx allows, 5xx and no answer forbid; redirects are followed, five at most. A 429, and a
    body that is no robots.txt at all, such as a page that asks for a login, forbid too. Where it forbids a request of
    the API the crawl ends; any other request, such as for a picture, is only dropped.
    """

    async def process_request(self, request: Request) -> None:  # type: ignore[override]  # its spider is deprecated
        """Let a request pass if the robots.txt of its host could be read and allows it.

        Raises:
            IgnoreRequest: it may not be sent.
        """
        address = urlparse_cached(request)
        if request.meta.get("dont_obey_robotstxt") or address.scheme not in ("http", "https"):
            return
        rules = await self.robot_parser(request)
        agent = self._robotstxt_useragent or self._default_useragent
        if rules is None:
            self._refuse(request, f"robots.txt of {address.netloc} could not be read")
        elif not rules.allowed(request.url, agent):
            self._refuse(request, f"robots.txt of {address.netloc} forbids {address.path}")
        elif (
            (delay := rules.crawl_delay(agent))
            and address.hostname
            and (pace := self.crawler.get_downloader_middleware(PaceMiddleware))
        ):
            pace.at_least(address.hostname, delay)

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """The rules for a request's host; None where they could not be had.

        Of several requests that wait for the same robots.txt, Scrapy 2.19 gives the rules to the first only, and None
        to the others, which it then lets pass (a Deferred hands each callback what the one before returned). Whoever
        asks again gets what was found.
        """
        return await super().robot_parser(request) or await super().robot_parser(request)

    def process_response(self, request: Request, response: Response) -> Response:
        """Of a robots.txt: make it what Scrapy's parser may be given, or fail, which forbids."""
        if not request.meta.get("dont_obey_robotstxt"):
            return response
        if 400 <= response.status < 500 and response.status != 429:
            return response.replace(body=b"")
        if response.status == 429:
            stop(self.crawler, Outcome.LIMITED, "robots.txt: HTTP 429", retry_after=retry_after(response))
        if response.status != 200 or not is_robots_txt(response.body):
            logger.warning("%s is no robots.txt (HTTP %d)", request.url, response.status)
            raise IgnoreRequest("no robots.txt")
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:
        """Of a robots.txt that could not be fetched: one line in the log instead of a traceback."""
        if request.meta.get("dont_obey_robotstxt") and not isinstance(exception, IgnoreRequest):
            logger.warning("%s could not be had: %s", request.url, type(exception).__name__)
            raise IgnoreRequest("no robots.txt") from exception

    def _refuse(self, request: Request, why: str) -> None:
        if API in request.meta:
            stop(self.crawler, Outcome.ROBOTS, why)
        raise IgnoreRequest(why)


def is_robots_txt(body: bytes) -> bool:
    """Whether a body may be taken for a robots.txt: it says nothing at all, or something that its parser knows."""
    text = body.decode("utf-8-sig", errors="replace")
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if any(line.startswith("<") or "\0" in line for line in lines):
        return False
    return not lines or any(line.partition(":")[0].strip().lower() in _DIRECTIVES for line in lines)


_DIRECTIVES: Final = frozenset(
    {"user-agent", "disallow", "allow", "sitemap", "crawl-delay", "request-rate", "visit-time", "host"}
)


class BudgetMiddleware:
    """Innermost: counts each request of this run, retries and robots.txt too, before it leaves."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._budget = crawler.settings.getint("XIANYU_DAILY_BUDGET")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """As Scrapy makes middlewares."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Count a request.

        Raises:
            IgnoreRequest: the day's requests are used up, or nobody counts them; the crawl ends.
        """
        if urlparse_cached(request).scheme not in ("http", "https"):
            return
        memory = STATES.get(self._crawler)
        if memory is None:
            stop(self._crawler, Outcome.CONFIGURATION, "nobody counts requests; start it by python -m xianyu run")
        elif not memory.spend_request(utcnow(), budget=self._budget):
            stop(self._crawler, Outcome.BUDGET, f"the day's {self._budget} requests are used up")
        else:
            return
        raise IgnoreRequest("not within the budget")


OUTCOME_OF: Final = MappingProxyType(
    {
        Verdict.BLOCKED: Outcome.BLOCKED,
        Verdict.LOGIN: Outcome.LOGIN,
        Verdict.LIMITED: Outcome.LIMITED,
        Verdict.UNKNOWN: Outcome.UNKNOWN_ANSWER,
    }
)
"""Verdicts that end a crawl."""

OUTCOME_OF_STATUS: Final = MappingProxyType(
    {401: Outcome.LOGIN, 403: Outcome.BLOCKED, 420: Outcome.LIMITED, 429: Outcome.LIMITED}
)
"""HTTP statuses that end a crawl. Other 4xx are unknown answers, redirects lead to a login or a puzzle."""

RESIGNED: Final = "mtop_resigned"
"""Key of `Request.meta`: it was signed a second time already."""


class AnswerMiddleware:
    """Judges each answer of the API before anything else sees it.

    A token that is missing or has expired is taken from the answer's cookie and the request signed again, once. Risk
    control, a wanted login, a limit, a page instead of JSON, or a `ret` that nobody knows end the crawl. A body that
    is cut off is asked for again, as Scrapy does with 5xx; both share RETRY_TIMES.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """As Scrapy makes middlewares."""
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Hand on a usable answer, with `mtop.Answer` in its meta, or the request that may bring one.

        Raises:
            IgnoreRequest: the crawl ends.
            Unanswered: all retries were damaged.
        """
        if API not in request.meta:
            return response
        wait = retry_after(response)
        if (response.status >= 500 and wait is None) or response.status == 408:
            return response  # the retries are Scrapy's
        self._read_head(response, wait)
        try:
            answer = mtop.read_answer(response.body)
        except NotJson as error:
            if error.kind is NotJsonKind.HTML:
                self._stop(Outcome.BLOCKED, "a page instead of JSON")
            return self._once_more(request, error)
        verdict = mtop.judge(answer)
        if verdict is Verdict.TOKEN:
            return self._sign_again(request)
        if verdict in OUTCOME_OF:
            self._stop(OUTCOME_OF[verdict], f"the API answered {codes(answer)}")
        request.meta[ANSWER] = answer
        return response

    def _read_head(self, response: Response, wait: float | None) -> None:
        """End the crawl if the head of a response says so already; `wait` is its Retry-After."""
        if 300 <= response.status < 400:
            location = (response.headers.get(b"Location") or b"").decode("latin-1")
            login = "login" in location.lower() and not mtop.is_wall(location)
            to = "a login" if login else "somewhere else"
            self._stop(Outcome.LOGIN if login else Outcome.BLOCKED, f"HTTP {response.status} to {to}")
        if response.status >= 400:
            limited = response.status >= 500  # and a time to come back, which no fault of a server gives
            outcome = Outcome.LIMITED if limited else OUTCOME_OF_STATUS.get(response.status, Outcome.UNKNOWN_ANSWER)
            self._stop(outcome, f"HTTP {response.status}", retry_after=wait)
        cookies = response.headers.getlist(b"Set-Cookie")
        if any(cookie.startswith(f"{mtop.CHALLENGE_COOKIE}=".encode()) for cookie in cookies):
            self._stop(Outcome.BLOCKED, "the site wants a puzzle solved")

    def _stop(self, outcome: Outcome, detail: str, *, retry_after: float | None = None) -> None:
        stop(self._crawler, outcome, detail, retry_after=retry_after)
        raise IgnoreRequest(detail)

    def _sign_again(self, request: Request) -> Request:
        if RESIGNED in request.meta:
            self._stop(Outcome.BLOCKED, "a fresh token was refused")
        return request.replace(dont_filter=True, meta={**request.meta, RESIGNED: True})

    def _once_more(self, request: Request, error: NotJson) -> Request:
        assert self._crawler.spider is not None  # noqa: S101 -- it asked
        again = get_retry_request(request, spider=self._crawler.spider, reason=f"mtop/{error.kind}")
        if again is None:
            raise Unanswered(f"the answer stayed {error.kind}")
        return again


def codes(answer: mtop.Answer) -> str:
    """The codes in `ret`, for people and logs: what stands before `::`, shortened; texts may hold anything."""
    found = (element.split("::", 1)[0].strip()[:60] for element in answer.ret[:5])
    return ", ".join(code if _CODE.fullmatch(code) else "no code" for code in found) or "no ret"


_CODE: Final = re.compile(r"[A-Za-z]\w*", re.ASCII)


def retry_after(response: Response) -> float | None:
    """Seconds that a Retry-After asks for, given as such or as a date (RFC 9110, 10.2.3); None where there is none."""
    value = (response.headers.get(b"Retry-After") or b"").decode("latin-1").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - utcnow()).total_seconds(), 0.0)
    except (ValueError, OverflowError, TypeError):  # TypeError: a date without a zone
        return None
