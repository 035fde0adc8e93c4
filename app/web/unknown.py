"""Names that a request sent and nobody reads: refused, each with what was probably meant.

A parameter that is ignored is a filter that everybody believes in and that filters nothing. So whatever an operation
does not declare is a mistake of its caller, unless the contract says that it is not read.
"""

import difflib
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final

_NAMED: Final = 20
"""So many unknown names are told at most; a body may have thousands."""

_LONGEST: Final = 40
"""Of longer names nothing is guessed, and this much is told."""

_CHOICES: Final = 12
"""Where nothing is guessed, the known names are listed, if they are no more."""

_SUGGESTED: Final = 3
"""So many names are suggested at most."""

_SEPARATOR: Final = re.compile(r"[\W_]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# What names end with that need not.
_ENDING: Final = re.compile("_(?:id|no|name|num|number|info|url)$")


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
    """Which of the known names was probably meant, best first: the same words, another interface's, a slip, a part."""
    if len(name) > _LONGEST:
        return []
    plain = _plain(name)
    words = set(plain.split("_"))
    same = [choice for choice in choices if _squeezed(choice) == _squeezed(plain) or set(choice.split("_")) == words]
    if same:
        return same[:_SUGGESTED]
    stem = _ENDING.sub("", plain)
    words = set(stem.split("_"))
    elsewhere = (_ours().get(_squeezed(each), ()) for each in (plain, stem))
    return (
        next(filter(None, ([choice for choice in choices if choice in ours] for ours in elsewhere)), None)
        or difflib.get_close_matches(plain, choices, n=2, cutoff=0.72)
        or [choice for choice in choices if words.issubset(choice.split("_")) or words.issuperset(choice.split("_"))]
        or [choice for choice in choices if len(plain) > 3 and (choice.startswith(plain) or plain.startswith(choice))]
    )[:_SUGGESTED]


@cache
def _ours() -> dict[str, list[str]]:
    """What the names of `other_names.txt` are called here, by what is left of each without underscores."""
    ours: dict[str, list[str]] = {}
    for line in (files("app.web") / "other_names.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, others = line.partition(":")
            for other in others.split():
                ours.setdefault(_squeezed(other), []).append(name)
    return ours


def _plain(name: str) -> str:
    """`trackingNo`, `Tracking-No`, `tracking[no]` and `TRACKING_NO` as `tracking_no`."""
    return _SEPARATOR.sub("_", _HUMP.sub("_", name)).lower().strip("_")


def _squeezed(name: str) -> str:
    return name.replace("_", "")
