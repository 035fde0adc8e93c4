"""Records what reaches us as notifications of the gateway: signed ones whole, others short and few.

Anybody may send anything to the notification URL. What does not carry the gateway's signature is kept in
`_SHORT_FIELDS` and a digest only, `REFUSED_NOTIFICATIONS_KEPT` times in an hour from one network and `_KEPT_OF_ALL`
times from all; beyond that it is counted.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import transaction
from app.money.models import GatewayNotification, RefusedNotifications
from app.settings import settings

log = structlog.get_logger(__name__)

# How much of a signed notification is recorded. Alipay's have some thirty fields.
_WHOLE_FIELDS: Final = 60
_WHOLE_LENGTH: Final = 512

# What is recorded of one without a signature: what tells whose payment it claims to be about.
_SHORT_FIELDS: Final = (
    *("out_trade_no", "trade_no", "notify_id", "notify_type", "trade_status"),
    *("total_amount", "app_id", "seller_id", "sign_type"),
)
_SHORT_LENGTH: Final = 64

_KEPT_OF_ALL: Final = 2000
"""How many without a signature are recorded in an hour, from whatever networks."""

_HOUR: Final = timedelta(hours=1)
_COUNTS_KEPT: Final = timedelta(days=1)

_RECORD: Final = insert(Base.metadata.tables[GatewayNotification.__tablename__])
_new_count = upsert(RefusedNotifications)
_COUNT: Final = _new_count.on_conflict_do_update(
    index_elements=["origin", "hour"], set_={"refused": RefusedNotifications.refused + 1}
).returning(RefusedNotifications.refused)


def record_signed(session: Session, form: Mapping[str, str], *, refusal: str | None) -> None:
    """Record a notification that carries the gateway's signature; `refusal` says why it was not believed, if so."""
    fields = {
        _clean(name, _WHOLE_LENGTH): _clean(value, _WHOLE_LENGTH) for name, value in list(form.items())[:_WHOLE_FIELDS]
    }
    _record(session, fields, refusal=refusal)


def record_forged(session: Session, form: Mapping[str, str], *, origin: str, refusal: str) -> bool:
    """Record a notification that the gateway did not sign, from the network `origin`, and why it was refused.

    Returns False where there were too many in this hour: then it was only counted.
    """
    now = utcnow()
    hour = now.replace(minute=0, second=0, microsecond=0)
    count = session.execute(_COUNT, {"origin": origin, "hour": hour, "refused": 1}).scalar_one()
    limit = settings().refused_notifications_kept
    if count > limit or _recorded_since(session, now - _HOUR) >= _KEPT_OF_ALL:
        if count == limit + 1:
            log.warning("notifications_only_counted", origin=origin, kept=limit)
        return False
    fields = {name: _clean(form[name], _SHORT_LENGTH) for name in _SHORT_FIELDS if name in form}
    _record(session, fields, refusal=refusal, digest=_digest(form))
    return True


def purge_refused_notifications() -> int:
    """Delete refused notifications that are older than NOTIFICATION_RECORD_LIFETIME, and old counts of them.

    Returns how many notifications were deleted.
    """
    now = utcnow()
    lifetime = timedelta(seconds=settings().notification_record_lifetime)
    with transaction() as session:
        session.execute(delete(RefusedNotifications).where(RefusedNotifications.hour < now - _COUNTS_KEPT))
        statement = (
            delete(GatewayNotification)
            .where(GatewayNotification.refusal.is_not(None), GatewayNotification.received_at < now - lifetime)
            .returning(GatewayNotification.id)
        )
        return len(session.scalars(statement).all())


def _recorded_since(session: Session, moment: object) -> int:
    """How many refused notifications are recorded since then; counted up to `_KEPT_OF_ALL`."""
    some = (
        select(GatewayNotification.id)
        .where(GatewayNotification.refusal.is_not(None), GatewayNotification.received_at > moment)
        .limit(_KEPT_OF_ALL)
        .subquery()
    )
    return session.execute(select(func.count()).select_from(some)).scalar_one()


def _record(session: Session, fields: Mapping[str, str], *, refusal: str | None, digest: str | None = None) -> None:
    notification = {
        "out_trade_no": fields.get("out_trade_no", "")[:64],
        "trade_no": fields.get("trade_no", "")[:64],
        "fields": fields,
        "digest": digest,
        "refusal": refusal,
        "received_at": utcnow(),
    }
    session.execute(_RECORD, notification)


def _clean(text: str, length: int) -> str:
    """The first `length` characters, without those that PostgreSQL cannot store."""
    return str(text)[:length].replace("\x00", "")


def _digest(form: Mapping[str, str]) -> str:
    """The SHA-256 of all names and values in their order, so that a repeated one is recognised."""
    whole = hashlib.sha256()
    for part in (part for pair in form.items() for part in pair):
        sent = str(part).encode("utf-8", "surrogatepass")
        whole.update(len(sent).to_bytes(8) + sent)
    return whole.hexdigest()
