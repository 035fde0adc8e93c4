"""Cards that must not be shown: identity cards by number and checksum, bank cards by checksum, both by their words."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from app.moderation.verdicts import Category, Decision, Hit

# GB 11643-1999: six digits of the region, eight of the birthday, three of order, a check digit by ISO 7064 MOD 11-2.
_IDENTITY: Final = re.compile(r"(?<![0-9])[1-9][0-9]{5}(?:18|19|20)[0-9]{2}[01][0-9][0-3][0-9][0-9]{3}[0-9Xx](?![0-9])")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS: Final = "10X98765432"

# ISO/IEC 7812: 16 to 19 digits, the last one by Luhn; 62 is UnionPay, 4 Visa, 51 to 55 Mastercard, 35 JCB.
_BANK: Final = re.compile(r"(?<![0-9])(?:62[0-9]{14,17}|4[0-9]{15}|5[1-5][0-9]{14}|35[0-9]{14})(?![0-9])")
_BANK_WORDS: Final = re.compile(r"银行|银联|借记卡|储蓄卡|信用卡|UnionPay|VISA|MasterCard|VALID ?THRU|GOOD ?THRU", re.I)
_OFFICIAL: Final = re.compile(
    r"中华人民共和国.{0,2}(?:居民身份证|机动车驾驶证|机动车行驶证|护照|往来港澳通行证)|公民身份号码|居民身份证"
)
# ICAO 9303: the lines for machines at the foot of passports and permits, filled up with <.
_FOR_MACHINES: Final = re.compile(r"^(?=.*<<)[A-Z0-9<]{30,44}$", re.M)
_BLANKS: Final = re.compile(r"(?<=[0-9])[ \-·.]{1,2}(?=[0-9Xx])")


def card_hits(text: str) -> Iterator[Hit]:
    """The cards whose words or numbers are in `text`, one line for each that was read; people look at them."""
    compact = _BLANKS.sub("", text)
    if _OFFICIAL.search(compact) or _FOR_MACHINES.search(compact.replace(" ", "")):
        yield _hit("personal_data.document", "图片疑似包含身份证件,请遮挡个人信息")
    elif any(is_identity_number(found) for found in _IDENTITY.findall(compact)):
        yield _hit("personal_data.identity_number", "图片疑似包含身份证号码,请遮挡个人信息")
    numbers = [found for found in _BANK.findall(compact) if passes_luhn(found)]
    # One in ten numbers passes by chance, those of orders and parcels too. A card has its number in groups, or words.
    grouped = any(re.search(rf"{found[:4]}[ ]{found[4:8]}[ ]", text) for found in numbers)
    if numbers and (grouped or _BANK_WORDS.search(text)):
        yield _hit("personal_data.bank_card", "图片疑似包含银行卡,请遮挡个人信息")


def is_identity_number(number: str) -> bool:
    """Whether the 18 characters are the number of an identity card: a birthday that has been, and the check digit."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    expected = _CHECK_DIGITS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=False)) % 11]
    return born.year >= 1900 and number[-1].upper() == expected


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, Annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _hit(code: str, reason: str) -> Hit:
    return Hit(Category.PERSONAL_DATA, code, reason, Decision.REVIEW, confidence=0.9)
