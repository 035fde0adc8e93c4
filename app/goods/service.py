"""What owners do with their goods, one function per verb, each one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import IO, Literal, cast

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from app.accounts.suspensions import lock_user, refuse_suspended
from app.answers import Answer, Refused, field_errors
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.goods.models import Good, GoodRevision, Picture, RevisionState, TakedownCause
from app.goods.pictures import MAX_PICTURES, PreparedPicture
from app.goods.queries import edited_good_in, good_in, picture_out
from app.goods.revisions import (
    AT_ONCE,
    Form,
    change_at_once,
    edit_of,
    form_of,
    form_of_edit,
    keep_revision,
    next_number,
    price_needs_no_look,
    set_edit_aside,
    show_pictures,
    supersede,
)
from app.goods.schemas import GoodChanges, GoodFields, GoodOut, GoodRefusalDetails, PictureOut
from app.goods.stored_pictures import store_pictures
from app.goods.unused_pictures import check_count, claim_pictures
from app.goods.uploads import prepare_uploads
from app.orders.models import Order
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.settings import settings
from statemachine import (
    GOOD,
    GoodEvent,
    GoodFacts,
    GoodRole,
    GoodStatus,
    TradeMode,
    TransitionRefused,
    good_flow,
)


def upload_picture(*, user_id: int, upload: IO[bytes]) -> PictureOut:
    """Store one picture for a good or a refund request to come; unused it is deleted after UNUSED_PICTURE_LIFETIME.

    Raises MALFORMED saying why it is refused, NO_SUCH_USER, ACCOUNT_SUSPENDED; also as
    `app.goods.uploads.prepare_uploads`.
    """
    prepared = prepare_uploads([upload], user_id=user_id, malformed=Answer.MALFORMED, alone=True)
    with transaction() as session:
        refuse_suspended(lock_user(session, user_id))
        (picture,) = _rows(None, prepared, now=utcnow())
        picture.uploader_id = user_id
        session.add(picture)
        session.flush()
        store_pictures(session, prepared, user_id=user_id)
        return picture_out(picture.id, picture.width, picture.height, public=False)


def release_good(
    *, owner_id: int, fields: GoodFields, picture_ids: Sequence[int] = (), uploads: Sequence[IO[bytes]] = ()
) -> GoodOut:
    """Release a good for sale; it is in review at first.

    Its pictures are those that the owner uploaded as `picture_ids`, then those in `uploads`. Raises RELEASE_MALFORMED
    naming what is wrong with the pictures or the freight, RELEASE_FAILED for an owner who has too many goods in review,
    NO_SUCH_USER, ACCOUNT_SUSPENDED; for pictures also as `app.goods.unused_pictures.claim_pictures` and
    `app.goods.uploads.prepare_uploads`.
    """
    _check_freight(fields["trade_mode"], fields["freight"], Answer.RELEASE_MALFORMED)
    check_count(ids=len(picture_ids), files=len(uploads), malformed=Answer.RELEASE_MALFORMED)
    prepared = prepare_uploads(uploads, user_id=owner_id, malformed=Answer.RELEASE_MALFORMED)
    with transaction() as session:
        _check_room_in_review(session, owner_id)
        now = utcnow()
        good = Good(owner_id=owner_id, revision=1, created_at=now, updated_at=now, **fields)
        good.phase = GOOD.start
        session.add(good)
        session.flush()
        uploaded = claim_pictures(session, picture_ids, user_id=owner_id, malformed=Answer.RELEASE_MALFORMED)
        _attach(session, good, [*uploaded, *_rows(good, prepared, now=now)])
        session.flush()
        keep_revision(session, good, 1, form_of(session, good), state=RevisionState.IN_REVIEW, now=now)
        _request_review(session, good)
        store_pictures(session, prepared, user_id=owner_id)
        return good_in(session, good.id)


def edit_good(
    *,
    owner_id: int,
    good_id: int,
    changes: GoodChanges,
    keep_pictures: Sequence[int] | None = None,
    picture_ids: Sequence[int] | None = None,
    uploads: Sequence[IO[bytes]] = (),
) -> GoodOut:
    """Change one of the owner's goods. What buyers see of it stays as it was approved until the edit is approved, too.

    A good that nobody has seen yet is in review again. An edit of a public good stands beside it, in review, and takes
    the place of an earlier one; a sold good is for sale again with it. Price and freight alone are changed at
    once, the price within a range of the one at which the words were looked at.

    Its pictures are then, in this order: those of its own that `keep_pictures` lists; those of `picture_ids`, which are
    its own or uploaded by themselves; those in `uploads`. Where all three are absent the pictures stay as they are.
    Its own are those that it shows, and those of the edit beside it. Returns the good as its owner has filled it in.

    Raises NO_SUCH_GOOD, also for another user's good; EDIT_MALFORMED where nothing is to be changed, or naming what is
    wrong with pictures or freight; EDIT_FAILED with the reasons if the good's state forbids it (an open order). For
    pictures also as `app.goods.unused_pictures.claim_pictures` and `app.goods.uploads.prepare_uploads`.
    """
    _check_owner(good_id, owner_id)
    if not changes and keep_pictures is None and picture_ids is None and not uploads:
        raise Refused(Answer.EDIT_MALFORMED, data=field_errors(body="没有要修改的内容"))
    check_count(ids=len(picture_ids or ()), files=len(uploads), malformed=Answer.EDIT_MALFORMED)
    prepared = prepare_uploads(uploads, user_id=owner_id, malformed=Answer.EDIT_MALFORMED)
    with transaction() as session:
        good = _locked(session, good_id, owner_id)
        shown = form_of(session, good)
        edit = edit_of(session, good)
        before = shown if edit is None else form_of_edit(edit)
        fields = cast("GoodFields", {**before.fields, **changes})
        _check_freight(fields["trade_mode"], fields["freight"], Answer.EDIT_MALFORMED)
        now = utcnow()
        new = _rows(good, prepared, now=now)
        pictures = _arranged_pictures(
            session,
            good,
            (*before.pictures, *shown.pictures),
            before.pictures,
            keep=keep_pictures,
            ids=picture_ids,
            new=new,
        )
        _fire(session, good, GoodEvent.EDIT, Answer.EDIT_FAILED)
        wanted = Form(fields, pictures)
        if good.status == GoodStatus.IN_REVIEW:
            _edit_unseen(session, good, wanted, now=now)
        else:
            _edit_public(session, good, wanted, shown=shown, edit=edit, now=now)
        session.flush()
        store_pictures(session, prepared, user_id=owner_id)
        return edited_good_in(session, good.id)


def _edit_unseen(session: Session, good: Good, wanted: Form, *, now: datetime) -> None:
    """Change what nobody but its owner has seen: the row itself, which is reviewed anew."""
    supersede(session, good, now=now)
    number = next_number(session, good)
    for name, value in wanted.fields.items():
        setattr(good, name, value)
    show_pictures(session, good, wanted.pictures, now=now)
    good.revision, good.published_at, good.updated_at = number, None, now
    keep_revision(session, good, number, wanted, state=RevisionState.IN_REVIEW, now=now)
    _request_review(session, good)


def _edit_public(
    session: Session, good: Good, wanted: Form, *, shown: Form, edit: GoodRevision | None, now: datetime
) -> None:
    """Change what everybody sees: prices at once, all else beside it, to be reviewed."""
    beyond = wanted.differs_in(shown)
    if _may_change_at_once(good, wanted, shown=shown, names=beyond):
        set_edit_aside(session, good, now=now, keep=shown.pictures)
        if beyond or good.status == GoodStatus.SOLD:
            change_at_once(session, good, next_number(session, good), wanted, now=now)
        return
    relists = good.status == GoodStatus.SOLD
    new_prices = set() if edit is None else wanted.differs_in(form_of_edit(edit))
    # Of an edit that waits already only the price or the freight becomes another: what buyers see follows at once.
    if (
        edit is not None
        and not relists
        and new_prices
        and _may_change_at_once(good, wanted, shown=shown, names=new_prices)
    ):
        prices = {name: wanted.fields[name] for name in new_prices}  # type: ignore[literal-required] # price, freight
        priced = Form(cast("GoodFields", {**shown.fields, **prices}), shown.pictures)
        if edit.state == RevisionState.REJECTED.value:
            set_edit_aside(session, good, now=now, keep=shown.pictures)
            change_at_once(session, good, next_number(session, good), priced, now=now)
            return
        number = next_number(session, good)
        set_edit_aside(session, good, now=now, keep=wanted.pictures)
        change_at_once(session, good, number, priced, now=now)
    else:
        set_edit_aside(session, good, now=now, keep=wanted.pictures)
    good.edit_revision = next_number(session, good)
    keep_revision(session, good, good.edit_revision, wanted, state=RevisionState.IN_REVIEW, now=now, relists=relists)
    add_message(session, Topic.GOOD_VERIFICATION, good.id)


def _may_change_at_once(good: Good, wanted: Form, *, shown: Form, names: set[str]) -> bool:
    """Whether nothing but these prices of what everybody sees would become another, and so needs no new look."""
    if not names <= AT_ONCE:
        return False
    if "freight" in names and wanted.fields["freight"] and shown.fields["trade_mode"] == TradeMode.FACE_TO_FACE:
        return False
    return "price" not in names or price_needs_no_look(good, wanted.fields["price"])


def delete_good(*, owner_id: int, good_id: int) -> None:
    """Delete one of the owner's goods for ever (a soft delete: its orders still need its row and pictures).

    Raises NO_SUCH_GOOD, also for another user's good, and DELETE_FAILED with the reasons if its state forbids it.
    """
    with transaction() as session:
        good = _locked(session, good_id, owner_id)
        _fire(session, good, GoodEvent.DELETE, Answer.DELETE_FAILED)
        good.updated_at = now = utcnow()
        set_edit_aside(session, good, now=now)
        supersede(session, good, now=now)
        add_message(session, Topic.SEARCH_INDEX, good.id)


def lock_good(session: Session, good_id: int) -> Good:
    """Anybody's good, locked. Raises NO_SUCH_GOOD."""
    good = session.scalar(select(Good).where(Good.id == good_id).with_for_update())
    if good is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    return good


def take_down(session: Session, good: Good, *, cause: TakedownCause) -> bool:
    """Take a locked good off the market at once, wherever it stands; an order that holds it goes on.

    What staff took down stays so when its owner's suspension ends, whichever came first. Returns False where nothing
    had to be done. Raises TAKE_DOWN_FAILED for a deleted good.
    """
    if good.taken_down and good.takedown_cause in (cause, TakedownCause.STAFF):
        return False
    is_new = not good.taken_down
    if is_new:
        _fire_by(good, GoodEvent.TAKE_DOWN, GoodRole.STAFF, Answer.TAKE_DOWN_FAILED)
        good.updated_at = utcnow()
    good.takedown_cause = cause.value
    if is_new:
        add_message(session, Topic.SEARCH_INDEX, good.id)
    return True


def restore(session: Session, good: Good, *, by: GoodRole) -> None:
    """Put a locked good that is taken down back where it stood; what was in review is reviewed again.

    Raises RESTORE_FAILED for a deleted good.
    """
    _fire_by(good, GoodEvent.RESTORE, by, Answer.RESTORE_FAILED)
    good.updated_at = utcnow()
    add_message(session, Topic.SEARCH_INDEX, good.id)
    if good.status == GoodStatus.IN_REVIEW or good.edit_revision is not None:
        add_message(session, Topic.GOOD_VERIFICATION, good.id)


