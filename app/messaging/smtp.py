"""Mail by SMTP (RFC 5321), encrypted by STARTTLS (RFC 3207) or from the first byte (RFC 8314)."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from app.clock import utcnow
from app.messaging.base import Message, Undeliverable, Undelivered
from config import SmtpSecurity

# RFC 5321, section 4.2.1: 4xx is a passing refusal, 5xx a lasting one.
_LASTING = range(500, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """A mail server. `timeout` is seconds for each of its answers; by `ca_file` its certificate is checked."""

    host: str
    port: int
    security: SmtpSecurity
    username: str
    password: str
    sender: str
    timeout: int
    ca_file: str | None = None

    def send(self, message: Message) -> None:
        """As `Provider.send`."""
        try:
            mail = self._mail(message)
        except (ValueError, MessageError) as error:
            raise Undeliverable(type(error).__name__) from None  # no address, or one with a line break
        try:
            with self._connected() as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise (Undeliverable if all(code in _LASTING for code in codes) else Undelivered)(f"{codes}") from None
        except smtplib.SMTPResponseException as error:
            # Wrong credentials or a sender that is refused: an operator mends it, and the message may still be sent.
            raise Undelivered(f"{type(error).__name__} {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise Undelivered(type(error).__name__) from None

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A session with the server, encrypted and logged in as the settings say."""
        context = ssl.create_default_context(cafile=self.ca_file)
        server: smtplib.SMTP
        if self.security is SmtpSecurity.TLS:
            server = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        with server:
            if self.security is SmtpSecurity.STARTTLS:
                server.starttls(context=context)  # raises where the server offers none: nothing goes out in the clear
            if self.username:
                server.login(self.username, self.password)
            yield server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = Address(addr_spec=message.to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(utcnow())
        mail["Message-ID"] = make_msgid(domain=self.sender.rpartition("@")[2].rstrip(">"))
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail
