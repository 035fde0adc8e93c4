"""The operator's settings, from the environment and the command line."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from .errors import ConfigurationError
from .notices import NoticeForm, NoticeWhen, Receiver

PROJECT: Final = Path(__file__).resolve().parent.parent
MIN_DELAY: Final = 1.0
"""Seconds. A shorter delay is refused, except for a site on this machine."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """One field for each `XIANYU_` variable: `delay` is read from `XIANYU_DELAY`."""

    live: bool = False
    """Whether anything may be sent. Only the exact word `yes` allows it."""
    contact: str = ""
    """Who runs this crawler: a mail address or a URL, sent in the User-Agent. Live runs need it."""
    base_url: str = "https://h5api.m.goofish.com"
    """Base URL of the API."""
    data: Path = PROJECT / "data"
    """The folder for state, lock, logs and runs."""
    delay: float = 5.0
    """Seconds between two requests, on average."""
    jitter: float = 0.5
    """Each delay is randomly longer or shorter by up to this fraction."""
    page_limit: int = 20
    """Most pages, of 30 listings each, for one keyword."""
    daily_budget: int = 500
    """Most requests of all runs on one day, by the date in China."""
    answer_timeout: float = 20.0
    """Seconds to wait for a complete answer."""
    timeout: float = 3600.0
    """Seconds after which a run is stopped."""
    grace: float = 45.0
    """Seconds that a run may take to close after it was stopped. Then the process exits at once."""
    refresh_days: int = 7
    """Days after which an unchanged listing is written again, to show that it is still there."""
    batch: int = 200
    """Most listings in one batch file."""
    pictures: bool = False
    """Whether to fetch the pictures of listings: `yes` or `no`. They are copyrighted. Needs `XIANYU_LIVE=yes`."""
    log_days: int = 30
    """Days after which a log is deleted."""
    run_days: int = 90
    """Days after which the folder of a run is deleted, if all of it was imported. 0: never."""
    run_count: int = 0
    """Most folders of runs that are kept: of more, the oldest are deleted, if they were imported. 0: any number."""
    notice: str = ""
    """Who is told how a run ended: `ntfy`, `bark`, or `wecom`, a group robot of 企业微信. Empty: nobody."""
    notice_url: str = field(default="", repr=False)
    """Their address, a secret: `https://ntfy.sh/<topic>`, `https://api.day.app/<key>`,
    `https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=<key>`."""
    notice_token: str = field(default="", repr=False)
    """The access token of a protected topic of ntfy, or the key of Bark where the address ends in `/push`. A secret."""
    notice_when: str = "always"
    """After which runs: `always`, or `trouble`: only if the exit code is not 0."""

    def settings(self) -> dict[str, Any]:
        """The same values as Scrapy settings, named as the variables. Without the secrets, which it has no use for."""
        return {variable_name(each.name): getattr(self, each.name) for each in fields(self) if each.repr}

    @property
    def receiver(self) -> Receiver | None:
        """Who is told how a run ended, if anybody is."""
        if not self.notice:
            return None
        return Receiver(form=NoticeForm(self.notice), url=self.notice_url, token=self.notice_token)

    def check_live_allowed(self) -> None:
        """Raise `ConfigurationError` unless the settings allow a live run."""
        if not self.live:
            raise ConfigurationError(
                "this run would talk to the site, which only XIANYU_LIVE=yes allows; read “Why live runs are opt-in” in"
                " crawler/README.md first, or use xianyu_file with answers that you saved yourself"
            )
        if not self.contact:
            raise ConfigurationError("XIANYU_CONTACT must say who runs this crawler: a mail address or a URL")
        if self.delay < MIN_DELAY and not is_loopback(self.base_url):
            raise ConfigurationError(f"XIANYU_DELAY must be at least {MIN_DELAY:g} s; it is {self.delay:g}")


def variable_name(name: str) -> str:
    """The environment variable of a field: `XIANYU_PAGE_LIMIT` of `page_limit`."""
    return f"XIANYU_{name.upper()}"


INTEGER_RANGES: Final = {
    "page_limit": (1, 1000),
    "daily_budget": (0, 100_000),
    "refresh_days": (1, 3650),
    "batch": (1, 100_000),
    "log_days": (1, 3650),
    "run_days": (0, 3650),
    "run_count": (0, 1_000_000),
}
"""Smallest and greatest value of each field."""
FLOAT_RANGES: Final = {
    "delay": (0.0, 3600.0),
    "jitter": (0.0, 1.0),
    "answer_timeout": (1.0, 600.0),
    "timeout": (1.0, 7 * 86400.0),
    "grace": (1.0, 3600.0),
}
"""Smallest and greatest value of each field."""
YES_OR_NO: Final = {"yes": True, "no": False}


def read_options(environ: Mapping[str, str], *, data: Path | None = None, page_limit: str | None = None) -> Options:
    """The options in `environ`, overridden by `data` and `page_limit` of the command line. Empty variables are ignored.

    Raises `ConfigurationError` if a value cannot be read or is out of range, or if a `XIANYU_` variable is unknown.
    """
    names = {variable_name(each.name): each.name for each in fields(Options)}
    unknown = sorted(name for name in environ if name.startswith("XIANYU_") and name not in names)
    if unknown:
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; known are {', '.join(names)}")
    texts = {names[key]: value.strip() for key, value in environ.items() if key in names and value.strip()}
    if page_limit is not None:
        texts["page_limit"] = page_limit
    options = replace(Options(), **{name: _parse(name, text) for name, text in texts.items()})
    if bool(options.notice) != bool(options.notice_url):
        raise ConfigurationError("XIANYU_NOTICE and XIANYU_NOTICE_URL need each other")
    return options if data is None else replace(options, data=data.resolve())


def _parse(name: str, text: str) -> Any:
    if name in INTEGER_RANGES:
        low, high = INTEGER_RANGES[name]
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ConfigurationError(f"{variable_name(name)} must be a whole number from {low} to {high}, not {text!r}")
        return int(text)
    if name in FLOAT_RANGES:
        lowest, highest = FLOAT_RANGES[name]
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not lowest <= float(text) <= highest:
            raise ConfigurationError(f"{variable_name(name)} must be from {lowest:g} to {highest:g}, not {text!r}")
        return float(text)
    if name in ("live", "pictures"):
        if text not in YES_OR_NO:
            raise ConfigurationError(f"{variable_name(name)} must be yes or no, not {text!r}")
        return YES_OR_NO[text]
    return _PARSERS[name](text)


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # an invalid port or IPv6 address
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(f"XIANYU_BASE_URL must be like https://host or http://host:port, not {text!r}")
    return text.rstrip("/")


def _contact(text: str) -> str:
    if not text.isascii() or not text.isprintable() or len(text) > 200 or not re.search(r"@|https?://", text):
        raise ConfigurationError(f"XIANYU_CONTACT must be a mail address or a URL, in ASCII, not {text!r}")
    return text


def _data(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _notice_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # an invalid port or IPv6 address
        usable = False
    if not usable or parts.username is not None or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError("XIANYU_NOTICE_URL must be like https://host/path")  # the value is a secret
    return text


def _notice_token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError("XIANYU_NOTICE_TOKEN must be ASCII, without blanks")  # the value is a secret
    return text


def _one_of(name: str, values: Iterable[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in values:
            raise ConfigurationError(f"{variable_name(name)} must be {' or '.join(values)}, not {text!r}")
        return text

    return parse


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "base_url": _base_url,
    "contact": _contact,
    "data": _data,
    "notice": _one_of("notice", tuple(NoticeForm)),
    "notice_url": _notice_url,
    "notice_token": _notice_token,
    "notice_when": _one_of("notice_when", tuple(NoticeWhen)),
}


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, where no delay is needed."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