def take_down_all(session: Session, *, owner_id: int) -> int:
    """Take down all goods of a suspended owner whose row is locked; returns how many."""
    return sum(take_down(session, good, cause=TakedownCause.SUSPENSION) for good in _goods_of(session, owner_id))


def restore_all(session: Session, *, owner_id: int, by: GoodRole) -> int:
    """Restore what was taken down for its owner's suspension, and nothing else; returns how many."""
    down = [good for good in _goods_of(session, owner_id) if good.takedown_cause == TakedownCause.SUSPENSION]
    for good in down:
        restore(session, good, by=by)
    return len(down)


def _goods_of(session: Session, owner_id: int) -> Sequence[Good]:
    """The owner's goods that are not deleted, locked in the order of their ids."""
    statement = select(Good).where(Good.owner_id == owner_id, ~Good.deleted).order_by(Good.id).with_for_update()
    return session.scalars(statement).all()


def _fire_by(
    good: Good, event: GoodEvent, role: GoodRole, refused: Literal[Answer.TAKE_DOWN_FAILED, Answer.RESTORE_FAILED]
) -> None:
    try:
        good_flow.fire(good, event, role)
    except TransitionRefused as refusal:
        raise Refused(refused, data=_refusal_details(good, refusal)) from refusal


def _check_freight(
    trade_mode: int, freight: int, malformed: Literal[Answer.RELEASE_MALFORMED, Answer.EDIT_MALFORMED]
) -> None:
    if trade_mode == TradeMode.FACE_TO_FACE and freight > 0:
        raise Refused(malformed, data=field_errors(freight="当面交易没有运费,须为 0"))


