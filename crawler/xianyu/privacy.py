"""Hides contacts in what sellers write: mobile numbers, WeChat and QQ ids, e-mail addresses.

Only the number, id or address is replaced by `HIDDEN`; the words around it stay. A feed does not need contacts to tell
what things cost, so it must not hold them (PIPL Art. 6: no more data than the purpose needs). In case of doubt a
possible mobile number is hidden. Names of models, sizes, EANs and prices stay:

- A mobile number has eleven digits and begins with 13 to 19, perhaps after 86 or 0086. Its digits may be full-width,
  circled, keycaps or Chinese (一三八…). Blanks, dashes, dots or symbols may separate them: into groups, the first of at
  least three digits (138 1234 5678), or one by one (1 3 8 …). So `13 128 256 512` stays, as the sizes of an iPhone 13,
  and so do the thirteen digits of an EAN.
- A WeChat or QQ id follows the name of the messenger (微信, vx, V信, wx, 加v, ➕v, QQ, 扣扣 …). After a colon or 号 any
  text in the form of an id counts. Otherwise it must have a digit or `_`, and must not begin like a product's name.

Landline numbers, postal addresses and names are not looked for.
"""

import re
from typing import Final

HIDDEN: Final = "[已隐去]"

# Other characters for each digit. The styled digits of mathematics (`_STYLED`) are ten in a row, from each zero on.
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
    """A character class with every form of the digits from `first` to `last`."""
    found = "".join(
        str(digit) + _FORMS[digit] + "".join(chr(ord(zero) + digit) for zero in _STYLED) + _CHINESE[digit] * chinese
        for digit in range(first, last + 1)
    )
    return f"[{found}]"


# What may separate the digits of one number. Commas, arithmetic and currency signs separate different numbers.
_GAP: Final = r"(?:[^\w,，;；:：/／!！?？、。*×+＋~～%=<>|¥￥$]|_){1,3}"


def _mobile(*, chinese: bool) -> re.Pattern[str]:
    one, second, digit = (_digits(first, last, chinese=chinese) for first, last in ((1, 1), (3, 9), (0, 9)))
    country = rf"(?:(?:00)?86(?:{_GAP})?)?"
    in_groups = rf"{one}{second}{digit}(?:(?:{_GAP})?{digit}){{8}}(?!{digit})"
    one_by_one = rf"{one}{_GAP}{second}(?:{_GAP}{digit}){{9}}(?!(?:{_GAP})?{digit})"
    return re.compile(rf"(?<!{digit}){country}(?:{in_groups}|{one_by_one})[\ufe0f\u20e3]*")


_MOBILES: Final = (_mobile(chinese=False), _mobile(chinese=True))
_ANY_DIGIT: Final = _digits(0, 9, chinese=True)
# A cheap first search: it starts with a character class, which `re` finds much faster than `_MOBILES`.
_MANY_DIGITS: Final = re.compile(rf"{_ANY_DIGIT}(?:(?:{_GAP})?{_ANY_DIGIT}){{10,}}[\ufe0f\u20e3]*")
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}\s?[@＠]\s?(?:[A-Za-z0-9-]{1,63}[.．]){1,4}[A-Za-z]{2,24}(?![A-Za-z0-9])", re.ASCII
)

_LATIN: Final = "A-Za-zＡ-Ｚａ-ｚ0-9０-９"
# This starts with a character class too, for speed; each branch then looks back at the character that was found.
_MESSENGER: Final = (
    r"[微薇威徽维绿扣企🐧加+＋➕vVｖＶwWｗＷqQｑＱ]"
    r"(?:(?<=[微薇威徽维])信|(?<=微)\s?[xX]|(?<=绿)泡泡|(?<=扣)扣|(?<=企)鹅号?|(?<=🐧)"
    r"|(?<=[加+＋➕])\s?[vVｖＶ微薇威]"
    rf"|(?<![{_LATIN}].)(?:(?<=[vVｖＶ])(?:信|[xXｘＸ]|(?=\s?[:：]))|(?<=[wWｗＷ])(?:[xXｘＸ]|(?i:echat|eixin))"
    r"|(?<=[qQｑＱ])[qQｑＱ]群?))"
)
# What may stand between the messenger's name and the id. Not the end of a clause: what follows is about something else.
_SEPARATOR: Final = r"(?:[^\w,，;；。.!！?？、/／\n]|_){0,3}"
_CONNECTION: Final = rf"{_SEPARATOR}(?:(?:号码?|[iI][dD]|账号|帐号|是|为|我|联系|搜索?){_SEPARATOR}){{0,3}}"
_PRODUCT: Final = (
    r"(?i:iphone|ipad|ipod|imac|macbook|airpods|apple|huawei|xiaomi|redmi|oppo|vivo|oneplus|honor|samsung|galaxy|nokia"
    r"|sony|canon|nikon|fuji|leica|dji|gopro|switch|xbox|steam|kindle|thinkpad|intel|core|ryzen|amd|nvidia|rtx|gtx|ddr"
    r"|ssd|nvme|usb|type|win|android|ios)"
)
# A WeChat id: a letter, then 5 to 19 letters, digits, `_` and `-`.
_ACCOUNT: Final = rf"[A-Za-zＡ-Ｚａ-ｚ][{_LATIN}_-]{{5,19}}(?![{_LATIN}])"
_ANNOUNCED_ACCOUNT: Final = rf"(?:(?<=[:：号是为_])|(?<=[:：号是为_]\s)){_ACCOUNT}|(?<=id_)[A-Za-z0-9]{{4,}}"
_LIKELY_ACCOUNT: Final = rf"(?<![{_LATIN}])(?!{_PRODUCT})(?=[A-Za-zＡ-Ｚａ-ｚ-]*[0-9０-９_]){_ACCOUNT}"
_PLAIN_DIGIT: Final = _digits(0, 9, chinese=False)
_NUMERIC_ID: Final = (
    rf"{_PLAIN_DIGIT}(?:[ -]?{_PLAIN_DIGIT}){{4,10}}(?![{_LATIN}])(?!\s?(?:元|块|万|公里|千米|币|年|毫安))"
)
_ID: Final = re.compile(
    rf"(?P<before>{_MESSENGER}{_CONNECTION})(?:{_NUMERIC_ID}|{_ANNOUNCED_ACCOUNT}|{_LIKELY_ACCOUNT})"
)


def hide_contacts(text: str) -> str:
    """`text` with each mobile number, messenger id and e-mail address replaced by `HIDDEN`.

    `"微信：abc_123，电话 138 1234 5678"` → `"微信：[已隐去]，电话 [已隐去]"`. Everything else stays as it is.
    """
    if "@" in text or "＠" in text:
        text = _EMAIL.sub(HIDDEN, text)
    return _ID.sub(_hide_id, _MANY_DIGITS.sub(_hide_mobiles, text))


def _hide_id(match: re.Match[str]) -> str:
    return match["before"] + HIDDEN


def _hide_mobiles(match: re.Match[str]) -> str:
    digits = match[0]
    for mobile in _MOBILES:
        digits = mobile.sub(HIDDEN, digits)
    return digits
