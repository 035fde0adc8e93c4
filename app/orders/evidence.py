"""Evidence: pictures attached to a refund request or a dispute, visible to both parties and staff only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.staff_reads import reads_as_staff
from app.answers import Answer, Refused
from app.db.transactions import row_or_none
from app.goods.pictures import PreparedPicture, Rendition, ThumbnailWidth, rendition_of
from app.goods.stored_pictures import store_pictures
from app.goods.unused_pictures import claim_pictures
from app.orders.models import EvidencePicture, Order
from app.staff_roles import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvidence:
    """Pictures that a party sends: the ids of those uploaded before, in their order, and then those sent with it."""

    picture_ids: Sequence[int] = ()
    pictures: Sequence[PreparedPicture] = ()


def add_evidence(
    session: Session,
    order: Order,
    evidence: NewEvidence,
    *,
    uploader_id: int,
    refund_request_id: int | None = None,
    dispute_id: int | None = None,
) -> None:
    """Attach `evidence` to the refund request or the dispute; files are written before the rows are committed.

    Raises as `app.goods.stored_pictures.store_pictures`, and MALFORMED as `app.goods.unused_pictures.claim_pictures`.
    """

    def add(**columns: Any) -> None:  # of several types
        session.add(
            EvidencePicture(
                order_id=order.id,
                refund_request_id=refund_request_id,
                dispute_id=dispute_id,
                uploader_id=uploader_id,
                created_at=order.updated_at,
                **columns,
            )
        )

    ids = evidence.picture_ids
    for uploaded in claim_pictures(session, ids, user_id=uploader_id, malformed=Answer.MALFORMED):
        add(
            sha256=uploaded.sha256,
            content_type=uploaded.content_type,
            size=uploaded.size,
            width=uploaded.width,
            height=uploaded.height,
        )
        # From now on it is counted as evidence.
        uploaded.used_at, uploaded.counted = order.updated_at, False
    for picture in evidence.pictures:
        add(
            sha256=picture.sha256,
            content_type=picture.content_type,
            size=len(picture.data),
            width=picture.width,
            height=picture.height,
        )
    session.flush()
    store_pictures(session, evidence.pictures, user_id=uploader_id)


def evidence_rendition(*, picture_id: int, reader_id: int | None, wanted: ThumbnailWidth | None) -> Rendition:
    """What to read from picture storage, for a party of the order or staff; None is who was granted a look.

    Raises NO_SUCH_PICTURE for all others.
    """
    row = row_or_none(
        select(
            EvidencePicture.sha256,
            EvidencePicture.content_type,
            EvidencePicture.width,
            EvidencePicture.height,
            Order.buyer_id,
            Order.seller_id,
        )
        .join(Order, Order.id == EvidencePicture.order_id)
        .where(EvidencePicture.id == picture_id)
    )
    if row is None:
        raise Refused(Answer.NO_SUCH_PICTURE)
    if (
        reader_id is not None
        and reader_id not in (row.buyer_id, row.seller_id)
        and not reads_as_staff(reader_id, permission=Permission.ORDERS, subject="evidence", subject_ids=[picture_id])
    ):
        raise Refused(Answer.NO_SUCH_PICTURE)
    return rendition_of(
        sha256=row.sha256, content_type=row.content_type, width=row.width, height=row.height, wanted=wanted
    )
