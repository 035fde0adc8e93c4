"""A mail server of our own for tests: SMTP (RFC 5321) with STARTTLS and AUTH PLAIN, on a free port of this machine."""

import base64
import datetime as dt
import ipaddress
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CREDENTIALS = ("saltfish", "mail-secret-1")


@dataclass
class MailServer:
    """What it was sent, and how it behaves: what it answers to a step instead of taking it, whether at all."""

    certificate: Path
    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)  # by verb: EHLO, AUTH, MAIL, RCPT, DATA
    offers_tls: bool = True
    silent: bool = False


def make_certificate(folder: Path) -> Path:
    """A PEM file with a key and its self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "mail.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def running_mail_server(folder: Path) -> Iterator[MailServer]:
    """The server, until the block is left."""
    state = MailServer(make_certificate(folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state.certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            _Dialogue(state, context, self.request).run()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_arguments: Any) -> None:
            """Clients of these tests go away in the middle."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


class _Dialogue:
    def __init__(self, state: MailServer, context: ssl.SSLContext, connection: socket.socket) -> None:
        self._state, self._context, self._connection = state, context, connection
        self._encrypted = False

    def run(self) -> None:
        if self._state.silent:
            self._connection.recv(1)  # until the client has had enough
            return
        self._file = self._connection.makefile("rb")
        try:
            self._talk()
        finally:
            self._file.close()
            self._connection.close()

    def _talk(self) -> None:
        self._say("220 mail.test ESMTP")
        while line := self._file.readline():
            words = line.decode("ascii").split()
            verb = words[0].upper()
            self._state.log.append(f"{verb}{' encrypted' if self._encrypted else ''}")
            if verb in self._state.answers:
                self._say(self._state.answers[verb])
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._take(verb, words)

    def _take(self, verb: str, words: list[str]) -> None:
        if verb == "EHLO":
            offers = [
                "mail.test",
                *(["STARTTLS"] if self._state.offers_tls and not self._encrypted else []),
                "AUTH PLAIN",
            ]
            for number, offer in enumerate(offers):
                self._say(f"250{' ' if number == len(offers) - 1 else '-'}{offer}")
        elif verb == "STARTTLS":
            self._say("220 go on")
            self._file.close()
            self._connection = self._context.wrap_socket(self._connection, server_side=True)
            self._file = self._connection.makefile("rb")
            self._encrypted = True
        elif verb == "AUTH":
            given = base64.b64decode(words[2]).decode().split("\0")[1:]
            self._say("235 welcome" if tuple(given) == CREDENTIALS else "535 who?")
        elif verb == "DATA":
            self._say("354 go on")
            lines = []
            while (line := self._file.readline()) != b".\r\n":
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            self._state.mails.append(b"".join(lines))
            self._say("250 taken")
        else:
            self._say("250 well")

    def _say(self, line: str) -> None:
        self._connection.sendall(f"{line}\r\n".encode())
