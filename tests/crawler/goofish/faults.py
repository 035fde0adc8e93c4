"""What may go wrong, to be switched on for a keyword, an item or robots.txt."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self


class FaultKind(StrEnum):
    """The numbers group them: 1 tokens, 2 to 4 blocks, 5 JSONP, 6 pages, 8 gone, 9 to 11 transfers, 13 odd texts."""

    TOKEN_EXPIRED = "token_expired"  # 1
    TOKEN_ILLEGAL = "token_illegal"  # 1
    RISK = "risk"  # 2: as the site answers, two elements of `ret`
    RISK_AFTER_SUCCESS = "risk_after_success"  # 2: a whole page, and the second element says no
    LOGIN = "login"  # 3
    ILLEGAL_ACCESS = "illegal_access"  # 3
    UNKNOWN = "unknown"  # 3: a `ret` that nobody has seen
    LIMIT = "limit"  # 9: said by mtop
    PAGE = "page"  # 4: HTML with 200
    REDIRECT = "redirect"  # 4: to the login
    JSONP = "jsonp"  # 5
    COMPRESSED = "compressed"  # gzip, in chunks
    OVERLAP = "overlap"  # 6: a page begins with the last `rows` of the one before
    REPEAT = "repeat"  # 6: every page is the first one
    GONE = "gone"  # 8: an item that is no more
    EMPTY = "empty"  # 8: no row, though `hasItems` is true
    SCHEMA = "schema"  # `resultList` has another name
    STATUS = "status"  # 9
    DRIP = "drip"  # 10: a whole answer within `seconds`
    HANG = "hang"  # 10: no answer for `seconds`
    RESET = "reset"  # 10: half an answer, then RST
    CUT = "cut"  # 11: less than Content-Length
    DAMAGED = "damaged"  # 11: a whole answer that is half a JSON
    NULLS = "nulls"  # 11: null nodes in the first rows, see `spoil`
    HALF_EMOJI = "half_emoji"  # 13: the first row's title was cut within a character, see `HALF`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: on which pages (all: empty), and how many requests it spoils (None: every one)."""

    kind: FaultKind
    pages: tuple[int, ...] = ()
    times: int | None = None
    seconds: float = 0.0
    status: int = 503
    retry_after: str | None = None
    rows: int = 5

    def to_json(self) -> dict[str, Any]:
        """For the server's administration."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The opposite."""
        return cls(**{**fields, "kind": FaultKind(fields["kind"]), "pages": tuple(fields["pages"])})


class Robots(StrEnum):
    """How robots.txt is answered."""

    ALLOW = "allow"
    MISSING = "missing"  # 404, as an HTML page
    DISALLOW = "disallow"
    DELAY = "delay"  # Crawl-delay: 2
    UNAVAILABLE = "unavailable"  # 503
    PAGE = "page"  # 200, as an HTML page
    HANG = "hang"
    RESET = "reset"


RETS: Final[dict[FaultKind, tuple[str, ...]]] = {
    FaultKind.RISK: ("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试"),
    FaultKind.LOGIN: ("FAIL_SYS_SESSION_EXPIRED::Session过期",),
    FaultKind.ILLEGAL_ACCESS: ("FAIL_SYS_ILLEGAL_ACCESS::非法请求",),
    FaultKind.UNKNOWN: ("FAIL_SYS_HSF_ASYNC_TIMEOUT::抱歉,系统开小差了",),
    FaultKind.LIMIT: ("FAIL_SYS_TRAFFIC_LIMIT::限流了",),
    FaultKind.GONE: ("FAIL_BIZ_ITEM_DEL_NOT_FOUND::您要看的宝贝不存在或已被删除啦!",),
}
"""The texts of answers that refuse."""

HALF: Final = b"\\ud83d"
"""What is left of an emoji in the JSON of a title that JavaScript cut: no UTF-8 can hold it."""

SPOILT_AND_KEPT: Final[dict[str, tuple[str, ...]]] = {
    "want_count": ("item", "main", "exContent", "fishTags"),
    "area": ("item", "main", "exContent", "area"),
    "published_at": ("item", "main", "clickParam", "args", "publishTime"),
}
"""Null nodes, below a row's `data`, that cost a listing this one field."""

SPOILT_AND_LOST: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("item",),
    ("item", "main"),
    ("item", "main", "exContent"),
    ("item", "main", "exContent", "title"),
)
"""Null nodes without which a row is no listing."""


def spoil(rows: list[dict[str, Any]]) -> None:
    """Put null into the first rows of a page: first what is lost with it, then what is kept without."""
    for target, path in zip(rows, (*SPOILT_AND_LOST, *SPOILT_AND_KEPT.values()), strict=False):
        node = target
        for key in ("data", *path)[:-1]:
            node = node[key]
        node[("data", *path)[-1]] = None
