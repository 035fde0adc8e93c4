"""The outbox with its dead letters, queues and sweeps."""

from flask import Response

from app.office.views.pages import done, office, show
from app.office.views.texts import TOPIC_TEXT
from app.paging import page_of
from app.staff import operations as service
from app.staff.schemas import OutboxQuery, ReplayIn
from app.staff.sessions import Member
from app.staff_roles import Permission


@office.page("/outbox/", title="消息与死信", permission=Permission.OPERATIONS, query=OutboxQuery)
def outbox(*, member: Member, query: OutboxQuery) -> Response:
    """Work that was given up, or waits."""
    items, total = service.list_messages(actor_id=member.id, query=query)
    return show("outbox.html", page=page_of(items, total=total, query=query), query=query, topics=TOPIC_TEXT)


@office.form("/outbox/replay/", title="重放消息", permission=Permission.OPERATIONS, body=ReplayIn)
def replay(*, member: Member, body: ReplayIn) -> Response:
    """Deliver them again."""
    count = service.replay_messages(actor_id=member.id, message_ids=body.message_ids, reason=body.reason)
    return done(f"{count} 条消息已重放", to="/admin/outbox/")


@office.page("/operations/", title="任务与队列", permission=Permission.OPERATIONS)
def show_operations(*, member: Member) -> Response:
    """What works, and what waits for it."""
    return show("operations.html", operations=service.operations(), topics=TOPIC_TEXT)
