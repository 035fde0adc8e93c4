"""Passwords: which are accepted, and their argon2id hashes.

The parameters are those that OWASP's Password Storage Cheat Sheet names first: 19 MiB, two iterations, one thread.
"""

import secrets
import unicodedata
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from pydantic import BeforeValidator, Field, SecretStr

_SHORTEST, _LONGEST = 8, 64

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Verified when there is no such user, so that a wrong name takes as long as a wrong password. It is made at import: if
# it were made at first use, the first unknown name of each process would take measurably longer.
_DUMMY_HASH = _hasher.hash(secrets.token_urlsafe(32))


def _normal(password: str) -> str:
    # Devices encode the same character differently; NIST SP 800-63B asks for NFKC or NFKD before hashing.
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """The argon2id hash to store for `password`."""
    return _hasher.hash(_normal(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether `stored` is a hash of `password`. None (no such user) takes the same time and is False."""
    try:
        _hasher.verify(_DUMMY_HASH if stored is None else stored, _normal(password))
    except VerifyMismatchError:
        return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether `stored` was made with other parameters than the present ones."""
    return _hasher.check_needs_rehash(stored)


def _parse_known(value: object) -> object:
    """A password that is compared with the stored one: any text that can ever have been accepted as a new one."""
    if isinstance(value, str) and not (1 <= len(value) <= _LONGEST and value.isprintable()):
        raise ValueError(f"须为 1 至 {_LONGEST} 个可见字符")
    return value


def _parse_new(value: object) -> object:
    """A new password: 8 to 64 characters, a letter and a digit among them.

    Values of other types are returned, for pydantic to refuse. Raises ValueError with the reason that the client reads.
    """
    if not isinstance(value, str):
        return value
    if not _SHORTEST <= len(value) <= _LONGEST:
        raise ValueError(f"须为 {_SHORTEST} 至 {_LONGEST} 个字符")
    if not value.isprintable():  # control characters, lone surrogates, unassigned code points
        raise ValueError("含有不允许的字符")
    if not (any(map(str.isalpha, value)) and any(map(str.isdigit, value))):
        raise ValueError("须同时包含字母和数字")
    return value


def resembles(password: str, username: str) -> bool:
    """Whether `password` is the username, ignoring case."""
    return _normal(password).casefold() == _normal(username).casefold()


KnownPasswordIn = Annotated[SecretStr, Field(min_length=1, max_length=_LONGEST), BeforeValidator(_parse_known)]
"""A password that is checked against the stored one."""

NewPasswordIn = Annotated[SecretStr, Field(min_length=_SHORTEST, max_length=_LONGEST), BeforeValidator(_parse_new)]
"""A new password."""
