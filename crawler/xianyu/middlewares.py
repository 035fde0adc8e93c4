"""Downloader middlewares: robots.txt, the day's request budget, and what the API's answers mean for the crawl."""

import logging
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
from .stopping import is_stopping, mark_fault, stop

logger = logging.getLogger(__name__)


class Unanswered(Exception):  # noqa: N818 -- names what happened, as `RequestRefused` does
    """No usable answer came, after all retries."""


def failure_reason(crawler: Crawler, failure: Failure) -> str | None:
    """Why a request of the API brought no answer, as a text for people; None if the crawl is stopping anyway.

    An error that is none of the network's is a fault of ours. It stops the crawl, because the answer was not judged.
    """
    error = failure.value
    if is_stopping(crawler):
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
    """Scrapy's middleware, but a robots.txt that cannot be fetched forbids everything instead of allowing it.

    The rules are those of RFC 9309, 2.3.1: 4xx allows everything, 5xx and no answer forbid everything, up to five
    redirects are followed. Beyond the RFC, a 429 and a body that is no robots.txt, such as a login page, forbid
    everything too. If a request of the API is forbidden the crawl stops; any other request, such as for a picture, is
    only dropped.
    """

    async def process_request(self, request: Request) -> None:  # type: ignore[override]  # its spider is deprecated
        """Let a request pass if its host's robots.txt could be read and allows it, else raise `IgnoreRequest`."""
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
            pace.set_crawl_delay(address.hostname, delay)

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """The rules for a request's host; None if they could not be fetched.

        It asks twice because of a fault of Scrapy 2.19. If several requests wait for the same robots.txt, only the
        first is given the rules. The others are given None, which Scrapy takes for "allowed" (each callback of a
        Deferred receives what the one before it returned). A second call returns the rules.
        """
        return await super().robot_parser(request) or await super().robot_parser(request)

    def process_response(self, request: Request, response: Response) -> Response:
        """Check the response to a request for robots.txt. If it is none, `IgnoreRequest` forbids everything."""
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
        """Log one line for a robots.txt that could not be fetched, where Scrapy would log a traceback."""
        if request.meta.get("dont_obey_robotstxt") and not isinstance(exception, IgnoreRequest):
            logger.warning("%s could not be had: %s", request.url, type(exception).__name__)
            raise IgnoreRequest("no robots.txt") from exception

    def _refuse(self, request: Request, why: str) -> None:
        if API in request.meta:
            stop(self.crawler, Outcome.ROBOTS, why)
        raise IgnoreRequest(why)


def is_robots_txt(body: bytes) -> bool:
    """Whether a body looks like a robots.txt: it is empty but for comments, or has a directive that parsers know."""
    text = body.decode("utf-8-sig", errors="replace")
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if any(line.startswith("<") or "\0" in line for line in lines):
        return False
    return not lines or any(line.partition(":")[0].strip().lower() in _DIRECTIVES for line in lines)


_DIRECTIVES: Final = frozenset(
    {"user-agent", "disallow", "allow", "sitemap", "crawl-delay", "request-rate", "visit-time", "host"}
)


class BudgetMiddleware:
    """Counts every request against the day's budget, also retries and robots.txt. The last one before the network."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._budget = crawler.settings.getint("XIANYU_DAILY_BUDGET")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Count a request. Stops the crawl and raises `IgnoreRequest` if the budget is used up or nothing counts."""
        if urlparse_cached(request).scheme not in ("http", "https"):
            return
        state = STATES.get(self._crawler)
        if state is None:
            stop(self._crawler, Outcome.CONFIGURATION, "nobody counts requests; start it by python -m xianyu run")
        elif not state.count_request(utcnow(), budget=self._budget):
            stop(self._crawler, Outcome.BUDGET, f"the day's {self._budget} requests are used up")
        else:
            return
        raise IgnoreRequest("not within the budget")


OUTCOME_BY_VERDICT: Final = MappingProxyType(
    {
        Verdict.BLOCKED: Outcome.BLOCKED,
        Verdict.LOGIN: Outcome.LOGIN,
        Verdict.LIMITED: Outcome.LIMITED,
        Verdict.UNKNOWN: Outcome.UNKNOWN_ANSWER,
    }
)
"""The verdicts that stop a crawl, and the outcome of each."""

OUTCOME_BY_STATUS: Final = MappingProxyType(
    {401: Outcome.LOGIN, 403: Outcome.BLOCKED, 420: Outcome.LIMITED, 429: Outcome.LIMITED}
)
"""HTTP statuses that have an outcome of their own. Any other 4xx is an unknown answer."""

SIGNED_AGAIN: Final = "mtop_signed_again"
"""Key of `Request.meta`: the request was signed a second time, because its first token had expired."""


class AnswerMiddleware:
    """Judges each answer of the API before the spider sees it.

    If the answer says that the token is missing or has expired, it also sets a new one in a cookie: the request is
    signed with that and sent again, once. Risk control, a demand to log in, a rate limit, an HTML page, and a `ret`
    that we do not know stop the crawl. A truncated body is requested again, and so is an answer that tells of a fault
    of theirs that passes, as Scrapy does after a 5xx; all of them count towards RETRY_TIMES.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy."""
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """The response if its answer is usable, with the `mtop.Answer` in its meta; else the request to send again.

        Raises `IgnoreRequest` if the crawl stops, `Unanswered` if the answers to all retries were as useless.
        """
        if API not in request.meta:
            return response
        wait = retry_after(response)
        if (response.status >= 500 and wait is None) or response.status == 408:
            return response  # Scrapy retries it
        self._check_head(response, wait)
        try:
            answer = mtop.read_answer(response.body)
        except NotJson as error:
            if error.kind is NotJsonKind.HTML:
                self._stop(Outcome.BLOCKED, "a page instead of JSON")
            return self._retry(request, f"mtop/{error.kind}", f"the answer stayed {error.kind}")
        verdict = mtop.judge(answer)
        if verdict is Verdict.PASSING:
            codes = mtop.ret_codes(answer)
            return self._retry(request, f"mtop/{codes}", f"the API answered {codes} to each try")
        if verdict is Verdict.TOKEN:
            return self._sign_again(request)
        if verdict in OUTCOME_BY_VERDICT:
            self._stop(OUTCOME_BY_VERDICT[verdict], f"the API answered {mtop.ret_codes(answer)}")
        request.meta[ANSWER] = answer
        return response

    def _check_head(self, response: Response, wait: float | None) -> None:
        """Stop the crawl if status or headers tell us to; `wait` is the Retry-After in seconds."""
        if 300 <= response.status < 400:
            location = (response.headers.get(b"Location") or b"").decode("latin-1")
            login = mtop.is_login_page(location) and not mtop.is_punish_page(location)
            to = "a login" if login else "somewhere else"
            self._stop(Outcome.LOGIN if login else Outcome.BLOCKED, f"HTTP {response.status} to {to}")
        if response.status >= 400:
            limited = response.status >= 500  # with a Retry-After, so it is no mere error of the server
            outcome = Outcome.LIMITED if limited else OUTCOME_BY_STATUS.get(response.status, Outcome.UNKNOWN_ANSWER)
            self._stop(outcome, f"HTTP {response.status}", retry_after=wait)
        cookies = response.headers.getlist(b"Set-Cookie")
        if any(cookie.startswith(f"{mtop.CHALLENGE_COOKIE}=".encode()) for cookie in cookies):
            self._stop(Outcome.BLOCKED, "the site wants a puzzle solved")

    def _stop(self, outcome: Outcome, detail: str, *, retry_after: float | None = None) -> None:
        stop(self._crawler, outcome, detail, retry_after=retry_after)
        raise IgnoreRequest(detail)

    def _sign_again(self, request: Request) -> Request:
        if SIGNED_AGAIN in request.meta:
            self._stop(Outcome.BLOCKED, "a fresh token was refused")
        return request.replace(dont_filter=True, meta={**request.meta, SIGNED_AGAIN: True})

    def _retry(self, request: Request, reason: str, in_the_end: str) -> Request:
        """The request to send again because of `reason`. Raises `Unanswered`, which says `in_the_end`, after all."""
        assert self._crawler.spider is not None  # noqa: S101 -- its request was answered
        again = get_retry_request(request, spider=self._crawler.spider, reason=reason)
        if again is None:
            raise Unanswered(in_the_end)
        return again


def retry_after(response: Response) -> float | None:
    """The Retry-After in seconds, whether it is given as seconds or as a date (RFC 9110, 10.2.3); None without one."""
    value = (response.headers.get(b"Retry-After") or b"").decode("latin-1").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - utcnow()).total_seconds(), 0.0)
    except (ValueError, OverflowError, TypeError):  # TypeError: a date without a zone
        return None
