"""The faults that can be switched on for a keyword, an item or robots.txt."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self


class FaultKind(StrEnum):
    """What goes wrong in an answer."""

    # Tokens
    TOKEN_EXPIRED = "token_expired"
    TOKEN_ILLEGAL = "token_illegal"
    # Refusals
    RISK = "risk"  # risk control as the site answers it: two elements of `ret`
    RISK_AFTER_SUCCESS = "risk_after_success"  # a whole page, but the second element of `ret` refuses
    LOGIN = "login"
    ILLEGAL_ACCESS = "illegal_access"
    UNKNOWN = "unknown"  # a `ret` that the crawler does not know
    LIMIT = "limit"  # a rate limit, told by `ret`
    FLOW_LIMIT = "flow_limit"  # the same, in another word, and with the text of risk control
    RISK_LOGIN = "risk_login"  # what else is risk control, but it leads to a login
    # Faults of theirs that pass
    SERVICE_TIMEOUT = "service_timeout"
    HSF_TIMEOUT = "hsf_timeout"
    BUSY = "busy"
    TIMEOUT = "timeout"
    PAGE = "page"  # HTML with status 200
    REDIRECT = "redirect"  # to the login
    # Forms of the answer
    JSONP = "jsonp"
    COMPRESSED = "compressed"  # gzip, in chunks
    OVERLAP = "overlap"  # a page begins with the last `rows` rows of the one before
    REPEAT = "repeat"  # every page is the first one
    GONE = "gone"  # the item is deleted
    UNFILTERED = "unfiltered"  # the site does not heed the filters
    EMPTY = "empty"  # no rows, though `hasItems` is true
    NULL_ROWS = "null_rows"  # the same, as null
    PAST_THE_END = "past_the_end"  # a refusal to show pages so far behind
    NO_MATCH = "no_match"  # nothing found: the rows are recommendations
    SIMILAR = "similar"  # nothing found: the rows are those of a similar search
    OTHER_SEARCH = "other_search"  # the rows say that they were found with another keyword
    FOREIGN = "foreign"  # no row has an item: a vote, a list of searches
    SCHEMA = "schema"  # `resultList` has another name
    # Transfer
    STATUS = "status"  # the HTTP status `status`
    DRIP = "drip"  # a whole answer, spread over `seconds`
    HANG = "hang"  # no answer for `seconds`
    RESET = "reset"  # half an answer, then RST
    CUT = "cut"  # fewer bytes than Content-Length says
    DAMAGED = "damaged"  # a complete transfer of half a JSON text
    # Content
    NULLS = "nulls"  # null nodes in the first rows, see `put_nulls`
    HALF_EMOJI = "half_emoji"  # the first row's title was cut within a character, see `HALF`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault: the pages that have it (all if empty), and how many requests meet it (every one if None)."""

    kind: FaultKind
    pages: tuple[int, ...] = ()
    times: int | None = None
    seconds: float = 0.0
    status: int = 503
    retry_after: str | None = None
    rows: int = 5

    def to_json(self) -> dict[str, Any]:
        """For the server's control URL."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The fault that `to_json` described."""
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
    FaultKind.UNKNOWN: ("FAIL_BIZ_NOBODY_KNOWS::抱歉,系统开小差了",),
    FaultKind.LIMIT: ("FAIL_SYS_TRAFFIC_LIMIT::限流了",),
    FaultKind.FLOW_LIMIT: ("FAIL_SYS_FLOWLIMIT::哎哟喂,被挤爆啦,请稍后重试",),
    FaultKind.RISK_LOGIN: ("RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试",),
    FaultKind.SERVICE_TIMEOUT: ("FAIL_SYS_SERVICE_TIMEOUT::请求服务超时",),
    FaultKind.HSF_TIMEOUT: ("FAIL_SYS_HSF_ASYNC_TIMEOUT::抱歉,系统开小差了",),
    FaultKind.BUSY: ("SYSTEM_BUSY::系统繁忙",),
    FaultKind.TIMEOUT: ("TIMEOUT::接口超时",),
    FaultKind.PAST_THE_END: ("FAIL_BIZ_FORBIDDEN::||最大可查看页数或者每页最大可查看商品数超限",),
    FaultKind.GONE: ("FAIL_BIZ_ITEM_DEL_NOT_FOUND::您要看的宝贝不存在或已被删除啦!",),
}
"""`ret` in the answers that refuse."""

HALF: Final = b"\\ud83d"
"""Half an emoji, as in the JSON of a title that JavaScript has cut: it cannot be encoded in UTF-8."""

NULLS_KEPT: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("want_count", "condition", "brand", "coupon_off_fen", "free_shipping"): ("item", "main", "exContent", "fishTags"),
    ("area",): ("item", "main", "exContent", "area"),
    ("published_at",): ("item", "main", "clickParam", "args", "publishTime"),
}
"""Nodes, below a row's `data`, by the fields that a listing loses if they are null (if it has them from there)."""

NULLS_LOST: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("item",),
    ("item", "main"),
    ("item", "main", "exContent"),
    ("item", "main", "exContent", "title"),
)
"""Nodes, below a row's `data`, without which it is no listing."""


URLS: Final[dict[FaultKind, str]] = {
    FaultKind.RISK: "https://h5api.m.goofish.com:443//h5/{api}/1.0/_____tmd_____/punish?x5secdata=fake",
    FaultKind.RISK_LOGIN: "https://passport.goofish.com/mini_login.htm?appName=xianyu",
}
"""Where some of these answers lead to (`data.url`)."""

CARDS_WITHOUT_ITEM: Final[list[dict[str, Any]]] = [
    {
        "data": {
            "item": {
                "main": {
                    "clickParam": {"args": {}},
                    "exContent": {"list": ["大家都在搜"], "title": "大家都在搜"},
                    "targetUrl": "fleamarket://search",
                }
            },
            "template": {"name": "idlefish_search_card_category_select"},
        }
    },
    {"data": {"item": {}, "template": {"name": "idlefish_seafood_vote"}}},
]
"""Rows of a search that are no goods."""


def put_nulls(rows: list[dict[str, Any]]) -> None:
    """Put a null into each of the first rows of a page: first for `NULLS_LOST`, then for `NULLS_KEPT`."""
    for target, path in zip(rows, (*NULLS_LOST, *NULLS_KEPT.values()), strict=False):
        node = target
        for key in ("data", *path)[:-1]:
            node = node[key]
        node[("data", *path)[-1]] = None
