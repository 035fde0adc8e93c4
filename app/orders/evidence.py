"""Evidence: pictures attached to a refund request or a dispute, visible to both parties and staff only."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.staff_reads import reads_as_staff
from app.answers import Answer, Refused
from app.db.transactions import row_or_none
from app.goods.pictures import PreparedPicture, Rendition
from app.goods.stored_pictures import store_pictures
from app.orders.models import EvidencePicture, Order


def add_evidence(
    session: Session,
    order: Order,
    pictures: Sequence[PreparedPicture],
    *,
    uploader_id: int,
    refund_request_id: int | None = None,
    dispute_id: int | None = None,
) -> None:
    """Attach `pictures` to the refund request or the dispute; their files are written before the rows are committed.

    Raises as `app.goods.stored_pictures.store_pictures`.
    """
    for picture in pictures:
        session.add(
            EvidencePicture(
                order_id=order.id,
                refund_request_id=refund_request_id,
                dispute_id=dispute_id,
                uploader_id=uploader_id,
                sha256=picture.sha256,
                content_type=picture.content_type,
                size=len(picture.data),
                width=picture.width,
                height=picture.height,
                created_at=order.updated_at,
            )
        )
    session.flush()
    store_pictures(session, pictures, user_id=uploader_id)


def evidence_rendition(*, picture_id: int, user_id: int) -> Rendition:
    """What to read from picture storage, for a party of the order or staff. Raises NO_SUCH_PICTURE for all others."""
    row = row_or_none(
        select(EvidencePicture.sha256, EvidencePicture.content_type, Order.buyer_id, Order.seller_id)
        .join(Order, Order.id == EvidencePicture.order_id)
        .where(EvidencePicture.id == picture_id)
    )
    if row is None:
        raise Refused(Answer.NO_SUCH_PICTURE)
    if user_id not in (row.buyer_id, row.seller_id) and not reads_as_staff(
        user_id, subject="evidence", subject_ids=[picture_id]
    ):
        raise Refused(Answer.NO_SUCH_PICTURE)
    return Rendition(row.sha256, row.content_type, None)
