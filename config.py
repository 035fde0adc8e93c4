"""Typed, frozen settings; the only reader of the environment.

`load_settings()` turns environment variables into one `Settings` value. Every field declares its default and its
meaning once, and is named like its variable; the table in the README is generated from these fields
(`python config.py` prints it). A production start without its secrets fails by naming each one missing.
"""

from __future__ import annotations

import base64
import functools
import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import limits

PROJECT_ROOT = Path(__file__).resolve().parent
_INSTANCE: Final = PROJECT_ROOT / "instance"


class Environment(StrEnum):
    """The three ways to run; `SALTFISH_ENV` chooses."""

    DEVELOPMENT = "development"
    TESTING = "testing"
    PRODUCTION = "production"


class MessageProvider(StrEnum):
    """What carries mail or text messages."""

    CONSOLE = "console"  # nothing does: they are written to the log
    SMTP = "smtp"


class SmtpSecurity(StrEnum):
    """How the connection to the mail server is encrypted."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"  # from the first byte, on port 465


class SearchEngine(StrEnum):
    """What finds goods by words: an index on this machine's disk, or tables of the database, for many hosts."""

    WHOOSH = "whoosh"
    POSTGRES = "postgres"


class UnseenPictures(StrEnum):
    """What becomes of pictures that nothing can look at, because the extra for it is not installed."""

    REVIEW = "review"
    PASS = "pass"  # noqa: S105 - the picture passes, no password


class ModerationProvider(StrEnum):
    """Whose service is asked for a second opinion on texts and pictures."""

    NONE = "none"
    BAIDU = "baidu"


class SettingsError(Exception):
    """The environment does not make valid settings; `problems` lists one line per variable."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("invalid settings:\n  " + "\n  ".join(problems))


def _text(raw: str) -> str:
    return raw


def _boolean(raw: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return words[raw.strip().lower()]
    except KeyError:
        raise ValueError("must be one of 1/0, true/false, yes/no, on/off") from None


def _natural(raw: str) -> int:
    text = raw.strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"must be a whole number, not negative, not {raw!r}")
    return int(text)


def _positive(raw: str) -> int:
    number = _natural(raw)
    if number == 0:
        raise ValueError("must be above 0")
    return number


def _basis_points(raw: str) -> int:
    number = _natural(raw)
    if number > 10_000:
        raise ValueError("must be 0 to 10000 (hundredths of a percent)")
    return number


def _port(raw: str) -> int:
    number = _natural(raw)
    if not 1 <= number <= 65535:
        raise ValueError("must be 1 to 65535")
    return number


def _environment(raw: str) -> Environment:
    if raw not in {each.value for each in Environment}:
        raise ValueError(f"must be one of {', '.join(Environment)}, not {raw!r}")
    return Environment(raw)


def _mail_provider(raw: str) -> MessageProvider:
    if raw not in {each.value for each in MessageProvider}:
        raise ValueError(f"must be one of {', '.join(MessageProvider)}, not {raw!r}")
    return MessageProvider(raw)


def _sms_provider(raw: str) -> MessageProvider:
    if raw != MessageProvider.CONSOLE:
        raise ValueError(f"must be console, not {raw!r}: others are written as an `app.messaging.base.Provider`")
    return MessageProvider.CONSOLE


def _smtp_security(raw: str) -> SmtpSecurity:
    if raw not in {each.value for each in SmtpSecurity}:
        raise ValueError(f"must be one of {', '.join(SmtpSecurity)}, not {raw!r}")
    return SmtpSecurity(raw)


def _unseen_pictures(raw: str) -> UnseenPictures:
    if raw not in {each.value for each in UnseenPictures}:
        raise ValueError(f"must be one of {', '.join(UnseenPictures)}, not {raw!r}")
    return UnseenPictures(raw)


def _search_engine(raw: str) -> SearchEngine:
    if raw not in {each.value for each in SearchEngine}:
        raise ValueError(f"must be one of {', '.join(SearchEngine)}, not {raw!r}")
    return SearchEngine(raw)


def _moderation_provider(raw: str) -> ModerationProvider:
    if raw not in {each.value for each in ModerationProvider}:
        raise ValueError(f"must be one of {', '.join(ModerationProvider)}, not {raw!r}")
    return ModerationProvider(raw)


def _log_level(raw: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if raw.strip().upper() not in levels:
        raise ValueError(f"must be one of {', '.join(levels)}, not {raw!r}")
    return raw.strip().upper()


def _rate_limit(raw: str) -> str:
    try:
        limits.parse_many(raw)
    except ValueError:
        # Flask-Limiter would log it at each request, and let all of them pass.
        raise ValueError(f"must be a rate limit like `60 per minute`, not {raw!r}") from None
    return raw


def _http_url(raw: str) -> str:
    """A URL that paths are appended to and browsers are redirected to. A bad one would fail only when somebody pays."""
    url = raw.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", url) or "?" in url or "#" in url:
        raise ValueError(f"must be like https://shop.example, not {raw!r}")
    return url.rstrip("/")


def _order_page(raw: str) -> str:
    """A URL of a page, of an order where it has `{order_id}` in it; empty for none."""
    url = raw.strip()
    if url:
        _http_url(url.replace("{order_id}", "1").partition("?")[0].partition("#")[0])
    return url


def _webhook_url(raw: str) -> str:
    """A URL of the operator's receiver: it may have a query, and is called exactly as it is given."""
    url = raw.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in url
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", url) or "#" in url:
        raise ValueError("must be like https://shop.example/hooks?shop=1")  # without the value: its query may be secret
    return url


