"""Mail over a real connection to a mail server, and which provider sends what."""

import email
import email.policy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask

from app.messaging.base import Channel, Message, Undeliverable, Undelivered
from app.messaging.service import send_message
from config import Environment, MessageProvider, SettingsError, SmtpSecurity, load_settings
from tests.messaging.mail_server import CREDENTIALS, MailServer, running_mail_server
from tests.settings import settings_with

MESSAGE = Message(to="xiaoming@example.com", subject="重置您的密码", text="验证码 12345678。\n.开头的点")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with running_mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def server(shared: MailServer) -> MailServer:
    shared.mails.clear()
    shared.log.clear()
    shared.answers.clear()
    shared.offers_tls, shared.silent = True, False
    return shared


def smtp(server: MailServer, **changes: Any) -> dict[str, Any]:
    return {
        "mail_provider": MessageProvider.SMTP,
        "mail_from": "咸鱼 <no-reply@saltfish.example>",
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_security": SmtpSecurity.STARTTLS,
        "smtp_username": CREDENTIALS[0],
        "smtp_password": CREDENTIALS[1],
        "smtp_ca_path": server.certificate,
        "smtp_timeout": 5,
        **changes,
    }


def send(app: Flask, channel: Channel = Channel.EMAIL) -> None:
    with app.app_context():
        send_message(channel, MESSAGE)


def test_a_mail_is_sent_encrypted_and_logged_in(app: Flask, server: MailServer) -> None:
    with settings_with(app, **smtp(server)):
        send(app)
    [raw] = server.mails
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert (mail["To"], mail["Subject"]) == ("xiaoming@example.com", "重置您的密码")
    assert mail["From"] == "咸鱼 <no-reply@saltfish.example>"
    assert mail.get_content().replace("\r\n", "\n") == "验证码 12345678。\n.开头的点\n"
    assert mail["Message-ID"].endswith("@saltfish.example>")
    encrypted = [f"{verb} encrypted" for verb in ("EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT")]
    assert server.log == ["EHLO", "STARTTLS", *encrypted]


def test_a_mail_is_sent_in_clear_only_where_that_is_chosen(app: Flask, server: MailServer) -> None:
    server.offers_tls = False
    with settings_with(app, **smtp(server)), pytest.raises(Undelivered, match="SMTPNotSupportedError"):
        send(app)
    assert server.log == ["EHLO", "QUIT"]
    with settings_with(app, **smtp(server, smtp_security=SmtpSecurity.NONE, smtp_username="")):
        send(app)
    assert len(server.mails) == 1


def test_a_server_with_another_certificate_gets_nothing(app: Flask, server: MailServer) -> None:
    with settings_with(app, **smtp(server, smtp_ca_path=None)), pytest.raises(Undelivered, match="SSL"):
        send(app)
    assert server.log == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize(
    ("verb", "answer", "error", "told"),
    [
        ("AUTH", "535 5.7.8 who?", Undelivered, "SMTPAuthenticationError 535"),
        ("AUTH", "454 4.7.0 later", Undelivered, "SMTPAuthenticationError 454"),
        ("MAIL", "451 4.3.0 later", Undelivered, "SMTPSenderRefused 451"),
        ("RCPT", "450 4.2.0 later", Undelivered, "[450]"),
        ("RCPT", "550 5.1.1 nobody", Undeliverable, "[550]"),
        ("DATA", "554 5.6.0 no", Undelivered, "SMTPDataError 554"),
    ],
)
def test_refusals_of_the_server(
    app: Flask, server: MailServer, verb: str, answer: str, error: type[Exception], told: str
) -> None:
    server.answers[verb] = answer
    with settings_with(app, **smtp(server)), pytest.raises(error) as raised:
        send(app)
    assert str(raised.value) == told  # no reader, no word of the mail
    assert server.mails == []


def test_a_server_that_says_nothing_is_given_up(app: Flask, server: MailServer) -> None:
    server.silent = True
    started = time.monotonic()
    with settings_with(app, **smtp(server, smtp_timeout=1)), pytest.raises(Undelivered, match="SMTPServerDisconnected"):
        send(app)
    assert time.monotonic() - started < 4


def test_a_server_that_is_away(app: Flask, server: MailServer) -> None:
    with settings_with(app, **smtp(server, smtp_port=1)), pytest.raises(Undelivered, match="ConnectionRefusedError"):
        send(app)


@pytest.mark.parametrize("channel", list(Channel))
def test_development_writes_messages_to_its_log(app: Flask, channel: Channel) -> None:
    with structlog.testing.capture_logs() as lines:
        send(app, channel)
    [line] = [each for each in lines if each["event"] == "message_to_the_console"]
    assert (line["to"], line["text"]) == (MESSAGE.to, MESSAGE.text)


@pytest.mark.parametrize(("channel", "variable"), [(Channel.EMAIL, "MAIL_PROVIDER"), (Channel.MOBILE, "SMS_PROVIDER")])
def test_production_sends_by_nothing_that_was_not_chosen(app: Flask, channel: Channel, variable: str) -> None:
    with settings_with(app, environment=Environment.PRODUCTION), structlog.testing.capture_logs() as lines:
        with pytest.raises(Undeliverable, match=f"{variable} is not set"):
            send(app, channel)
        assert lines == []
    chosen = {"mail_provider": MessageProvider.CONSOLE, "sms_provider": MessageProvider.CONSOLE}
    with settings_with(app, environment=Environment.PRODUCTION, **chosen):
        send(app, channel)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"MAIL_PROVIDER": "pigeon"}, "MAIL_PROVIDER: must be one of console, smtp, not 'pigeon'"),
        ({"SMS_PROVIDER": "smtp"}, "SMS_PROVIDER: must be console, not 'smtp'"),
        ({"SMTP_SECURITY": "yes"}, "SMTP_SECURITY: must be one of none, starttls, tls, not 'yes'"),
        ({"MAIL_PROVIDER": "smtp", "MAIL_FROM": "a@b.example"}, "SMTP_HOST: is required with MAIL_PROVIDER=smtp"),
        ({"MAIL_PROVIDER": "smtp", "SMTP_HOST": "mail"}, "MAIL_FROM: is required with MAIL_PROVIDER=smtp"),
        (
            {
                "MAIL_PROVIDER": "smtp",
                "SMTP_HOST": "mail",
                "MAIL_FROM": "a@b.example",
                "SMTP_SECURITY": "none",
                "SMTP_USERNAME": "me",
            },
            "SMTP_USERNAME: is refused with SMTP_SECURITY=none",
        ),
        (
            {"MAIL_PROVIDER": "smtp", "SMTP_HOST": "mail", "MAIL_FROM": "a@b.example", "SMTP_TIMEOUT": "60"},
            "OUTBOX_LEASE: must be at least eight times SMTP_TIMEOUT",
        ),
    ],
)
def test_settings_that_send_no_mail(environment: dict[str, str], variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings({**environment, **variables})
    assert [each.startswith(problem) for each in raised.value.problems] == [True]


def test_the_certificate_is_a_file(environment: dict[str, str]) -> None:
    assert load_settings({**environment, "SMTP_CA_PATH": "/etc/mail.pem"}).smtp_ca_path == Path("/etc/mail.pem")
