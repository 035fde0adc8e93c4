"""Requests of the API, and the download handler that signs them. Once a crawl is stopping, it sends nothing.

A request is signed in the handler, the last step before the network, for two reasons: the duplicate filter, retries,
statistics and logs see one stable URL without a signature, and a retry is signed again with the token and time of then.
"""

import logging
import time
from typing import Any, Final

from scrapy import Request
from scrapy.core.downloader.handlers import http11
from scrapy.crawler import Crawler
from scrapy.exceptions import DownloadCancelledError, DownloadTimeoutError, IgnoreRequest
from scrapy.http import Response

from . import mtop
from .stopping import is_stopping

API: Final = "mtop_api"
"""Key of `Request.meta`: the name of the API. Only requests that have it are signed, and their answers judged."""
ANSWER: Final = "mtop_answer"
"""Key of `Response.meta`: the parsed `mtop.Answer`, once it was found to be usable."""
SITE: Final = "https://www.goofish.com"
"""The website that the API belongs to. The API expects it in Origin and Referer."""


def api_request(base: str, api: str, data: bytes, **more: Any) -> Request:
    """A request that posts `data` to `api` at the base URL `base`, not signed yet.

    `more` are further arguments of `scrapy.Request`.
    """
    return Request(
        mtop.url(base, api),
        method="POST",
        body=mtop.form(data),
        headers={
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": SITE,
            "Referer": f"{SITE}/",
        },
        # Not followed: from a redirect `middlewares.AnswerMiddleware` learns that the site wants a login or a puzzle.
        meta={API: api, "dont_redirect": True},
        **more,
    )


def answer_of(response: Response) -> mtop.Answer:
    """The answer in a response. `AnswerMiddleware` has parsed it already, except under `scrapy check`.

    Raises `mtop.NotJson` if the body is no JSON.
    """
    answer = response.meta.get(ANSWER)
    return answer if isinstance(answer, mtop.Answer) else mtop.read_answer(response.body)


class RequestRefused(IgnoreRequest):
    """The request is not sent, because the crawl is stopping."""


def refuse_if_stopping(crawler: Crawler) -> None:
    """Raise `RequestRefused` if the crawl is stopping."""
    if is_stopping(crawler):
        raise RequestRefused("the crawl is ending")


class SigningHandler(http11.HTTP11DownloadHandler):
    """Scrapy's HTTP handler, which also signs requests of the API, and sends nothing once the crawl is stopping."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        if not any(isinstance(found, SignatureRemover) for found in http11.logger.filters):
            http11.logger.addFilter(SignatureRemover())

    async def download_request(self, request: Request) -> Response:
        """Send `request` and return the response, whose URL is the one without a signature.

        Raises `RequestRefused` if the crawl is stopping; then nothing was sent.
        """
        refuse_if_stopping(self.crawler)
        if API not in request.meta:
            return await super().download_request(request)
        signed = request.replace(
            url=mtop.signed_url(
                request.url,
                request.body,
                token=mtop.token_of(request.headers.get(b"Cookie")),
                timestamp_ms=int(time.time() * 1000),
            )
        )
        try:
            response = await super().download_request(signed)
        except (DownloadTimeoutError, DownloadCancelledError) as error:  # their messages hold the signed URL
            raise type(error)(mtop.without_signatures(str(error))) from None
        finally:
            # Scrapy sets it on the signed request; `politeness.PaceMiddleware` reads it from the original one.
            request.meta["download_latency"] = signed.meta.get("download_latency")
        return response.replace(url=request.url)


class SignatureRemover(logging.Filter):
    """Logging filter that removes signatures from the handler's warnings, which quote the signed URL."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove signatures from the record's message. Every record passes."""
        record.msg, record.args = mtop.without_signatures(record.getMessage()), ()
        return True
