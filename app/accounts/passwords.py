"""Passwords: what may be one, and argon2id with OWASP's parameters.

The parameters are the first choice of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
"""

import secrets
import unicodedata
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from pydantic import BeforeValidator, Field, SecretStr

_SHORTEST, _LONGEST = 8, 64

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Verified when there is no user, so that a wrong name takes as long as a wrong password. Made when the module loads:
# made at first use, the first unknown name of each process would show.
_NOBODY = _hasher.hash(secrets.token_urlsafe(32))


def _normal(password: str) -> str:
    # Keyboards differ in how they compose; NIST SP 800-63B asks for NFKC or NFKD before hashing.
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """The argon2id hash to store for `password`."""
    return _hasher.hash(_normal(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the one behind `stored`. None (no such user) takes the same time and is never right."""
    try:
        _hasher.verify(_NOBODY if stored is None else stored, _normal(password))
    except VerifyMismatchError:
        return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether `stored` was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _parse_known(value: object) -> object:
    """A password as somebody types it to prove who they are: any text that could ever have been accepted."""
    if isinstance(value, str) and not (1 <= len(value) <= _LONGEST and value.isprintable()):
        raise ValueError(f"须为 1 至 {_LONGEST} 个可见字符")
    return value


def _parse_new(value: object) -> object:
    """A password that is being chosen: 8 to 64 characters, a letter and a digit among them.

    Other types pass on, for pydantic to refuse. Raises ValueError with the reason that the client reads.
    """
    if not isinstance(value, str):
        return value
    if not _SHORTEST <= len(value) <= _LONGEST:
        raise ValueError(f"须为 {_SHORTEST} 至 {_LONGEST} 个字符")
    if not value.isprintable():  # controls, lone surrogates, unassigned code points
        raise ValueError("含有不允许的字符")
    if not (any(map(str.isalpha, value)) and any(map(str.isdigit, value))):
        raise ValueError("须同时包含字母和数字")
    return value


def resembles(password: str, username: str) -> bool:
    """Whether `password` is the username, whatever the case."""
    return _normal(password).casefold() == _normal(username).casefold()


KnownPasswordIn = Annotated[SecretStr, Field(min_length=1, max_length=_LONGEST), BeforeValidator(_parse_known)]
"""A password that is checked against the stored one."""

NewPasswordIn = Annotated[SecretStr, Field(min_length=_SHORTEST, max_length=_LONGEST), BeforeValidator(_parse_new)]
"""A password that is being chosen."""