def _webhook_secret(raw: str) -> str:
    """A secret in the format of Standard Webhooks, of at least 24 bytes: 32 characters of base64."""
    try:
        key = base64.b64decode(raw.strip().removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not raw.strip().startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("must be `whsec_` and the base64 of 24 to 64 random bytes")
    return raw.strip()


def _metrics_token(raw: str) -> str:
    if not re.fullmatch(r"[!-~]{16,}", raw.strip()):
        raise ValueError("must have at least 16 characters, printable ASCII without blanks")
    return raw.strip()


def _webhook_timeout(raw: str) -> int:
    seconds = _positive(raw)
    if seconds > 60:
        raise ValueError("must be at most 60")
    return seconds


def _database_url(raw: str) -> str:
    # PostgreSQL alone, and by the driver that is installed. The value is not shown: it may hold a password.
    if not raw.startswith("postgresql+psycopg://"):
        raise ValueError("must begin with postgresql+psycopg://")
    return raw


def _words(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def _path(raw: str) -> Path:
    path = Path(raw)
    return path if path.is_absolute() else PROJECT_ROOT / path


def _setting(
    default: Any,  # a frozen literal of the field's own type; dataclasses cannot say that more tightly
    meaning: str,
    parse: Callable[[str], Any] = _text,
    *,
    secret: bool = False,
    variable: str | None = None,
    under_instance: bool = False,
) -> Any:  # dataclass fields are typed by their annotation, as with dataclasses.field itself
    """One setting: its default, what the README says of it, and how the variable's text becomes the value.

    `secret`: has no default in production and is never shown. `variable`: the environment variable, where that is not
    the field's name in upper case. `under_instance`: `default` is a path in the instance folder, wherever that is.
    """
    if under_instance:
        default = _INSTANCE / default
    metadata = {
        "variable": variable,
        "meaning": meaning,
        "parse": parse,
        "secret": secret,
        "under_instance": under_instance,
    }
    return field(default=default, metadata=metadata)


def variable_of(setting: Field[Any]) -> str:
    """The environment variable of a field of `Settings`: `redis_url` is REDIS_URL."""
    other: str | None = setting.metadata["variable"]
    return other or setting.name.upper()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of the application. Durations are seconds, sizes bytes, unless a name says otherwise."""

    environment: Environment = _setting(
        Environment.DEVELOPMENT,
        "`production`, `development` or `testing`; has to be said, `make run` says development",
        _environment,
        variable="SALTFISH_ENV",
    )
    # Stores
    database_url: str = _setting(
        "", "PostgreSQL, as a SQLAlchemy URL; unset: `make run` starts its own", _database_url, secret=True
    )
    database_replica_url: str = _setting(
        "",
        "a read replica of it, for the engine `postgres` alone; while that does not answer, `DATABASE_URL` does",
        _database_url,
    )
    redis_url: str = _setting("", "Valkey or Redis; unset: `make run` starts its own", secret=True)
    database_pool_size: int = _setting(10, "connections kept per process", _positive)
    database_statement_timeout: int = _setting(15, "seconds after which PostgreSQL ends a statement", _natural)
    database_lock_timeout: int = _setting(10, "seconds a statement waits for a row lock", _natural)
    instance_path: Path = _setting(_INSTANCE, "folder for pictures, the search index and development keys", _path)
    # Tokens
    jwt_secret_key: str = _setting(
        "",
        "signs access and refresh tokens; at least 32 characters; unset: a random one, kept in `INSTANCE_PATH`",
        secret=True,
    )
    access_token_lifetime: int = _setting(3600, "seconds an access token lives", _positive)
    refresh_token_lifetime: int = _setting(30 * 86400, "seconds a refresh token lives", _positive)
    refresh_reuse_interval: int = _setting(
        10, "seconds in which a used refresh token answers its successor again; then it ends the session", _natural
    )
    session_cache_lifetime: int = _setting(
        60, "seconds for which Valkey answers that a session lives before PostgreSQL is asked again", _positive
    )
    cashier_ticket_lifetime: int = _setting(600, "seconds for which a ticket opens an order's cashier", _positive)
    cashier_accepts_access_token: bool | None = _setting(
        None,
        "whether the cashier also takes an access token in its URL; default: 0 in production, otherwise 1",
        _boolean,
    )
    # The back office
    office_session_lifetime: int = _setting(12 * 3600, "seconds after which staff log in to /admin/ again", _positive)
    office_session_idle: int = _setting(
        3600, "seconds without a request after which a login to /admin/ ends", _positive
    )
    shop_order_url: str = _setting(
        "",
        "where the cashier's pages lead back: your shop's page of an order, `{order_id}` in it is replaced; "
        "unset: this server's start page",
        _order_page,
    )
    # Web
    host: str = _setting("127.0.0.1", "address the web server listens on")
    port: int = _setting(8000, "port of the web server", _port)
    public_url: str = _setting("", "how browsers and the gateway reach us; default `http://HOST:PORT`", _http_url)
    cors_origins: tuple[str, ...] = _setting(
        (), "comma-separated origins that browsers may call from; empty: none", _words
    )
    trusted_proxies: int = _setting(0, "reverse proxies in front whose X-Forwarded-* headers are believed", _natural)
    envelope_always_200: bool = _setting(
        False, "answer every envelope with HTTP 200, for clients that cannot read others", _boolean
    )
    max_body_bytes: int = _setting(
        91 * 1024 * 1024, "largest request body with pictures; all others have at most 64 KiB", _natural
    )
    body_seconds: int = _setting(
        10, "seconds a request body may take, and one more for each `BODY_LEAST_RATE` bytes of it", _positive
    )
    body_least_rate: int = _setting(32 * 1024, "bytes a second at which a large request body has to come", _positive)
    bodies_limit: int = _setting(
        512, "bodies one web process receives at a time; another one ends the one that has taken longest", _positive
    )
    connections_limit: int = _setting(
        1024, "connections one web process keeps; of more, those are closed that do nothing for longest", _positive
    )
    web_workers: int = _setting(2, "web processes", _positive)
    web_heartbeat_path: Path | None = _setting(
        None, "folder where web processes show that they answer; `make run` sets it and looks", _path
    )
    log_level: str = _setting("INFO", "level of the structured log", _log_level)
    sql_count_header: bool = _setting(
        False, "answer with `X-SQL-Statements` (benchmarks); refused in production", _boolean
    )
    # Accounts
    captcha_lifetime: int = _setting(300, "seconds a captcha lives", _positive)
    captcha_reveal: bool = _setting(
        False, "`GET /register/` also returns the answer, for scripts; refused in production", _boolean
    )
    login_failures_allowed: int = _setting(
        5,
        "failed logins of one account from one network before slowing; ten times as many from one network, five times "
        "as many of one account from networks where it is not at home",
        _natural,
    )
    login_failures_window: int = _setting(900, "seconds after which failed logins are forgotten", _positive)
    one_time_code_lifetime: int = _setting(
        900, "seconds a code lives that is sent for a forgotten password or a new address", _positive
    )
    # Messages that leave the platform
    mail_provider: MessageProvider | None = _setting(
        None, "`smtp`, or `console`: mail goes to the log; default: `console`, in production no mail", _mail_provider
    )
    sms_provider: MessageProvider | None = _setting(
        None,
        "`console`: text messages go to the log; default: `console`, in production no text messages",
        _sms_provider,
    )
    mail_from: str = _setting("", "the sender of mail; required with `MAIL_PROVIDER=smtp`")
    smtp_host: str = _setting("", "the mail server; required with `MAIL_PROVIDER=smtp`")
    smtp_port: int = _setting(587, "its port", _port)
    smtp_security: SmtpSecurity = _setting(
        SmtpSecurity.STARTTLS, "`starttls`, `tls` (from the first byte, usually port 465) or `none`", _smtp_security
    )
    smtp_username: str = _setting("", "whom to log in as at the mail server; empty: nobody")
    smtp_password: str = _setting("", "the password for it")
    smtp_ca_path: Path | None = _setting(None, "PEM file of certificates that the mail server's is checked by", _path)
    smtp_timeout: int = _setting(10, "seconds the mail server may take for each answer", _positive)
    # Rate limits, in Flask-Limiter's notation, per address of origin
    rate_limits_enabled: bool = _setting(True, "switch for all rate limits below", _boolean)
    rate_limit_register: str = _setting("60 per hour", "registrations", _rate_limit)
    rate_limit_captcha: str = _setting("120 per 10 minutes", "captcha pictures", _rate_limit)
    rate_limit_login: str = _setting("60 per minute", "logins and refreshes", _rate_limit)
    rate_limit_password_forgot: str = _setting("10 per hour", "codes asked for forgotten passwords", _rate_limit)
    rate_limit_release: str = _setting("60 per minute", "goods released or edited", _rate_limit)
    rate_limit_pictures: str = _setting("120 per minute", "pictures uploaded by themselves", _rate_limit)
    rate_limit_evidence: str = _setting("30 per minute", "refund requests, disputes and statements", _rate_limit)
    rate_limit_search: str = _setting("600 per minute", "searches", _rate_limit)
    rate_limit_suggest: str = _setting("1200 per minute", "completions of what is being typed", _rate_limit)
    rate_limit_price_reference: str = _setting(
        "300 per minute", "questions for reference prices and their charts", _rate_limit
    )
    # Reference prices
    price_reference_days: int = _setting(90, "days for which a listing counts after it was last seen", _positive)
    price_reference_least: int = _setting(8, "comparable listings below which there is no reference price", _positive)
    # Goods
    goods_in_review_limit: int = _setting(50, "goods one user may have in review at a time", _natural)
    picture_bytes_limit: int = _setting(50 * 1024 * 1024, "largest picture file", _natural)
    picture_pixels_limit: int = _setting(51_000_000, "most pixels a picture may decode to", _natural)
    picture_jpeg_pixels_limit: int = _setting(
        110_000_000, "most pixels of a JPEG, which is scaled while it is decoded", _natural
    )
    picture_seconds_limit: int = _setting(
        10, "seconds of processor time that preparing one picture may take", _positive
    )
    picture_memory_limit: int = _setting(1536 * 1024 * 1024, "bytes of memory for it, with the program", _positive)
    picture_requests_limit: int = _setting(
        3, "requests with pictures that one web process works at; further ones are to come again", _positive
    )
    picture_patience: int = _setting(45, "seconds that one of them may wait for its pictures", _positive)
    picture_budget_window: int = _setting(600, "seconds in which one user's pictures may cost what follows", _positive)
    picture_budget_seconds: int = _setting(60, "seconds of processor time for one user's pictures", _positive)
    picture_budget_pixels: int = _setting(2_000_000_000, "pixels of one user's pictures", _positive)
    picture_quota: int = _setting(
        2 * 1024 * 1024 * 1024, "bytes of pictures that are stored for one user's goods and evidence", _positive
    )
    picture_link_lifetime: int = _setting(
        300, "seconds, at most twice as many, for which links show pictures that are not public", _positive
    )
    unused_picture_lifetime: int = _setting(
        86400,
        "seconds until pictures are deleted that nothing shows any more, or that were uploaded for nothing",
        _positive,
    )
    review_sweep_after: int = _setting(
        120, "seconds in review after which the sweep asks for the check again", _natural
    )
    review_attempts: int = _setting(
        5, "times that the check of one revision is begun before a person looks at it instead", _positive
    )
    review_subject_seconds: int = _setting(
        30, "seconds that the check of one text or picture may take; what takes longer a person looks at", _positive
    )
    review_claim_seconds: int = _setting(
        900, "seconds for which a member of staff has a good to review for themselves", _positive
    )
    sensitive_words_path: Path | None = _setting(
        None, "folder of word lists of one's own, beside ours; read again when a file changes", _path
    )
    pictures_unseen: UnseenPictures = _setting(
        UnseenPictures.REVIEW,
        "what becomes of pictures where the extra `vision` is not installed, so that nobody has looked: review, pass",
        _unseen_pictures,
    )
    moderation_provider: ModerationProvider = _setting(
        ModerationProvider.NONE,
        "whose service is asked, too: none, baidu. It is sent texts, and pictures in a reduced size",
        _moderation_provider,
    )
    moderation_provider_timeout: int = _setting(5, "seconds that it may take for an answer", _positive)
    moderation_provider_rate: int = _setting(2, "queries a second that it allows", _positive)
    baidu_url: str = _setting("https://aip.baidubce.com", "where Baidu's service is", _http_url)
    baidu_api_key: str = _setting("", "API key of our application at Baidu", _text)
    baidu_secret_key: str = _setting("", "its secret key", _text)
    # Orders: the deadlines of the order's state machine and the reminders before them, by their names there
    expire_after: int = _setting(1800, "seconds a buyer has to pay", _positive)
    refund_unshipped_after: int = _setting(
        7 * 86400, "seconds a seller has to ship or hand over; then the buyer gets the money back", _positive
    )
    receive_after: int = _setting(10 * 86400, "seconds after shipping until receipt is assumed", _positive)
    settle_after: int = _setting(
        7 * 86400, "seconds of the after-sale window; then the proceeds are the seller's to spend", _positive
    )
    approve_refund_unshipped_after: int = _setting(
        2 * 86400, "seconds a seller has to answer a refund request before shipping", _positive
    )
    approve_refund_shipped_after: int = _setting(
        5 * 86400, "seconds a seller has to answer a refund request in transit", _positive
    )
    lapse_after: int = _setting(7 * 86400, "seconds a buyer has to send the goods back", _positive)
    accept_return_after: int = _setting(
        10 * 86400, "seconds after sending back until the return counts as received", _positive
    )
    expire_reminder: int = _setting(600, "seconds before that deadline when the buyer is reminded; 0: never", _natural)
    refund_unshipped_reminder: int = _setting(
        86400, "seconds before that deadline when the seller is reminded; 0: never", _natural
    )
    receive_reminder: int = _setting(
        86400, "seconds before that deadline when the buyer is reminded; 0: never", _natural
    )
    settle_reminder: int = _setting(
        86400, "seconds before that deadline when the buyer is reminded; 0: never", _natural
    )
    approve_refund_unshipped_reminder: int = _setting(
        43200, "seconds before that deadline when the seller is reminded; 0: never", _natural
    )
    approve_refund_shipped_reminder: int = _setting(
        86400, "seconds before that deadline when the seller is reminded; 0: never", _natural
    )
    lapse_reminder: int = _setting(86400, "seconds before that deadline when the buyer is reminded; 0: never", _natural)
    accept_return_reminder: int = _setting(
        86400, "seconds before that deadline when the seller is reminded; 0: never", _natural
    )
    address_shown_days: int = _setting(
        30, "days after an order is closed for which its sides and staff see its addresses unmasked", _natural
    )
    unpaid_orders_limit: int = _setting(5, "unpaid orders one buyer may hold at a time", _positive)
    expired_orders_allowed: int = _setting(3, "orders a buyer may let expire before new ones are slowed", _natural)
    expired_orders_window: int = _setting(86400, "seconds after which an expired order is forgotten", _positive)
    expired_orders_delay: int = _setting(
        600, "seconds of waiting for each expired order above what is allowed", _positive
    )
    cancelled_orders_allowed: int = _setting(
        3, "orders a buyer may cancel before paying until new ones are slowed", _natural
    )
    cancelled_orders_window: int = _setting(86400, "seconds after which a cancelled order is forgotten", _positive)
    cancelled_orders_delay: int = _setting(
        600, "seconds of waiting for each cancelled order above what is allowed", _positive
    )
    handover_tries: int = _setting(
        5, "tries a seller has for the buyer's handover code until the buyer makes a new one", _positive
    )
    # Money
    platform_fee_basis_points: int = _setting(
        0, "the platform's share of settled proceeds, in hundredths of a percent", _basis_points
    )
    withdraw_daily_limit: int = _setting(10, "withdrawals one user may ask for per day", _natural)
    payment_query_after: int = _setting(
        60, "seconds after which the gateway is asked about a payment that it has not told of", _positive
    )
    notification_record_lifetime: int = _setting(
        30 * 86400, "seconds that refused notifications of the gateway are kept", _positive
    )
    refused_notifications_kept: int = _setting(
        100,
        "notifications without the gateway's signature that are recorded per address and hour; others are counted",
        _natural,
    )
    rate_limit_notify: str = _setting("600 per minute", "notifications of the gateway", _rate_limit)
    # Payment gateway (Alipay page pay; the sandbox speaks the same protocol)
    alipay_gateway_url: str = _setting(
        "", "the gateway; default: the sandbox at `http://GATEWAY_HOST:GATEWAY_PORT/gateway.do`", _http_url
    )
    gateway_host: str = _setting("127.0.0.1", "address the sandbox gateway listens on")
    gateway_port: int = _setting(8001, "port of the sandbox gateway", _port)
    alipay_app_id: str = _setting("2021000000000001", "our app id at the gateway", secret=True)
    alipay_seller_id: str = _setting("2088000000000001", "our merchant (seller) id at the gateway", secret=True)
    alipay_app_private_key_path: Path = _setting(
        "keys/app_private.pem",
        "file of our private key, PEM or one line of base64",
        _path,
        secret=True,
        under_instance=True,
    )
    alipay_public_key_path: Path = _setting(
        "keys/gateway_public.pem",
        "file of the gateway's public key, PEM or one line of base64, or of its certificate",
        _path,
        secret=True,
        under_instance=True,
    )
    alipay_previous_public_key_path: Path | None = _setting(
        None, "file of the key before, believed too while they change it", _path
    )
    alipay_app_cert_path: Path | None = _setting(
        None, "our application's certificate; Alipay makes no payouts without", _path
    )
    alipay_root_cert_path: Path | None = _setting(None, "Alipay's root certificates, given together with ours", _path)
    alipay_timeout: int = _setting(10, "seconds a call to the gateway may take", _positive)
    # Webhooks (https://www.standardwebhooks.com): each step of an order, to an operator's own URL
    webhook_url: str = _setting("", "where steps of orders are sent; empty: nowhere", _webhook_url)
    webhook_secret: str = _setting(
        "",
        "signs webhooks: `whsec_` and the base64 of 24 to 64 random bytes; required where `WEBHOOK_URL` is set",
        _webhook_secret,
    )
    webhook_previous_secret: str = _setting(
        "", "the secret before, which signs too while receivers change theirs", _webhook_secret
    )
    webhook_timeout: int = _setting(10, "seconds a receiver may take to answer, at most 60", _webhook_timeout)
    # Outbox
    outbox_lease: int = _setting(120, "seconds until work whose worker was killed is given out again", _positive)
    # Search
    search_engine: SearchEngine = _setting(
        SearchEngine.WHOOSH,
        "`whoosh`: an index on this host's disk; `postgres`: tables of the database, for several hosts",
        _search_engine,
    )
    search_index_path: Path = _setting(
        "search", "folder of the Whoosh index, on a local disk", _path, under_instance=True
    )
    search_words_path: Path | None = _setting(
        None, "folder of names and synonyms of one's own, beside ours; read again when a file changes", _path
    )
    query_least_clients: int = _setting(
        5, "different clients that must have searched for a query before anybody is shown it", _positive
    )
    saved_searches_limit: int = _setting(20, "searches that one user may save", _natural)
    saved_search_pause: int = _setting(
        3600, "seconds after news of a saved search in which further goods are gathered for the next", _natural
    )
    # Health
    metrics_token: str = _setting(
        "",
        "bearer token for `/metrics`; empty: only this machine may read it, and in production nobody",
        _metrics_token,
    )
    worker_heartbeat_limit: int = _setting(
        120, "seconds without a worker heartbeat after which `/readyz` fails", _positive
    )

    @property
    def base_url(self) -> str:
        """Where browsers and the gateway reach the application, without a trailing slash."""
        return self.public_url or f"http://{reachable(self.host)}:{self.port}"

    @property
    def gateway_url(self) -> str:
        """The payment gateway's entry point."""
        return self.alipay_gateway_url or f"http://{reachable(self.gateway_host)}:{self.gateway_port}/gateway.do"

    @property
    def takes_access_token_in_url(self) -> bool:
        """Whether the cashier takes `?token=` with an access token, not only with a ticket."""
        if self.cashier_accepts_access_token is None:
            return not self.is_production
        return self.cashier_accepts_access_token

    @property
    def signing_key(self) -> str:
        """What signs tokens and tickets: `jwt_secret_key`, or this instance's own. Raises `SettingsError`."""
        return self.jwt_secret_key or _own_key(self.instance_path / "keys" / "jwt_secret_key")

    @property
    def is_production(self) -> bool:
        """Whether secrets are required and development's conveniences refused."""
        return self.environment is Environment.PRODUCTION


RATE_LIMITS: Final = tuple(each.name for each in fields(Settings) if each.metadata["parse"] is _rate_limit)
"""The settings that an operation may name as its rate limit."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on the address `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """How a URL on this machine names the address `host` that a server listens on.

    0.0.0.0 and :: are replaced by the loopback address, and IPv6 addresses are put into brackets.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - translated away, not bound
    return f"[{host}]" if ":" in host else host


@functools.cache
def _own_key(path: Path) -> str:
    """The random key in the file `path`, which is made where it is missing, for its owner alone."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # Linked once it is whole: of processes that start together, all read the first one's.
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:  # made with mode 0600
                draft.write(secrets.token_urlsafe(48))
                draft.flush()
                with suppress(FileExistsError):
                    os.link(draft.name, path)
        return path.read_text("ascii")
    except OSError as error:
        raise SettingsError(
            [f"JWT_SECRET_KEY: is not set, and none can be kept in {path}: {error.strerror}"]
        ) from error


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read settings from `environ` (default: the process's environment).

    Empty variables count as unset. Raises `SettingsError` listing every problem at once: values that do not
    parse, and in production each secret that is missing and each development convenience that is switched on.
    """
    source = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for each in fields(Settings):
        raw = source.get(variable_of(each), "")
        if not raw:
            continue
        try:
            values[each.name] = each.metadata["parse"](raw)
        except ValueError as error:
            problems.append(f"{variable_of(each)}: {error}")
    instance = values.get("instance_path", _INSTANCE)
    for each in fields(Settings):
        if each.metadata["under_instance"]:
            values.setdefault(each.name, instance / Path(str(each.default)).relative_to(_INSTANCE))
    settings = Settings(**values)
    given = {each.name for each in fields(Settings) if source.get(variable_of(each))}
    problems += _inconsistencies(settings, given=given)
    if problems:
        raise SettingsError(problems)
    return settings


def load_settings_without_stores(environ: Mapping[str, str] | None = None) -> Settings:
    """As `load_settings`, for what opens no connection and signs nothing: it needs no variable at all.

    Stores that are not named are ones that nobody can reach. Unless it is said what this is, it is development, with a
    signing key that is forgotten, so that nothing is written. Raises `SettingsError`.
    """
    source = os.environ if environ is None else environ
    unset = {"DATABASE_URL": "postgresql+psycopg://none.invalid/none", "REDIS_URL": "redis://none.invalid/0"}
    if not source.get("SALTFISH_ENV"):
        unset |= {"SALTFISH_ENV": "development", "JWT_SECRET_KEY": secrets.token_urlsafe(48)}
    return load_settings(unset | {name: value for name, value in source.items() if value})


def _inconsistencies(settings: Settings, *, given: set[str]) -> list[str]:
    problems = []
    if "environment" not in given:
        problems.append(
            "SALTFISH_ENV: is not set; say production, or development on a machine of your own (`make run` does)"
        )
    if settings.is_production:
        problems += [
            f"{variable_of(each)}: is required in production ({each.metadata['meaning']})"
            for each in fields(Settings)
            if each.metadata["secret"] and each.name not in given
        ]
        problems += [
            f"{variable_of(each)}: is refused in production"
            for each in fields(Settings)
            if each.name in ("captcha_reveal", "sql_count_header") and getattr(settings, each.name)
        ]
        if "alipay_gateway_url" not in given:
            problems.append("ALIPAY_GATEWAY_URL: is required in production (the sandbox is for development)")
        if "public_url" not in given:
            problems.append("PUBLIC_URL: is required in production (the gateway sends its notifications there)")
    else:
        problems += [
            f"{variable}: is not set; `make run` and `make test` start a server of their own and set it"
            for variable, name in (("DATABASE_URL", "database_url"), ("REDIS_URL", "redis_url"))
            if name not in given
        ]
    if (settings.alipay_app_cert_path is None) != (settings.alipay_root_cert_path is None):
        problems.append("ALIPAY_APP_CERT_PATH and ALIPAY_ROOT_CERT_PATH: are set together, or neither")
    if settings.webhook_url and not settings.webhook_secret:
        problems.append("WEBHOOK_SECRET: is required where WEBHOOK_URL is set")
    if settings.outbox_lease < 4 * settings.alipay_timeout:
        # A job calls the gateway at most twice and is ended after three quarters of its lease. So it is over before the
        # message is given to another job.
        problems.append("OUTBOX_LEASE: must be at least four times ALIPAY_TIMEOUT")
    if settings.outbox_lease < 2 * settings.webhook_timeout:
        # Or a job would be ended before its receiver must have answered.
        problems.append("OUTBOX_LEASE: must be at least twice WEBHOOK_TIMEOUT")
    problems += _mail_problems(settings)
    problems += _moderation_problems(settings)
    if settings.jwt_secret_key and len(settings.jwt_secret_key) < 32:
        problems.append("JWT_SECRET_KEY: must have at least 32 characters")
    return problems


def _moderation_problems(settings: Settings) -> list[str]:
    if settings.moderation_provider is ModerationProvider.NONE:
        return []
    keys = {"BAIDU_API_KEY": settings.baidu_api_key, "BAIDU_SECRET_KEY": settings.baidu_secret_key}
    return [f"{name}: is required where MODERATION_PROVIDER is baidu" for name, key in keys.items() if not key]


def _mail_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.mail_provider is MessageProvider.SMTP:
        problems += [
            f"{variable}: is required with MAIL_PROVIDER=smtp"
            for variable, value in (("SMTP_HOST", settings.smtp_host), ("MAIL_FROM", settings.mail_from))
            if not value
        ]
        if settings.outbox_lease < 8 * settings.smtp_timeout:
            # To send a mail is a handful of exchanges, and its job is ended after three quarters of the lease.
            problems.append("OUTBOX_LEASE: must be at least eight times SMTP_TIMEOUT")
        if settings.smtp_security is SmtpSecurity.NONE and settings.smtp_username:
            problems.append("SMTP_USERNAME: is refused with SMTP_SECURITY=none, which would send its password in clear")
    return problems


def settings_table() -> str:
    """The Markdown table of all settings that the README shows."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    rows += [
        f"| `{variable_of(each)}` | {_shown_default(each)} | {each.metadata['meaning']} |" for each in fields(Settings)
    ]
    return "\n".join(rows)


def _shown_default(each: Field[Any]) -> str:
    if each.metadata["secret"]:
        return "required in production"
    if each.name == "environment":
        return ""
    default = each.default
    assert default is not MISSING, each.name  # noqa: S101 - every setting is declared by _setting, which takes a default
    if isinstance(default, Path):
        default = default.relative_to(PROJECT_ROOT).as_posix()
    if each.metadata["under_instance"]:
        default = "INSTANCE_PATH" + default.removeprefix("instance")
    if isinstance(default, bool):
        default = int(default)
    return f"`{default}`" if default not in ("", (), None) else ""


if __name__ == "__main__":
    print(settings_table())  # noqa: T201 - this is what the command is for
