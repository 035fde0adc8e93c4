"""Reads of the ways back into an account."""

from sqlalchemy import select

from app.db.transactions import rows
from app.messaging.base import Channel
from app.recovery.models import RecoveryChannel
from app.recovery.schemas import RecoveryChannelOut, RecoveryOut, channel_out


def channels_of(user_id: int) -> RecoveryOut:
    """The user's verified addresses, masked; None for a channel without one."""
    found: dict[str, RecoveryChannelOut] = {
        row.channel: channel_out(row)
        for row in rows(select(RecoveryChannel.__table__).where(RecoveryChannel.user_id == user_id))
    }
    return {"email": found.get(Channel.EMAIL), "mobile": found.get(Channel.MOBILE)}
