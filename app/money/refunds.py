"""Money on its way back to a buyer: left by an order's step, sent to the gateway by a job."""

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.money.models import Payment, Refund, RefundState
from app.outbox import Topic, leave


def leave_refund(session: Session, *, order_id: int, reason: str) -> None:
    """Owe the buyer of `order_id` the whole payment, in the caller's transaction; a job sends it afterwards.

    `reason` is the event that sends the money back. Once per payment: the database refuses a second one.
    """
    payment = session.scalars(select(Payment).where(Payment.order_id == order_id)).one()
    statement = (
        insert(Refund)
        .values(
            payment_id=payment.id,
            request_no=f"{payment.out_trade_no}_R1",
            amount=payment.amount,
            reason=reason,
            state=RefundState.PENDING.value,
            attempts=0,
            created_at=utcnow(),
        )
        .returning(Refund.id)
    )
    leave(session, Topic.PAYMENT_REFUND, session.execute(statement).scalar_one())
