"""Addresses of people and of their money: e-mail, and what an account at Alipay is called by."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from app.fields.characters import plain
from app.fields.phones import read_phone

# What can be one of RFC 5321's addresses and is anybody's in practice: no quotes, no comments, no address literals.
# Before the @ a dot-atom (RFC 5322, section 3.2.3), after it labels of host names (RFC 1123, section 2.1).
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL: Final = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[A-Za-z]){_LABEL}")
_MAILTO: Final = re.compile("^mailto:", re.IGNORECASE)
LONGEST_EMAIL: Final = 254
"""Characters of an e-mail address (RFC 5321, section 4.5.3.1.3, less the brackets)."""

# Alipay takes fewer characters, and fewer of them.
_ALIPAY_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}")
_LONGEST_ALIPAY: Final = 100


def read_email(value: object, *, longest: int = LONGEST_EMAIL) -> str:
    """An e-mail address with its domain in small letters; before the @ capitals stay, as they may mean something there.

    Blanks beside the @, full-width characters and the full stop of a Chinese keyboard are read as what they stand for.
    Raises ValueError with what is expected.
    """
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    text = plain(value).replace("。", ".") if len(value) <= 2 * longest else ""
    local, at, domain = re.sub(" ?@ ?", "@", _MAILTO.sub("", text)).partition("@")
    # Small letters of others can be ASCII: the sign of Kelvin is k.
    address = f"{local}{at}{domain.lower()}" if domain.isascii() else ""
    if len(address) > longest or not _EMAIL.fullmatch(address):
        raise ValueError("须为邮箱地址,如 name@example.com")
    return address


def _read_alipay_account(value: object) -> str:
    """What somebody logs in to Alipay with: an e-mail address or a mobile number of the mainland."""
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    try:
        account = read_email(value, longest=_LONGEST_ALIPAY) if "@" in plain(value) else read_phone(value)
    except ValueError:
        account = ""
    if not re.fullmatch("1[0-9]{10}", account) and not _ALIPAY_EMAIL.fullmatch(account):
        raise ValueError("须为支付宝账号:手机号码(如 13800138000)或邮箱")
    return account


AlipayAccountIn = Annotated[
    str,
    BeforeValidator(_read_alipay_account),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 5,
            "maxLength": _LONGEST_ALIPAY,
            "examples": ["13800138000"],
            "description": "an e-mail address or a mobile number of the mainland",
        }
    ),
]
"""The name of an account at Alipay from a client."""
