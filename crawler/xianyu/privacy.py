"""Hides how to reach a person in what sellers write: mobile numbers, WeChat and QQ ids, e-mail addresses.

Only the number, id or address becomes `HIDDEN`; the words around it stay. Who reads a feed must not learn it (PIPL
Art. 6: no more data than the purpose needs), and what things are worth does not depend on it. So in doubt a number of
eleven digits that a mobile may have is hidden, while names of models, sizes, EANs and prices stay as they are:

- A mobile number has eleven digits, the first two 13 to 19, perhaps after 86 or 0086. Digits may be full-width,
  circled, keycaps or Chinese (一三八…), and apart by blanks, dashes, dots or symbols: in groups of which the first has
  three digits at least (138 1234 5678), or one by one (1 3 8 …). So `13 128 256 512` are sizes of an iPhone 13, and
  the thirteen digits of an EAN are none.
- An id of WeChat or QQ stands behind the name of the messenger (微信, vx, V信, wx, 加v, ➕v, QQ, 扣扣 …). After a colon
  or 号 anything that can be an id is one; without, it needs a digit or `_` and must not begin like a product.

Landline numbers, addresses and names are not looked for.
"""

import re
from typing import Final

HIDDEN: Final = "[已隐去]"

# Each digit's forms that stand for it alone; styled letters of mathematics have all ten in a row.
_FORMS: Final = (
    "０⓪⓿",
    "１①➀❶➊⓵",
    "２②➁❷➋⓶",
    "３③➂❸➌⓷",
    "４④➃❹➍⓸",
    "５⑤➄❺➎⓹",
    "６⑥➅❻➏⓺",
    "７⑦➆❼➐⓻",
    "８⑧➇❽➑⓼",
    "９⑨➈❾➒⓽",
)
_CHINESE: Final = ("零〇", "一壹幺", "二贰两", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
_STYLED: Final = "𝟎𝟘𝟢𝟬𝟶"


def _digits(first: int, last: int, *, chinese: bool) -> str:
    """A character class of all ways to write the digits from `first` to `last`."""
    found = "".join(
        str(digit) + _FORMS[digit] + "".join(chr(ord(zero) + digit) for zero in _STYLED) + _CHINESE[digit] * chinese
        for digit in range(first, last + 1)
    )
    return f"[{found}]"


# What divides the groups of one number. Commas, signs of arithmetic and of money divide numbers.
_GAP: Final = r"(?:[^\w,，;；:：/／!！?？、。*×+＋~～%=<>|¥￥$]|_){1,3}"


def _mobile(*, chinese: bool) -> re.Pattern[str]:
    one, second, digit = (_digits(first, last, chinese=chinese) for first, last in ((1, 1), (3, 9), (0, 9)))
    country = rf"(?:(?:00)?86(?:{_GAP})?)?"
    in_groups = rf"{one}{second}{digit}(?:(?:{_GAP})?{digit}){{8}}(?!{digit})"
    one_by_one = rf"{one}{_GAP}{second}(?:{_GAP}{digit}){{9}}(?!(?:{_GAP})?{digit})"
    return re.compile(rf"(?<!{digit}){country}(?:{in_groups}|{one_by_one})[\ufe0f\u20e3]*")


_MOBILES: Final = (_mobile(chinese=False), _mobile(chinese=True))
_ANY_DIGIT: Final = _digits(0, 9, chinese=True)
# Starts with a class of characters, for which `re` looks much faster than for `_MOBILES`.
_MANY_DIGITS: Final = re.compile(rf"{_ANY_DIGIT}(?:(?:{_GAP})?{_ANY_DIGIT}){{10,}}[\ufe0f\u20e3]*")
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}\s?[@＠]\s?(?:[A-Za-z0-9-]{1,63}[.．]){1,4}[A-Za-z]{2,24}(?![A-Za-z0-9])", re.ASCII
)

_LATIN: Final = "A-Za-zＡ-Ｚａ-ｚ0-9０-９"
# Also this starts with a class: each branch first looks back at which of its characters it was.
_MESSENGER: Final = (
    r"[微薇威徽维绿扣企🐧加+＋➕vVｖＶwWｗＷqQｑＱ]"
    r"(?:(?<=[微薇威徽维])信|(?<=微)\s?[xX]|(?<=绿)泡泡|(?<=扣)扣|(?<=企)鹅号?|(?<=🐧)"
    r"|(?<=[加+＋➕])\s?[vVｖＶ微薇威]"
    rf"|(?<![{_LATIN}].)(?:(?<=[vVｖＶ])(?:信|[xXｘＸ]|(?=\s?[:：]))|(?<=[wWｗＷ])(?:[xXｘＸ]|(?i:echat|eixin))"
    r"|(?<=[qQｑＱ])[qQｑＱ]群?))"
)
# What may stand between the name and the id. A clause's end ends the search: what follows is about something else.
_APART: Final = r"(?:[^\w,，;；。.!！?？、/／\n]|_){0,3}"
_LINKS: Final = rf"{_APART}(?:(?:号码?|[iI][dD]|账号|帐号|是|为|我|联系|搜索?){_APART}){{0,3}}"
_PRODUCTS: Final = (
    r"(?i:iphone|ipad|ipod|imac|macbook|airpods|apple|huawei|xiaomi|redmi|oppo|vivo|oneplus|honor|samsung|galaxy|nokia"
    r"|sony|canon|nikon|fuji|leica|dji|gopro|switch|xbox|steam|kindle|thinkpad|intel|core|ryzen|amd|nvidia|rtx|gtx|ddr"
    r"|ssd|nvme|usb|type|win|android|ios)"
)
# An account's name as WeChat allows it: a letter, then 5 to 19 letters, digits, `_` and `-`.
_ACCOUNT: Final = rf"[A-Za-zＡ-Ｚａ-ｚ][{_LATIN}_-]{{5,19}}(?![{_LATIN}])"
_TOLD_ACCOUNT: Final = rf"(?:(?<=[:：号是为_])|(?<=[:：号是为_]\s)){_ACCOUNT}|(?<=id_)[A-Za-z0-9]{{4,}}"
_LIKELY_ACCOUNT: Final = rf"(?<![{_LATIN}])(?!{_PRODUCTS})(?=[A-Za-zＡ-Ｚａ-ｚ-]*[0-9０-９_]){_ACCOUNT}"
_PLAIN_DIGIT: Final = _digits(0, 9, chinese=False)
_NUMBER: Final = rf"{_PLAIN_DIGIT}(?:[ -]?{_PLAIN_DIGIT}){{4,10}}(?![{_LATIN}])(?!\s?(?:元|块|万|公里|千米|币|年|毫安))"
_ID: Final = re.compile(rf"(?P<kept>{_MESSENGER}{_LINKS})(?:{_NUMBER}|{_TOLD_ACCOUNT}|{_LIKELY_ACCOUNT})")


def hide_contacts(text: str) -> str:
    """`text` with each mobile number, messenger id and e-mail address replaced by `HIDDEN`.

    `"微信：abc_123，电话 138 1234 5678"` → `"微信：[已隐去]，电话 [已隐去]"`. Everything else stays as it is.
    """
    if "@" in text or "＠" in text:
        text = _EMAIL.sub(HIDDEN, text)
    return _ID.sub(_hide_id, _MANY_DIGITS.sub(_hide_mobiles, text))


def _hide_id(match: re.Match[str]) -> str:
    return match["kept"] + HIDDEN


def _hide_mobiles(match: re.Match[str]) -> str:
    digits = match[0]
    for mobile in _MOBILES:
        digits = mobile.sub(HIDDEN, digits)
    return digits
