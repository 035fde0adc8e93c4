"""Alipay's certificates (公钥证书): the serial numbers that requests name them by.

python-alipay-sdk computes the serial numbers with deprecated functions of pyOpenSSL. The rule here is that of Alipay's
own SDKs (AntCertificationUtil).
"""

import re
from hashlib import md5

from cryptography.x509 import Certificate, load_pem_x509_certificate

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# PKCS #1: Alipay's rule uses the root certificates signed with RSA, and ignores those with SM2 and ECDSA.
_RSA_SIGNATURES = "1.2.840.113549.1.1."


def serial(text: str) -> str:
    """app_cert_sn of the application's certificate, a PEM text; ValueError where there is none."""
    block = _BLOCK.search(text)
    if block is None:
        raise ValueError("the application's certificate is no PEM certificate")
    return _number(load_pem_x509_certificate(block[0].encode()))


def root_serial(text: str) -> str:
    """alipay_root_cert_sn of alipayRootCert.crt, a PEM text of several certificates; ValueError where there is none."""
    numbers = []
    for block in _BLOCK.findall(text):
        try:
            certificate = load_pem_x509_certificate(block.encode())
        except ValueError:
            # Alipay's file has an ECDSA root that strict parsers refuse; the rule ignores it anyway.
            continue
        if certificate.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES):
            numbers.append(_number(certificate))
    if not numbers:
        raise ValueError("Alipay's root certificates have none that is signed with RSA")
    return "_".join(numbers)


def _number(certificate: Certificate) -> str:
    named = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return md5(named.encode(), usedforsecurity=False).hexdigest()
