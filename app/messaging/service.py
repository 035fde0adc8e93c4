"""Sends messages by the provider that the settings choose. Called by jobs, after a commit."""

import structlog

from app.messaging.base import Channel, Message, Provider, Undeliverable
from app.messaging.console import Console
from app.messaging.smtp import Smtp
from app.settings import settings
from config import MessageProvider

log = structlog.get_logger(__name__)


def send_message(channel: Channel, message: Message) -> None:
    """Hand a message to the channel's provider. Raises `Undelivered`, `Undeliverable`."""
    _provider(channel).send(message)
    log.info("message_sent", channel=channel.value)


def has_provider(channel: Channel) -> bool:
    """Whether anything carries the channel's messages. In production nothing does that is not chosen."""
    return _chosen(channel) is not None or not settings().is_production


def _chosen(channel: Channel) -> MessageProvider | None:
    return settings().mail_provider if channel is Channel.EMAIL else settings().sms_provider


def _provider(channel: Channel) -> Provider:
    chosen = _chosen(channel)
    if chosen is None:
        if not has_provider(channel):
            variable = "MAIL_PROVIDER" if channel is Channel.EMAIL else "SMS_PROVIDER"
            raise Undeliverable(
                f"no provider: {variable} is not set, and production writes no codes to its log unasked"
            )
        chosen = MessageProvider.CONSOLE
    if chosen is MessageProvider.CONSOLE:
        return Console()
    return Smtp(
        host=settings().smtp_host,
        port=settings().smtp_port,
        security=settings().smtp_security,
        username=settings().smtp_username,
        password=settings().smtp_password,
        sender=settings().mail_from,
        timeout=settings().smtp_timeout,
        ca_file=None if settings().smtp_ca_path is None else str(settings().smtp_ca_path),
    )