def _check_room_in_review(session: Session, owner_id: int) -> None:
    # Locking the owner makes the count exact. FOR NO KEY UPDATE does not block inserts of rows that refer to the user.
    # A suspension waits for it, too: what is released before is taken down by it, and nothing is released after.
    refuse_suspended(lock_user(session, owner_id))
    limit = settings().goods_in_review_limit
    in_review = select(func.count()).where(
        Good.owner_id == owner_id, Good.status == GoodStatus.IN_REVIEW, ~Good.deleted, ~Good.taken_down
    )
    if session.execute(in_review).scalar_one() >= limit:
        raise Refused(Answer.RELEASE_FAILED, data={"reasons": [f"待审核的商品已达 {limit} 件,请等待审核"]})


def _check_owner(good_id: int, owner_id: int) -> None:
    # Checked before pictures are decoded, which is expensive: only the owner may cause that.
    if row_or_none(select(Good.id).where(Good.id == good_id, Good.owner_id == owner_id)) is None:
        raise Refused(Answer.NO_SUCH_GOOD)


def _locked(session: Session, good_id: int, owner_id: int) -> Good:
    good = session.scalar(select(Good).where(Good.id == good_id, Good.owner_id == owner_id).with_for_update())
    if good is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    return good


def _fire(session: Session, good: Good, event: GoodEvent, refused: Answer) -> None:
    # The answer cannot change meanwhile: orders are created and changed under the good's lock, which we hold.
    facts = GoodFacts(
        has_open_order=session.execute(select(exists().where(Order.good_id == good.id, ~Order.closed))).scalar_one()
    )
    try:
        good_flow.fire(good, event, GoodRole.OWNER, facts)
    except TransitionRefused as refusal:
        raise Refused(refused, data=_refusal_details(good, refusal)) from refusal


def _refusal_details(good: Good, refusal: TransitionRefused) -> GoodRefusalDetails:
    """The data of a refusal: why, the good's present state, and the events that its owner may fire instead."""
    return {
        "event": str(refusal.event),
        "good_status": good.status,
        "deleted": good.deleted,
        "reasons": [reason.zh for reason in refusal.reasons],
        "allowed": [str(event) for event in refusal.allowed],
    }


def _arranged_pictures(
    session: Session,
    good: Good,
    own: Sequence[int],
    present: Sequence[int],
    *,
    keep: Sequence[int] | None,
    ids: Sequence[int] | None,
    new: Sequence[Picture],
) -> tuple[int, ...]:
    """The pictures of `keep`, of `ids` and the `new` ones, in this order; `present` where there is none of the three.

    `own` are those that the good has already. The others become its own here, but are not shown. Raises EDIT_MALFORMED
    for a picture that is not the good's, for one of `ids` that cannot be used or that `keep` has as well, and for too
    many.
    """
    if keep is None:
        keep = [] if new or ids is not None else present
    foreign = [picture_id for picture_id in keep if picture_id not in own]
    if foreign:
        raise Refused(
            Answer.EDIT_MALFORMED, data=field_errors(keep_pictures=[f"图片 {each} 不属于该商品" for each in foreign])
        )
    if not set(keep).isdisjoint(ids or ()):
        raise Refused(Answer.EDIT_MALFORMED, data=field_errors(picture_ids="图片重复"))
    if len(keep) + len(ids or ()) + len(new) > MAX_PICTURES:
        raise Refused(Answer.EDIT_MALFORMED, data=field_errors(pictures=f"至多 {MAX_PICTURES} 张图片"))
    known = {picture.id: picture for picture in session.scalars(select(Picture).where(Picture.id.in_(own)))}
    listed = claim_pictures(session, ids or (), user_id=good.owner_id, malformed=Answer.EDIT_MALFORMED, present=known)
    for picture in (*listed, *new):
        picture.good_id = good.id
    session.add_all(new)
    session.flush()
    return (*keep, *(picture.id for picture in (*listed, *new)))


def _attach(session: Session, good: Good, pictures: Sequence[Picture]) -> None:
    """Let the good show these pictures, numbered from 0."""
    for position, picture in enumerate(pictures):
        picture.good_id, picture.position, picture.detached_at = good.id, position, None
    session.add_all(pictures)


def _rows(good: Good | None, prepared: Sequence[PreparedPicture], *, now: datetime) -> list[Picture]:
    """New pictures of the good, if there is one, which does not show them yet."""
    return [
        Picture(
            good_id=None if good is None else good.id,
            sha256=picture.sha256,
            content_type=picture.content_type,
            size=len(picture.data),
            width=picture.width,
            height=picture.height,
            created_at=now,
        )
        for picture in prepared
    ]


def _request_review(session: Session, good: Good) -> None:
    add_message(session, Topic.GOOD_VERIFICATION, good.id)
    add_message(session, Topic.SEARCH_INDEX, good.id)
