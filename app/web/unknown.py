"""Names that a request sent and nobody reads: refused, each with what was probably meant.

A parameter that is ignored is a filter that everybody believes in and that filters nothing. So whatever an operation
does not declare is a mistake of its caller, unless the contract says that it is not read.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

_NAMED: Final = 20
"""So many unknown names are told at most; a body may have thousands."""

_LONGEST: Final = 40
"""Of longer names nothing is guessed, and this much is told."""

_CHOICES: Final = 12
"""Where nothing is guessed, the known names are listed, if they are no more."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# What other interfaces call things that have another name here, by what is left of both without hyphens and capitals.
_ELSEWHERE: Final[Mapping[str, tuple[str, ...]]] = {
    "phone": ("mobile",),
    "tel": ("mobile",),
    "telephone": ("mobile",),
    "receiver": ("name",),
    "consignee": ("name",),
    "county": ("district",),
    "area": ("district",),
    "street": ("detail",),
    "address": ("detail", "address_id"),
    "desc": ("description",),
    "content": ("description", "text", "bio"),
    "name": ("title", "username"),
    "keyword": ("q",),
    "keywords": ("q",),
    "query": ("q",),
    "search": ("q",),
    "limit": ("size",),
    "per_page": ("size",),
    "page_size": ("size",),
    "page_num": ("page",),
    "page_no": ("page",),
    "order_by": ("sort",),
    "order": ("sort",),
    "sort_by": ("sort",),
    "shipping": ("freight",),
    "postage": ("freight",),
    "express": ("company",),
    "carrier": ("company",),
    "waybill_no": ("tracking_no",),
    "express_no": ("tracking_no",),
    "tracking_number": ("tracking_no",),
    "images": ("pictures", "picture_ids"),
    "photos": ("pictures", "picture_ids"),
    "pics": ("pictures", "picture_ids"),
    "status": ("good_status", "bill_status", "order_status", "state"),
    "captcha": ("captcha_code",),
    "verify_code": ("captcha_code", "code"),
    "email": ("address", "account"),
    "nickname": ("username",),
    "user": ("username",),
    "width": ("w",),
    "language": ("lang",),
}


def unknown_names(
    sent: Iterable[str | None], *, known: frozenset[str], ignored: Iterable[str] = (), what: str
) -> dict[str, list[str]]:
    """Why each of the names `sent` is refused that is neither `known` nor `ignored`; `what` is 参数 or 字段.

    None is the name of a part of a form that has none.
    """
    unknown = set(sent).difference(known, ignored)
    if not unknown:
        return {}
    choices = sorted(known)
    named = sorted(name for name in unknown if name is not None)[:_NAMED]
    return {name[:_LONGEST]: [_reason(name, choices, what)] for name in named} | (
        {"body": [f"有一个{what}没有名字"]} if None in unknown else {}
    )


def _reason(name: str, choices: list[str], what: str) -> str:
    meant = _meant(name, choices)
    if meant:
        return f"没有这个{what},是否想写 {' 或 '.join(meant)}?"
    if 0 < len(choices) <= _CHOICES:
        return f"没有这个{what};可用的有:{'、'.join(choices)}"
    return f"没有这个{what}"


def _meant(name: str, choices: list[str]) -> list[str]:
    """Which of the known names was probably meant, best first: the same words, another interface's, a slip."""
    if len(name) > _LONGEST:
        return []
    plain = _plain(name)
    words = set(plain.split("_"))
    same = [choice for choice in choices if set(choice.split("_")) == words]
    if same:
        return same
    elsewhere = [choice for choice in _ELSEWHERE.get(plain, ()) if choice in choices]
    near = difflib.get_close_matches(plain, choices, n=2, cutoff=0.72)
    begun = [choice for choice in choices if len(plain) > 3 and (choice.startswith(plain) or plain.startswith(choice))]
    return list(dict.fromkeys([*elsewhere, *near]))[:3] or begun[:3]


def _plain(name: str) -> str:
    """`trackingNo`, `Tracking-No` and `TRACKING_NO` as `tracking_no`."""
    return _HUMP.sub("_", name).replace("-", "_").replace(".", "_").lower().strip("_")
