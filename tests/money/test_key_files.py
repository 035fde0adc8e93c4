"""Key files as Alipay's tool and console give them; what is none is refused by its setting and its name."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from app.money.gateways.alipay import AlipayGateway
from app.money.sandbox import keys, protocol
from config import Settings, SettingsError, load_settings
from tests.applications import running_app
from tests.money.test_alipay_gateway import PAID, fields_of, pay_url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    keys.create_keys(directory)
    return directory


@pytest.fixture(scope="module")
def ours(folder: Path) -> RSAPrivateKey:
    return keys.load_private_key(folder / keys.APP_PRIVATE)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> RSAPrivateKey:
    return keys.load_private_key(folder / keys.GATEWAY_PRIVATE)


def private_der(key: RSAPrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.DER, form, NoEncryption())


def public_der(key: RSAPrivateKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, form)


def public_pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate(key: RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "R1")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 7)
    span = built.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
    return span.sign(key, SHA256())


def in_forms(der: bytes, label: str) -> list[bytes]:
    """Bare base64 in one line, wrapped, with a line end; and PEM; each as editors on Windows save it, too."""
    line = base64.b64encode(der)
    wrapped = b"\n".join(line[start : start + 64] for start in range(0, len(line), 64))
    pem = f"-----BEGIN {label}-----\n".encode() + wrapped + f"\n-----END {label}-----\n".encode()
    one_line_pem = f"-----BEGIN {label}-----\n".encode() + line + f"\n-----END {label}-----".encode()
    forms = [line, line + b"\n", b"  " + line + b"\r\n\r\n", wrapped, line.rstrip(b"="), pem, one_line_pem]
    forms += [each.replace(b"\n", b"\r\n") for each in (wrapped, pem)]
    forms += [b"\xef\xbb\xbf" + each for each in (line, pem, pem.replace(b"\n", b"\r\n"))]
    return [*forms, ("\ufeff" + pem.decode()).encode("utf-16-le"), b"Bag Attributes\n  x: y\n" + pem]


def settings_with(folder: Path, tmp_path: Path, **files: bytes) -> Settings:
    settings = Settings(
        alipay_app_private_key_path=folder / keys.APP_PRIVATE, alipay_public_key_path=folder / keys.GATEWAY_PUBLIC
    )
    for setting, content in files.items():
        path = tmp_path / f"{setting}.txt"
        path.write_bytes(content)
        settings = replace(settings, **{setting: path})
    return settings


def works(settings: Settings, ours: RSAPrivateKey, theirs: RSAPrivateKey) -> None:
    """It signs with our key, and believes theirs."""
    gateway = AlipayGateway.from_settings(settings)
    protocol.read_request(fields_of(pay_url(gateway)), app_id=settings.alipay_app_id, app_key=ours.public_key())
    assert gateway.read_notification(protocol.signed_form(PAID, theirs)).amount_fen == 564250


def test_our_private_key_in_every_form(
    folder: Path, tmp_path: Path, ours: RSAPrivateKey, theirs: RSAPrivateKey
) -> None:
    forms = [
        *in_forms(private_der(ours), "PRIVATE KEY"),
        *in_forms(private_der(ours, PrivateFormat.TraditionalOpenSSL), "RSA PRIVATE KEY"),
    ]
    for content in forms:
        works(settings_with(folder, tmp_path, alipay_app_private_key_path=content), ours, theirs)


def test_the_gateways_public_key_in_every_form(
    folder: Path, tmp_path: Path, ours: RSAPrivateKey, theirs: RSAPrivateKey
) -> None:
    forms = [
        *in_forms(public_der(theirs), "PUBLIC KEY"),
        *in_forms(public_der(theirs, PublicFormat.PKCS1), "RSA PUBLIC KEY"),
        *in_forms(certificate(theirs).public_bytes(Encoding.DER), "CERTIFICATE"),
    ]
    for content in forms:
        works(settings_with(folder, tmp_path, alipay_public_key_path=content), ours, theirs)
        assert AlipayGateway.from_settings(settings_with(folder, tmp_path, alipay_previous_public_key_path=content))


def test_what_is_no_key_is_refused_by_setting_and_file(
    folder: Path, tmp_path: Path, ours: RSAPrivateKey, theirs: RSAPrivateKey
) -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    locked, locked_otherwise = (
        ours.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x"))
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
    )
    swapped = "is the public key of the application \\(应用公钥\\), not that of the gateway \\(支付宝公钥\\)"
    line = base64.b64encode(private_der(ours))
    broken: list[tuple[str, bytes, str]] = [
        ("alipay_app_private_key_path", b"", "is empty"),
        ("alipay_app_private_key_path", b"\xef\xbb\xbf\r\n", "is empty"),
        ("alipay_app_private_key_path", "应用私钥".encode(), "is no RSA key: it wants the private RSA key"),
        ("alipay_app_private_key_path", "应用私钥".encode("gbk"), "is no text"),
        ("alipay_app_private_key_path", private_der(ours), "is no text"),
        ("alipay_app_private_key_path", line[:-40], "is no private RSA key"),
        ("alipay_app_private_key_path", locked, "is protected by a password"),
        ("alipay_app_private_key_path", locked_otherwise, "is protected by a password"),
        ("alipay_public_key_path", public_pem(ours), swapped),
        ("alipay_previous_public_key_path", base64.b64encode(public_der(ours, PublicFormat.PKCS1)), swapped),
        ("alipay_app_private_key_path", base64.b64encode(public_der(ours)), "is a public key, not the private RSA key"),
        (
            "alipay_app_private_key_path",
            elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "is no RSA key: Alipay signs with RSA2",
        ),
        ("alipay_public_key_path", base64.b64encode(private_der(theirs)), "is a private key, not the public RSA key"),
        ("alipay_public_key_path", b"2021000000000001", "is neither a public RSA key nor a certificate"),
        ("alipay_previous_public_key_path", b"-----BEGIN PUBLIC KEY-----", "is no RSA key"),
    ]
    for setting, content, why in broken:
        settings = settings_with(folder, tmp_path, **{setting: content})
        where = f"{setting.upper()}: {tmp_path / f'{setting}.txt'} "
        with pytest.raises(ValueError, match=f"^{re.escape(where)}{why}") as refused:
            AlipayGateway.from_settings(settings)
        # Never the key itself.
        assert line[:20].decode() not in str(refused.value)


def test_a_wrong_key_fails_the_start_also_in_development(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "app_private.txt"
    path.write_text("none")
    changed = {**environment, "ALIPAY_APP_PRIVATE_KEY_PATH": str(path)}
    with (
        pytest.raises(SettingsError, match=f"ALIPAY_APP_PRIVATE_KEY_PATH: {path} is no private RSA key"),
        running_app(load_settings(changed)),
    ):
        pass
