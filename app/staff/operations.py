"""What operators look at: the outbox with its dead letters, queues, sweeps; and replaying what was given up."""

from collections.abc import Collection
from typing import Any

import structlog
from rq import Queue, Worker
from rq.registry import FailedJobRegistry, StartedJobRegistry
from sqlalchemy import ColumnElement, Row, func, select

from app.accounts.staff_reads import record_staff_read
from app.clock import format_moment, format_moment_or_none
from app.db.transactions import reading, transaction
from app.extensions import valkey
from app.outbox.models import OutboxMessage
from app.outbox.service import backlog, relay_runs, replay, state_of
from app.periodic.queries import periodic_jobs, scheduler_leads
from app.staff.models import ActionKind, Subject
from app.staff.schemas import OperationsOut, OutboxMessageOut, OutboxQuery, QueueOut
from app.staff.service import check_staff, record_action
from app.staff_roles import Permission

log = structlog.get_logger(__name__)


def list_messages(*, actor_id: int, query: OutboxQuery) -> tuple[list[OutboxMessageOut], int]:
    """One page of messages, oldest first, and the total."""
    is_dead = OutboxMessage.dead_at.is_not(None)
    conditions: list[ColumnElement[bool]] = [
        {
            "dead": is_dead,
            "failing": ~is_dead & (OutboxMessage.attempts > 0) & OutboxMessage.last_error.is_not(None),
            "waiting": ~is_dead,
        }[query.state]
    ]
    if query.topic is not None:
        conditions.append(OutboxMessage.topic == query.topic)
    page = select(OutboxMessage.__table__).where(*conditions).order_by(OutboxMessage.id)
    with reading() as connection:
        total = connection.execute(select(func.count()).select_from(OutboxMessage).where(*conditions)).scalar_one()
        found = connection.execute(page.limit(query.size).offset(query.offset)).all()
    record_staff_read(actor_id, subject="outbox", subject_ids=[row.id for row in found])
    return [_message_out(row) for row in found], total


def _message_out(row: Row[Any]) -> OutboxMessageOut:
    return {
        "id": row.id,
        "topic": row.topic,
        "subject_id": row.subject_id,
        "stream": row.stream,
        "state": state_of(row),
        "attempts": row.attempts,
        "last_error": row.last_error,
        "due_at": format_moment(row.due_at),
        "dead_at": format_moment_or_none(row.dead_at),
        "created_at": format_moment(row.created_at),
    }


def replay_messages(*, actor_id: int, message_ids: Collection[int], reason: str) -> int:
    """Make these messages due now; dead ones begin anew. Returns how many: some may be done or gone meanwhile.

    Raises FORBIDDEN for an actor without the permission.
    """
    with transaction() as session:
        check_staff(session, actor_id, Permission.OPERATIONS)
        wanted = set(message_ids)
        done = sorted(wanted.difference(replay(session, wanted)))
        for message_id in done:
            record_action(
                session,
                ActionKind.REPLAY_MESSAGES,
                actor_id=actor_id,
                subject=Subject.OUTBOX,
                subject_id=message_id,
                reason=reason,
                details={},
            )
    log.info("outbox_replayed", actor_id=actor_id, message_ids=done)
    return len(done)


def operations() -> OperationsOut:
    """What works, and what waits for it. Raises `RedisError` where Valkey is away."""
    with transaction() as session:
        waiting = backlog(session)
    return {
        "relay": relay_runs(),
        "scheduler": scheduler_leads(),
        "backlog": [
            {
                "topic": each.topic,
                "waiting": each.waiting,
                "dead": each.dead,
                "oldest_at": format_moment_or_none(each.oldest_added_at),
            }
            for each in sorted(waiting, key=lambda each: each.topic)
        ],
        "queues": _queues(),
        "sweeps": [
            {
                "name": job.name,
                "every": job.every,
                "succeeded_at": format_moment_or_none(job.succeeded_at),
                "milliseconds": job.milliseconds,
                "failures": job.failures,
                "overdue": job.overdue,
            }
            for job in periodic_jobs()
        ],
    }


def _queues() -> list[QueueOut]:
    connection = valkey()
    return [
        {
            "name": queue.name,
            "waiting": queue.count,
            "running": StartedJobRegistry(queue=queue).get_job_count(cleanup=False),
            "failed": FailedJobRegistry(queue=queue).get_job_count(cleanup=False),
            "workers": Worker.count(queue=queue),
        }
        for queue in sorted(Queue.all(connection=connection), key=lambda queue: queue.name)
    ]
