"""Pictures that were uploaded by themselves, until a good or a refund request uses them.

Who uses one locks its row, and so does the sweep that collects those which nobody has used: one of them comes first,
and for the other the picture is used, or is not there.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from app.answers import Answer, Refused, field_errors
from app.goods.models import Good, Picture
from app.goods.picture_quota import subtract_usage
from app.goods.pictures import MAX_PICTURES


def check_count(*, ids: int, files: int, malformed: Answer) -> None:
    """Raise `malformed` where these are more pictures together than go with one good or request."""
    if ids + files > MAX_PICTURES:
        name = "pictures" if files else "picture_ids"
        raise Refused(malformed, data=field_errors(**{name: f"至多 {MAX_PICTURES} 张图片"}))


def claim_pictures(
    session: Session,
    ids: Sequence[int],
    *,
    user_id: int,
    malformed: Answer,
    present: Mapping[int, Picture] | None = None,
) -> list[Picture]:
    """The user's unused pictures of these ids, in this order, locked until the transaction ends.

    Those of `present` may be among them, which the good has already. Raises `malformed` with a reason for each that is
    used or not there: somebody else's is told as one that is not there.
    """
    present = present or {}
    wanted = [each for each in ids if each not in present]
    if not wanted:
        return [present[each] for each in ids]
    own = select(Picture).where(Picture.id.in_(wanted), Picture.uploader_id == user_id)
    # In one order, so that two that want the same wait for each other and not in a circle.
    locked = session.scalars(own.order_by(Picture.id).with_for_update().execution_options(populate_existing=True))
    unused = {picture.id: picture for picture in locked if picture.good_id is None and picture.used_at is None}
    missing = [each for each in wanted if each not in unused]
    if missing:
        used = _used(session, missing, user_id=user_id)
        reasons = [
            f"图片 {each} 已被使用,请重新上传" if each in used else f"图片 {each} 不存在或已过期,请重新上传"
            for each in missing
        ]
        raise Refused(malformed, data=field_errors(picture_ids=reasons))
    return [present.get(each) or unused[each] for each in ids]


def forget_unused(session: Session, *, user_id: int) -> None:
    """Delete what the user has uploaded for no good; the files go with the next sweep, but for those of evidence."""
    of_no_good = delete(Picture).where(Picture.uploader_id == user_id, Picture.good_id.is_(None))
    gone = session.execute(
        of_no_good.returning(Picture.size, Picture.counted), execution_options={"synchronize_session": False}
    ).all()
    subtract_usage(session, {user_id: sum(row.size for row in gone if row.counted)} if gone else {})


def _used(session: Session, ids: Sequence[int], *, user_id: int) -> set[int]:
    """Those of `ids` that are, or were, pictures of the user's goods or evidence."""
    own = select(Picture.id).outerjoin(Good, Good.id == Picture.good_id).where(Picture.id.in_(ids))
    return set(session.scalars(own.where(or_(Good.owner_id == user_id, Picture.uploader_id == user_id))))
