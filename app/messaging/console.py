"""The provider that only writes messages to the log: for development, where nobody has a mail server."""

import structlog

from app.messaging.base import Message

log = structlog.get_logger(__name__)


class Console:
    """Writes each message to the log, its text and therefore its code included."""

    def send(self, message: Message) -> None:
        """As `Provider.send`; always works."""
        log.warning("message_to_the_console", to=message.to, subject=message.subject, text=message.text)
