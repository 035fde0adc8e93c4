"""Tells the operator how a run ended: a message to ntfy, Bark or a group robot of 企业微信.

Sources of the forms: docs.ntfy.sh/publish, docs/API_V2.md of Finb/bark-server and docs/tutorial.md of Finb/Bark,
developer.work.weixin.qq.com/document/path/91770. The address is a secret, since whoever knows it can send messages: no
text that this module returns has a part of it.
"""

import http.client
import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson

from . import __version__
from .console import shown

TRIES: Final = 2
PAUSE_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
"""How long to wait for an answer, each time."""
DEADLINE_SECONDS: Final = 13.0
"""After so long the message is given up, whatever it waits for. With XIANYU_GRACE it is less than systemd waits."""
MAX_TEXT_BYTES: Final = 1800
"""In UTF-8. 企业微信 takes 2048, ntfy 4096; Apple's service, on which Bark stands, 4096 for all of a message."""
_MAX_ANSWER_BYTES: Final = 65536


class NoticeForm(StrEnum):
    """Who takes the message."""

    NTFY = "ntfy"
    BARK = "bark"
    WECOM = "wecom"  # a group robot of 企业微信


class NoticeWhen(StrEnum):
    """After which runs a message is sent."""

    ALWAYS = "always"
    TROUBLE = "trouble"  # only if the exit code is not 0


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A message."""

    title: str
    text: str
    urgent: bool = False


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Where messages go. `url` is a secret, and so is `token`, which ntfy may want."""

    form: NoticeForm
    url: str
    token: str = ""

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"<Receiver {self.form}>"


def send(receiver: Receiver, notice: Notice) -> str | None:
    """Send a message, at most `TRIES` times. Returns None, or why it was not taken, in words without secrets.

    It is tried again after errors of the network and of the server, not after a refusal. It raises nothing, and takes
    at most `DEADLINE_SECONDS`.
    """
    found: list[str | None] = []
    # A thread, because nothing else bounds how long a name is looked up, or an answer dripped.
    thread = threading.Thread(target=lambda: found.append(_try_to_send(receiver, notice)), daemon=True)
    thread.start()
    thread.join(DEADLINE_SECONDS)
    return found[0] if found else f"{receiver.form} did not answer in {DEADLINE_SECONDS:g} s"


def _try_to_send(receiver: Receiver, notice: Notice) -> str | None:
    problem: str | None = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        problem, again = _post(receiver, notice)
        if not again:
            break
    return problem


def _post(receiver: Receiver, notice: Notice) -> tuple[str | None, bool]:
    """Send it once. Returns the problem, if there is one, and whether it may be another time."""
    try:
        with _OPENER.open(request_of(receiver, notice), timeout=ANSWER_SECONDS) as response:
            body = response.read(_MAX_ANSWER_BYTES)
    except HTTPError as error:
        error.close()
        again = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == HTTPStatus.TOO_MANY_REQUESTS
        return f"{receiver.form} answered HTTP {error.code}", again
    except (OSError, http.client.HTTPException) as error:  # their texts may quote the address
        reason = error.reason if isinstance(error, URLError) else error
        why = (reason.strerror if isinstance(reason, OSError) else None) or type(reason).__name__
        return f"{receiver.form} could not be reached: {why}", True
    except ValueError:  # such as an address that urllib cannot read
        return f"{receiver.form} could not be reached: its address is not valid", False
    return _refusal(receiver.form, body), False


def _refusal(form: NoticeForm, body: bytes) -> str | None:
    """What the answer of a success says against it: Bark and 企业微信 refuse with HTTP 200 too."""
    if form is NoticeForm.NTFY:
        return None
    key, well = _CODE_OF_SUCCESS[form]
    try:
        answer = orjson.loads(body)
        code = answer[key]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{form} answered without {key}"
    return None if code == well else f"{form} answered {key} {code if isinstance(code, int) else 'of no number'}"


_CODE_OF_SUCCESS: Final[Mapping[NoticeForm, tuple[str, int]]] = MappingProxyType(
    {NoticeForm.BARK: ("code", 200), NoticeForm.WECOM: ("errcode", 0)}
)


def request_of(receiver: Receiver, notice: Notice) -> Request:
    """The request that sends a message, in the receiver's form."""
    title, text = _shortened(notice.title, 200), _shortened(notice.text, MAX_TEXT_BYTES)
    headers = {"User-Agent": f"SaltfishCrawler/{__version__}"}
    if receiver.form is NoticeForm.NTFY:
        headers |= {
            "Content-Type": "text/plain; charset=utf-8",
            "Title": _header(title),
            "Priority": "high" if notice.urgent else "default",
            "Tags": "warning" if notice.urgent else "white_check_mark",
        }
        if receiver.token:
            headers["Authorization"] = f"Bearer {receiver.token}"
        return Request(receiver.url, data=text.encode(), headers=headers, method="POST")  # noqa: S310 -- http(s), see `options`
    fields: dict[str, Any]
    if receiver.form is NoticeForm.BARK:
        level = "timeSensitive" if notice.urgent else "active"
        fields = {"title": title, "body": text, "group": "crawler", "level": level}
        if receiver.token:  # the address is …/push, and the key stands here
            fields["device_key"] = receiver.token
    else:
        fields = {"msgtype": "text", "text": {"content": f"{title}\n{text}"}}
    headers["Content-Type"] = "application/json; charset=utf-8"
    return Request(receiver.url, data=orjson.dumps(fields), headers=headers, method="POST")  # noqa: S310 -- as above


def _shortened(text: str, most: int) -> str:
    """`text` in at most so many bytes of UTF-8."""
    encoded = shown(text).encode()
    return encoded.decode() if len(encoded) <= most else f"{encoded[: most - 3].decode('utf-8', 'ignore')}…"


def _header(text: str) -> str:
    """A text as the value of an HTTP header; RFC 2047, which ntfy reads, unless it is ASCII."""
    text = " ".join(text.split())
    return text if text.isascii() else f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="


class _NoRedirects(HTTPRedirectHandler):
    """Follows none: the message, and the token, are for the given address alone."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """No request: `urllib` raises an `HTTPError`."""


_OPENER: Final = build_opener(_NoRedirects)


def host_name() -> str:
    """This machine's name, for messages."""
    return re.sub(r"[^\w.-]", "", socket.gethostname()) or "?"
