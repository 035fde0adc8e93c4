"""Key files in every form that Alipay's tool and console give them: PEM, or base64 in one line, with or without a BOM.

Everything becomes PEM. What is none of these is refused with the setting and the file at fault.
"""

import base64
import binascii
import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509 import load_der_x509_certificate

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.+?)-----END \1-----", re.DOTALL)
_HEADER: Final = re.compile(r"^[A-Za-z0-9-]+:.*$", re.MULTILINE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_CERTIFICATE: Final = "CERTIFICATE"
# Notepad and the tool on Windows begin a text file with one of these.
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def read_key_file(path: Path) -> str:
    """The text in a key file, without a BOM. OSError where it cannot be read, ValueError where it is no text."""
    raw = path.read_bytes()
    mark, encoding = next((each for each in _BOMS if raw.startswith(each[0])), (b"", "utf-8"))
    raw = raw.removeprefix(mark)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("is no text: it wants a key as PEM or base64") from None


def private_key_pem(text: str) -> str:
    """Our private RSA key as PEM (PKCS #8); ValueError says what `text` is instead."""
    _, der = _der(text, wanted="the private RSA key of the application")
    try:
        # Whoever uses the key checks it once more; that takes a tenth of a second and is not done twice.
        key = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if _is_public(der):
            raise ValueError("is a public key, not the private RSA key of the application (应用私钥)") from error
        # PKCS #8 says it in the label, OpenSSL's older form in a header.
        if "ENCRYPTED" in text or isinstance(error, TypeError):
            raise ValueError("is protected by a password: save the RSA key without one") from error
        raise ValueError("is no private RSA key (PKCS #8 or PKCS #1)") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is no RSA key: Alipay signs with RSA2")  # noqa: TRY004 - a wrong file is a wrong value
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_key_pem(text: str) -> str:
    """A public RSA key, given as such or in a certificate (the first of a chain), as PEM; ValueError as above."""
    label, der = _der(text, wanted="the public RSA key of the gateway")
    try:
        key = load_der_x509_certificate(der).public_key() if label == _CERTIFICATE else _public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        if _is_private(der):
            raise ValueError("is a private key, not the public RSA key of the gateway (支付宝公钥)") from error
        raise ValueError("is neither a public RSA key nor a certificate") from error
    if not isinstance(key, RSAPublicKey):
        raise ValueError("is no RSA key: Alipay signs with RSA2")  # noqa: TRY004 - a wrong file is a wrong value
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def gateway_key_pem(text: str, *, private: str) -> str:
    """As `public_key_pem`, where `private` is the private key of the application: its own public key is refused.

    Alipay's console shows both public keys beside each other; with the wrong one every answer would count as forged.
    """
    key = public_key_pem(text)
    ours = load_pem_private_key(private_key_pem(private).encode(), password=None, unsafe_skip_rsa_key_validation=True)
    if key == ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode():
        raise ValueError("is the public key of the application (应用公钥), not that of the gateway (支付宝公钥)")
    return key


def _der(text: str, *, wanted: str) -> tuple[str, bytes]:
    """The label (empty for bare base64) and the bytes of the first PEM block, or of the whole text."""
    block = _BLOCK.search(text)
    label, body = (block[1], block[2]) if block else ("", text.removeprefix("\ufeff"))
    packed = "".join((_HEADER.sub("", body) if block else body).split())
    if not packed:
        raise ValueError(f"is empty: it wants {wanted}")
    if not _BASE64.fullmatch(packed):
        raise ValueError(f"is no RSA key: it wants {wanted}, as PEM or base64")
    try:
        return label, base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        raise ValueError(f"is no RSA key: it wants {wanted}, and its base64 is cut off") from None


def _public_key(der: bytes) -> object:
    try:
        return load_der_public_key(der)
    except ValueError:
        return load_der_x509_certificate(der).public_key()


def _is_public(der: bytes) -> bool:
    try:
        _public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _is_private(der: bytes) -> bool:
    try:
        load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
