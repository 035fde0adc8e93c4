"""What leaves for the network: requests of the API are signed here, and after a stop nothing leaves at all.

The signature is made as late as this, so that duplicate filter, retries, statistics and logs see one stable address
without it, and so that a retry is signed anew with the token and the time that hold by then.
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
from .stopping import stopped

API: Final = "mtop_api"
"""Key of `Request.meta`: the name of the API that is asked. Only such requests are signed and judged."""
ANSWER: Final = "mtop_answer"
"""Key of `Response.meta`: the `mtop.Answer` that was found to be usable."""
SITE: Final = "https://www.goofish.com"
"""Whose page the API serves; it wants to be told so by Origin and Referer."""


def api_request(base: str, api: str, data: bytes, **more: Any) -> Request:
    """A request of `api` at `base`, unsigned as yet, that posts `data`.

    Args:
        more: Further arguments of `scrapy.Request`.
    """
    return Request(
        mtop.url(base, api),
        method="POST",
        body=mtop.form(data),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": SITE,
            "Referer": f"{SITE}/",
        },
        # A redirect is an answer here: the way to a login or to a puzzle. See `middlewares.AnswerMiddleware`.
        meta={API: api, "dont_redirect": True},
        **more,
    )


def answer_of(response: Response) -> mtop.Answer:
    """The answer that a response holds, read at most once: the middleware has done it, except under `scrapy check`.

    Raises:
        mtop.NotJson: the body is no JSON.
    """
    answer = response.meta.get(ANSWER)
    return answer if isinstance(answer, mtop.Answer) else mtop.read_answer(response.body)


class Refused(IgnoreRequest):
    """Nothing is sent any more: the crawl is ending."""


def refuse_if_stopped(crawler: Crawler) -> None:
    """Raise `Refused` once the crawl was told to stop."""
    if stopped(crawler):
        raise Refused("the crawl is ending")


class SigningHandler(http11.HTTP11DownloadHandler):
    """Scrapy's own handler of HTTP, which signs requests of the API and refuses everything once the crawl is ending."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        if not any(isinstance(found, WithoutSignature) for found in http11.logger.filters):
            http11.logger.addFilter(WithoutSignature())

    async def download_request(self, request: Request) -> Response:
        """Send `request` and return the response, under the address that was asked for.

        Raises:
            Refused: the crawl is ending; nothing was sent.
        """
        refuse_if_stopped(self.crawler)
        if API not in request.meta:
            return await super().download_request(request)
        signed = request.replace(
            url=mtop.signed(
                request.url,
                request.body,
                token=mtop.token_of(request.headers.get(b"Cookie")),
                moment=int(time.time() * 1000),
            )
        )
        try:
            response = await super().download_request(signed)
        except (DownloadTimeoutError, DownloadCancelledError) as error:  # their messages hold the signed address
            raise type(error)(mtop.unsigned(str(error))) from None
        finally:
            # The handler notes it on the request that it was given; `politeness.PaceMiddleware` reads it from ours.
            request.meta["download_latency"] = signed.meta.get("download_latency")
        return response.replace(url=request.url)


class WithoutSignature(logging.Filter):
    """Takes signatures out of the handler's warnings, which hold the address that was asked."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, changed where it has to be."""
        record.msg, record.args = mtop.unsigned(record.getMessage()), ()
        return True
