"""The two RSA key pairs of development: the application's and the gateway's."""

import os
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

APP_PRIVATE = "app_private.pem"
APP_PUBLIC = "app_public.pem"
GATEWAY_PRIVATE = "gateway_private.pem"
GATEWAY_PUBLIC = "gateway_public.pem"

_PAIRS = ((APP_PRIVATE, APP_PUBLIC), (GATEWAY_PRIVATE, GATEWAY_PUBLIC))


class KeyFileError(Exception):
    """A key file is missing, unreadable or does not fit its other half."""


def create_keys(directory: Path) -> None:
    """Write the four PEM files (RSA 2048; private ones readable by their owner only).

    Existing files are kept, so it may run at every start, and twice at the same time. Raises KeyFileError where a
    public key does not belong to its private key.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for private_name, public_name in _PAIRS:
        private_path, public_path = directory / private_name, directory / public_name
        if not private_path.exists():
            if public_path.exists():
                raise KeyFileError(f"{public_path} is there without its {private_name}")
            key = generate_private_key(public_exponent=65537, key_size=2048)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            _write_once(private_path, pem, mode=0o600)
        # Read back from the file, because another process may have written it first.
        public_pem = (
            load_private_key(private_path).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        _write_once(public_path, public_pem, mode=0o644)
        if public_path.read_bytes() != public_pem:
            raise KeyFileError(f"{public_path} is not the public half of {private_name}")


def load_private_key(path: Path) -> RSAPrivateKey:
    """The RSA private key in a PEM file; KeyFileError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyFileError(f"{path} is no readable private key: {error}") from error
    if not isinstance(key, RSAPrivateKey):
        raise KeyFileError(f"{path} is no RSA key")
    return key


def load_public_key(path: Path) -> RSAPublicKey:
    """The RSA public key in a PEM file; KeyFileError."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path} is no readable public key: {error}") from error
    if not isinstance(key, RSAPublicKey):
        raise KeyFileError(f"{path} is no RSA key")
    return key


def _write_once(path: Path, content: bytes, *, mode: int) -> None:
    """Create `path` completely or not at all; keep an existing file."""
    if path.exists():
        return
    # Written under a name of this process and then linked, so that a half-written file never has the real name.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
