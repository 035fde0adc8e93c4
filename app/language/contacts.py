"""Finds ways to deal outside the platform: phone numbers, messenger ids, invitations to a messenger.

All patterns read the normal form (`app.language.normal_form`): full-width, traditional and styled characters are plain
there, and invisible ones are gone.
"""

import re
from collections.abc import Iterator
from typing import Final

from app.language.normal_form import normalise

_SPELLINGS: Final = ("〇零", "一壹幺", "二贰两", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
_DIGITS: Final = str.maketrans(
    {spelling: str(digit) for digit, spellings in enumerate(_SPELLINGS) for spelling in spellings}
)
_GAP: Final = r"(?:[^\w,:;/!?、。\n]|_){0,3}"
_PHONE: Final = re.compile(rf"(?<!\d)(?:\+?86{_GAP})?1{_GAP}[3-9](?:{_GAP}\d){{9}}(?!\d)")
# Of Hong Kong, Macau and Taiwan, with the code: without it eight digits are anything.
_PHONE_ELSEWHERE: Final = re.compile(
    rf"\+{_GAP}(?:85[23](?:{_GAP}\d){{8}}|886{_GAP}(?:0{_GAP})?9(?:{_GAP}\d){{8}})(?!\d)"
)
# A messenger's name, then only separators and words like "号/是/联系", then something that can be an id there.
_MESSENGER_ID: Final = re.compile(
    r"(?:微信|薇信|威信|徽信|v信|(?<![a-z0-9])(?:vx|wx|wechat|weixin|qq)|扣扣|企鹅号)"
    r"[\W_]{0,4}(?:(?:号码?|id|同号|账号|是|为|联系|搜索?)[\W_]{0,4}){0,3}"
    r"(?:(?<![a-z0-9])(?=[a-z_\-]*[0-9_])[a-z][a-z0-9_\-]{5,19}|\d{5,11})(?![a-z0-9])"
)


def contacts_in(plain: str) -> Iterator[tuple[int, str]]:
    """`(start, kind)` of each contact detail in a normalised text, written out (一三八…) or spaced, too."""
    digits = plain.translate(_DIGITS)
    for pattern in (_PHONE, _PHONE_ELSEWHERE):
        for match in pattern.finditer(digits):
            yield match.start(), "手机号码"
    for match in _MESSENGER_ID.finditer(plain):
        yield match.start(), "微信或 QQ 号"


# What names and profiles may not say, in normal form: there it is an invitation, even without an id. A word that ends
# in a Latin letter does not count inside of a longer one (加vip, V领), nor what is refused (不加微信) or joined (参加).
_INVITATIONS: Final = (
    *("加微信", "加薇", "加威信", "加徽信", "加v", "加v信", "加vx", "加wx", "加weixin", "加wechat"),
    *("加我v", "加我vx", "加我wx", "加我微", "加我薇", "加我qq", "加个微信", "加个v", "加个vx"),
    *("加q", "加qq", "加扣扣", "加企鹅", "加q群", "加qq群", "加群聊", "加电报", "进群领"),
    *("+v", "+v信", "+vx", "+wx", "+微信", "+q", "+qq"),
    *("微信号", "微信同号", "薇信号", "v信号", "vx号", "wx号", "qq号", "扣扣号", "企鹅号"),
    *("微信群", "qq群", "微信联系", "微信详聊", "微信交易", "vx联系", "vx详聊", "wx联系", "qq联系"),
    *("扫码加", "telegram", "whatsapp", "私下交易", "脱离平台", "不走平台"),
)


def _spaced(word: str) -> str:
    return r"[\W_]{0,3}".join(map(re.escape, word)) + (r"(?![a-z领版])" if word[-1].isascii() else "")


_INVITATION: Final = re.compile(
    r"(?<![不别勿参增更])(?:" + "|".join(map(_spaced, sorted(_INVITATIONS, key=len, reverse=True))) + ")"
)


def contact_in(text: str) -> str | None:
    """What kind of contact a name or profile gives, as users read it; None where it gives none."""
    plain = normalise(text).replace("\n", " ")
    found = sorted(contacts_in(plain))
    if found:
        return found[0][1]
    return "引导至站外联系" if _INVITATION.search(plain) else None
