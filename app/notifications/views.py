"""The notifications' URLs."""

from app.answers import Answer
from app.notifications import queries, service
from app.notifications.schemas import NotificationPage, NotificationQuery, ReadIn, UnreadOut, notification_out
from app.paging import page_of
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("notifications", __name__, tag="通知", about="what a user was told")


@api.get(
    "/api/notifications/",
    auth=Auth.USER,
    query=NotificationQuery,
    out=NotificationPage,
    answer=Answer.NOTIFICATION_FOUND,
    empty=Answer.NO_NOTIFICATIONS,
)
def notifications(*, actor: Actor, query: NotificationQuery) -> NotificationPage:
    """What the caller was told, newest first.

    Steps of orders that somebody else made, reminders, payouts, messages of staff.
    """
    found, total, unread = queries.notifications(user_id=actor.id, query=query)
    return {**page_of([notification_out(row) for row in found], total=total, query=query), "unread": unread}


@api.get("/api/notifications/unread_count/", auth=Auth.USER, out=UnreadOut, answer=Answer.NOTIFICATION_FOUND)
def unread_count(*, actor: Actor) -> UnreadOut:
    """How many notifications the caller has not read."""
    return {"unread": queries.unread_count(user_id=actor.id)}


@api.post(
    "/api/notifications/read/",
    auth=Auth.USER,
    body=ReadIn,
    out=UnreadOut,
    answer=Answer.NOTIFICATION_READ,
    refuses=(Answer.NO_SUCH_NOTIFICATION,),
)
def mark_read(*, actor: Actor, body: ReadIn) -> UnreadOut:
    """Mark notifications as read: some of the caller's by `ids`, or `all`."""
    service.mark_read(user_id=actor.id, ids=body.ids)
    return {"unread": queries.unread_count(user_id=actor.id)}
