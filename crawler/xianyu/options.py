"""What an operator may choose, from the environment and the command line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from .errors import ConfigurationError

PROJECT: Final = Path(__file__).resolve().parent.parent
LEAST_DELAY: Final = 1.0
"""Seconds; less is refused for any host but this machine."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """One field for each `XIANYU_` variable, which is its name in upper case."""

    live: bool = False
    """May anything be sent? Only the exact word `yes` says so."""
    contact: str = ""
    """Who runs this crawler: a mail address or a URL, sent in the User-Agent. Live runs need it."""
    base_url: str = "https://h5api.m.goofish.com"
    """Where the API is."""
    data: Path = PROJECT / "data"
    """The folder of state, lock, logs and runs."""
    delay: float = 5.0
    """Seconds between two requests."""
    jitter: float = 0.5
    """Each delay is up to this part longer or shorter."""
    page_limit: int = 20
    """Pages of 30 for one keyword."""
    daily_budget: int = 500
    """Requests on one day in China, over all runs."""
    answer_timeout: float = 20.0
    """Seconds until an answer that is not there in full is given up."""
    timeout: float = 3600.0
    """Seconds until a run is closed."""
    grace: float = 45.0
    """Seconds that a run which was told to stop may take to close, before it is ended hard."""
    refresh_days: int = 7
    """A listing that did not change is written again after this many days, to say that it is still there."""
    batch: int = 200
    """Listings in one batch file."""
    pictures: bool = False
    """Fetch the pictures of listings? `yes` or `no`. They are copyrighted. Needs `XIANYU_LIVE=yes`, as this sends."""
    log_days: int = 30
    """Days until a log is removed."""

    def settings(self) -> dict[str, Any]:
        """The same for Scrapy's settings, under the variables' names."""
        return {variable(field.name): getattr(self, field.name) for field in fields(self)}

    def refuse_live(self) -> None:
        """Raise `ConfigurationError` unless everything is there that a live run needs."""
        if not self.live:
            raise ConfigurationError(
                "this run would talk to the site, which only XIANYU_LIVE=yes allows; read “Why live runs are opt-in” in"
                " crawler/README.md first, or use xianyu_file with answers that you saved yourself"
            )
        if not self.contact:
            raise ConfigurationError("XIANYU_CONTACT must say who runs this crawler: a mail address or a URL")
        if self.delay < LEAST_DELAY and not is_this_machine(self.base_url):
            raise ConfigurationError(f"XIANYU_DELAY must be at least {LEAST_DELAY:g} s; it is {self.delay:g}")


def variable(name: str) -> str:
    """The environment's name of a field: `page_limit` is `XIANYU_PAGE_LIMIT`."""
    return f"XIANYU_{name.upper()}"


WHOLE_NUMBERS: Final = {
    "page_limit": (1, 1000),
    "daily_budget": (0, 100_000),
    "refresh_days": (1, 3650),
    "batch": (1, 100_000),
    "log_days": (1, 3650),
}
"""Least and greatest."""
NUMBERS: Final = {
    "delay": (0.0, 3600.0),
    "jitter": (0.0, 1.0),
    "answer_timeout": (1.0, 600.0),
    "timeout": (1.0, 7 * 86400.0),
    "grace": (1.0, 3600.0),
}
"""Least and greatest."""
YES_OR_NO: Final = {"yes": True, "no": False}


def read_options(environ: Mapping[str, str], *, data: Path | None = None, page_limit: str | None = None) -> Options:
    """The options in `environ`; what the command line said comes before it. Empty variables count as unset.

    Raises:
        ConfigurationError: a value cannot be read, is out of its range, or a `XIANYU_` variable is unknown.
    """
    names = {variable(field.name): field.name for field in fields(Options)}
    unknown = sorted(name for name in environ if name.startswith("XIANYU_") and name not in names)
    if unknown:
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; known are {', '.join(names)}")
    texts = {names[key]: value.strip() for key, value in environ.items() if key in names and value.strip()}
    if page_limit is not None:
        texts["page_limit"] = page_limit
    options = replace(Options(), **{name: _value(name, text) for name, text in texts.items()})
    return options if data is None else replace(options, data=data.resolve())


def _value(name: str, text: str) -> Any:
    if name in WHOLE_NUMBERS:
        low, high = WHOLE_NUMBERS[name]
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ConfigurationError(f"{variable(name)} must be a whole number from {low} to {high}, not {text!r}")
        return int(text)
    if name in NUMBERS:
        least, greatest = NUMBERS[name]
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not least <= float(text) <= greatest:
            raise ConfigurationError(f"{variable(name)} must be from {least:g} to {greatest:g}, not {text!r}")
        return float(text)
    if name in ("live", "pictures"):
        if text not in YES_OR_NO:
            raise ConfigurationError(f"{variable(name)} must be yes or no, not {text!r}")
        return YES_OR_NO[text]
    return _CHECKED[name](text)


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port or an IPv6 address that is none
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


_CHECKED: Final = {"base_url": _base_url, "contact": _contact, "data": _data}


def is_this_machine(url: str) -> bool:
    """Whether a URL's host is the loopback one, to which no politeness is owed."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
