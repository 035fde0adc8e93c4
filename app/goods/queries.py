"""Reads of goods and pictures: one statement per good, two per list (its count and a page).

The statements are built once, at import, so that SQLAlchemy finds their compiled SQL at once, and a read costs little
more than its round trip.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Row,
    Select,
    SQLColumnExpression,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, array
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from app.accounts.models import User
from app.accounts.queries import PERSON, refuse_unknown
from app.accounts.schemas import person_out
from app.accounts.staff_reads import reads_as_staff
from app.answers import Answer, Refused
from app.categories import CATEGORY_TEXT, Category
from app.clock import format_moment, format_moment_or_none
from app.db.transactions import row_or_none, rows
from app.fen import format_yuan, format_yuan_or_none
from app.goods.models import Appeal, Good, GoodRevision, Picture, RevisionState, TakedownCause, Verdict
from app.goods.picture_links import links_to
from app.goods.schemas import (
    REVIEW_STATE,
    AppealOut,
    BrowseQuery,
    CategoryGoodsOut,
    EditOut,
    GoodFields,
    GoodOut,
    MyGoodOut,
    MyGoodsQuery,
    OwnGoodOut,
    PictureOut,
    ReviewState,
    SellerGoodsQuery,
    Sort,
    VerdictOut,
)
from app.orders.models import Order
from app.paging import PageQuery
from app.staff_roles import Permission
from statemachine import GoodStatus, TradeMode
from statemachine.good import GOOD_TEXT, TRADE_TEXT


class VisiblePicture(NamedTuple):
    """A picture that the reader may see; `public` means that everybody may, so that caches may keep it."""

    sha256: str
    content_type: str
    width: int
    height: int
    created_at: datetime
    public: bool


PUBLIC_STATUSES: Final = frozenset({GoodStatus.PUBLISHED, GoodStatus.IN_TRADE, GoodStatus.SOLD})
"""The statuses in which anybody may see a good."""

_PICTURES = (
    select(
        func.array_agg(
            aggregate_order_by(array([Picture.id, Picture.width, Picture.height]), Picture.position),
            # psycopg already returns lists; SQLAlchemy's ARRAY type would process them again in Python.
            type_=NullType(),
        )
    )
    .where(Picture.good_id == Good.id, Picture.position.is_not(None))
    .scalar_subquery()
)

HAS_EDIT: Final = Good.edit_revision.is_not(None) & (Good.status != GoodStatus.IN_TRADE)
"""Whether an edit stands beside the good. During a trade nobody looks at it, and it waits for the end."""

WRITTEN_REVISION: Final = case((HAS_EDIT, Good.edit_revision), else_=Good.revision)
"""The revision that the owner wrote last: the edit beside the good, or what the good's row holds."""

WRITTEN: Final = (GoodRevision.good_id == Good.id) & (GoodRevision.revision == WRITTEN_REVISION)
"""Joins that revision."""

VERDICTS: Final = (
    select(
        func.json_agg(
            aggregate_order_by(
                func.json_build_object(
                    *("kind", Verdict.kind),
                    *("subject", Verdict.subject),
                    *("passed", Verdict.passed),
                    *("reasons", Verdict.reasons),
                    *("state", Verdict.state),
                    *("hits", Verdict.hits),
                    *("rules_version", Verdict.rules_version),
                    *("by_staff", Verdict.by_staff),
                ),
                Verdict.id,
            )
        )
    )
    .where(Verdict.good_id == Good.id, Verdict.revision == WRITTEN_REVISION)
    .scalar_subquery()
)
"""A column for selects of goods: the verdicts on what the owner wrote last, oldest first, as `VerdictOut`s; or NULL."""

GOODS: Final[Select[*tuple[Any, ...]]] = select(
    Good.id,
    Good.title,
    Good.description,
    Good.price,
    Good.original_price,
    Good.freight,
    Good.category,
    Good.trade_mode,
    Good.status,
    Good.deleted,
    Good.taken_down,
    Good.takedown_cause,
    Good.revision,
    Good.owner_id,
    *PERSON,
    _PICTURES.label("pictures"),
    Good.published_at,
    Good.updated_at,
).join(User, User.id == Good.owner_id)
"""Selects goods with the columns that `good_out` needs; add conditions, an order, and further columns after these."""

_ORDER: Final[dict[Sort, tuple[SQLColumnExpression[Any], ...]]] = {
    Sort.NEWEST: (Good.published_at.desc(), Good.id.desc()),
    Sort.PRICE_ASC: (Good.price, Good.id),
    Sort.PRICE_DESC: (Good.price.desc(), Good.id.desc()),
}

# A literal, as in the partial indexes: with a parameter PostgreSQL's generic plans could not use them.
IS_FOR_SALE: Final = (Good.status == literal_column(str(GoodStatus.PUBLISHED.value))) & ~Good.deleted & ~Good.taken_down
"""Whether a good is for sale, so that the market and the search show it."""

COUNTED_EXACTLY: Final = 1000
"""Goods of one category that are counted before the count only says that there are so many at least."""


def _counted(category: Category) -> Select[int, int]:
    some = (
        select(literal_column("1"))
        .where(Good.category == literal_column(str(category.value)), IS_FOR_SALE)
        .limit(COUNTED_EXACTLY + 1)
        .subquery()
    )
    code: ColumnElement[int] = literal_column(str(category.value))
    return select(code.label("code"), func.count().label("goods")).select_from(some)


_CATEGORIES: Final = union_all(*map(_counted, Category))

_GOOD = GOODS.where(Good.id == bindparam("good_id"))

_GOODS_BY_IDS = GOODS.where(Good.id == any_(bindparam("ids", type_=ARRAY(BigInteger))), IS_FOR_SALE)

_EDIT_PICTURES = (
    select(
        func.array_agg(
            aggregate_order_by(
                array([Picture.id, Picture.width, Picture.height, cast(Picture.position.is_not(None), Integer)]),
                func.array_position(GoodRevision.picture_ids, Picture.id),
            ),
            type_=NullType(),
        )
    )
    .where(Picture.good_id == Good.id, Picture.id == any_(GoodRevision.picture_ids))
    .correlate(Good, GoodRevision)
    .scalar_subquery()
)

_EDIT: Final = (
    *(GoodRevision.__table__.c[name].label(f"edit_{name}") for name in GoodFields.__annotations__),
    GoodRevision.state.label("edit_state"),
    GoodRevision.text.label("edit_text"),
    GoodRevision.submitted_at.label("edit_submitted_at"),
    HAS_EDIT.label("has_edit"),
    WRITTEN_REVISION.label("written_revision"),
)
"""Columns of the revision that the owner wrote last, for selects of goods that join it."""

_WRITTEN_GOODS: Final = GOODS.add_columns(*_EDIT).outerjoin(GoodRevision, WRITTEN)

_OWN = _WRITTEN_GOODS.add_columns(
    VERDICTS.label("verdicts"),
    _EDIT_PICTURES.label("edit_pictures"),
    *(
        Appeal.__table__.c[name].label(f"appeal_{name}")
        for name in ("state", "text", "answer", "created_at", "decided_at")
    ),
)
_OWN_GOOD = _OWN.outerjoin(Appeal, (Appeal.good_id == Good.id) & (Appeal.revision == WRITTEN_REVISION)).where(
    Good.id == bindparam("good_id"), Good.owner_id == bindparam("owner_id")
)

status_written: Final = case(
    (HAS_EDIT & (GoodRevision.state == RevisionState.REJECTED.value), literal_column("5")),
    (HAS_EDIT, literal_column("1")),
    else_=Good.status,
)
"""The status of the revision that the owner wrote last, for selects that join it (`WRITTEN`)."""

_REVISION: Final = (
    GOODS.add_columns(
        *(GoodRevision.__table__.c[name].label(f"edit_{name}") for name in GoodFields.__annotations__),
        *(GoodRevision.state.label("edit_state"), GoodRevision.submitted_at.label("edit_submitted_at")),
        *(GoodRevision.revision.label("written_revision"), _EDIT_PICTURES.label("edit_pictures")),
        (GoodRevision.revision != Good.revision).label("has_edit"),
    )
    .join(GoodRevision, GoodRevision.good_id == Good.id)
    .where(Good.id == bindparam("good_id"), GoodRevision.revision == bindparam("revision"))
)

_VERDICTS_ON: Final = (
    select(Verdict.__table__)
    .where(Verdict.good_id == bindparam("good_id"), Verdict.revision == bindparam("revision"))
    .order_by(Verdict.id)
)

_EDITED_GOOD = _WRITTEN_GOODS.add_columns(_EDIT_PICTURES.label("edit_pictures")).where(Good.id == bindparam("good_id"))

_PICTURE = (
    select(
        Picture.id,
        Picture.good_id,
        Picture.sha256,
        Picture.content_type,
        Picture.width,
        Picture.height,
        Picture.created_at,
        Picture.position,
        Good.status,
        Good.deleted,
        Good.taken_down,
        func.coalesce(Good.owner_id, Picture.uploader_id).label("owner_id"),
    )
    .outerjoin(Good, Good.id == Picture.good_id)
    .where(Picture.id == bindparam("picture_id"))
)


_IS_PARTY: Final[Select[int]] = (
    select(literal_column("1"))
    .where(
        Order.good_id == bindparam("good_id"),  # redundant, but there is an index on it
        Order.good_picture_id == bindparam("picture_id"),
        or_(Order.buyer_id == bindparam("reader_id"), Order.seller_id == bindparam("reader_id")),
    )
    .limit(1)
)


def good_out(row: Row[Any]) -> GoodOut:
    """The API's form of a row of `GOODS`."""
    return {
        "id": row.id,
        "title": row.title,
        "description": row.description,
        "price": format_yuan(row.price),
        "original_price": format_yuan_or_none(row.original_price),
        "freight": format_yuan(row.freight),
        "category": row.category,
        "category_text": CATEGORY_TEXT[row.category],
        "trade_mode": row.trade_mode,
        "trade_mode_text": TRADE_TEXT[row.trade_mode],
        "good_status": row.status,
        "good_status_text": GOOD_TEXT[row.status],
        "revision": row.revision,
        "owner": person_out(row.owner_id, username=row.username, nickname=row.nickname, avatar_id=row.avatar_id),
        "pictures": [
            picture_out(picture_id, width, height, public=is_public(row))
            for picture_id, width, height in row.pictures or ()
        ],
        "published_at": format_moment_or_none(row.published_at),
        "updated_at": format_moment(row.updated_at),
    }


def picture_url(picture_id: int) -> str:
    """The URL that serves the picture."""
    return f"/api/pic/{picture_id}/"


def picture_out(picture_id: int, width: int, height: int, *, public: bool) -> PictureOut:
    """The API's form of a picture, for a reader who may see it: with links where not everybody may."""
    url = picture_url(picture_id)
    out: PictureOut = {"id": picture_id, "url": url, "width": width, "height": height}
    return out if public else {**out, "links": links_to(url)}


def visible_good(*, good_id: int, reader_id: int | None) -> GoodOut:
    """The good, if the reader may see it: one that is not public, only its owner and staff. Raises NO_SUCH_GOOD."""
    row = row_or_none(_GOOD, {"good_id": good_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    if not is_public(row) and not _may_see_hidden(row.owner_id, reader_id, subject="good", subject_id=row.id):
        raise Refused(Answer.NO_SUCH_GOOD)
    return good_out(row)


def good_in(session: Session, good_id: int) -> GoodOut:
    """The good as it is in `session`'s transaction. Checks no permission. Raises NoResultFound."""
    return good_out(session.execute(_GOOD, {"good_id": good_id}).one())


def edited_good_in(session: Session, good_id: int) -> GoodOut:
    """The good as its owner wrote it last, in `session`'s transaction. Checks no permission. Raises NoResultFound."""
    return _written_out(session.execute(_EDITED_GOOD, {"good_id": good_id}).one())


def _written_out(row: Row[Any]) -> GoodOut:
    """The good as its owner wrote it last: the edit beside it, or what everybody sees."""
    good = good_out(row)
    if not row.has_edit:
        return good
    status = _STATUS_OF_EDIT[row.edit_state]
    public = is_public(row)
    return {
        **good,
        "title": row.edit_title,
        "description": row.edit_description,
        "price": format_yuan(row.edit_price),
        "original_price": format_yuan_or_none(row.edit_original_price),
        "freight": format_yuan(row.edit_freight),
        "category": row.edit_category,
        "category_text": CATEGORY_TEXT[row.edit_category],
        "trade_mode": row.edit_trade_mode,
        "trade_mode_text": TRADE_TEXT[row.edit_trade_mode],
        "good_status": status,
        "good_status_text": GOOD_TEXT[status],
        "revision": row.written_revision,
        "pictures": [
            picture_out(picture_id, width, height, public=bool(shown) and public)
            for picture_id, width, height, shown in row.edit_pictures or ()
        ],
        "published_at": None,
        "updated_at": format_moment(row.edit_submitted_at),
    }


_STATUS_OF_EDIT: Final[dict[str, GoodStatus]] = {
    RevisionState.IN_REVIEW.value: GoodStatus.IN_REVIEW,
    RevisionState.REJECTED.value: GoodStatus.REJECTED,
    # Of earlier ones, that are not beside their good any more.
    RevisionState.APPROVED.value: GoodStatus.PUBLISHED,
    RevisionState.SUPERSEDED.value: GoodStatus.IN_REVIEW,
}


def revision_good(*, good_id: int, revision: int) -> GoodOut:
    """The good as one of its revisions has it, for staff who have a look. Checks no permission. Raises NO_SUCH_GOOD."""
    row = row_or_none(_REVISION, {"good_id": good_id, "revision": revision})
    if row is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    return _written_out(row)


def public_good(good_id: int) -> GoodOut | None:
    """The good as everybody sees it; None where nobody does."""
    row = row_or_none(_GOOD, {"good_id": good_id})
    return None if row is None or not is_public(row) else good_out(row)


def verdicts_on(*, good_id: int, revision: int) -> list[VerdictOut]:
    """The verdicts on one revision, oldest first."""
    return [
        {
            "kind": row.kind,
            "subject": row.subject,
            "passed": row.passed,
            "reasons": row.reasons,
            "state": row.state,
            "hits": row.hits,
            "rules_version": row.rules_version,
            "by_staff": row.by_staff,
        }
        for row in rows(_VERDICTS_ON, {"good_id": good_id, "revision": revision})
    ]


def own_good(*, good_id: int, owner_id: int) -> OwnGoodOut:
    """The owner's good as he wrote it last, with its verdicts, and beside an edit what is approved.

    Raises Refused(NO_SUCH_GOOD), also for another user's good.
    """
    row = row_or_none(_OWN_GOOD, {"good_id": good_id, "owner_id": owner_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    good = _written_out(row)
    verdicts: list[VerdictOut] = row.verdicts or []
    state = REVIEW_STATE[good["good_status"]]
    return {
        **good,
        "taken_down": row.taken_down,
        "verification": {
            "state": state,
            "revision": row.written_revision,
            "verdicts": verdicts,
            "text": row.edit_text or "",
            "appeal": _appeal_out(row),
            "may_appeal": row.appeal_state is None and (state is ReviewState.FAILED or _is_down_by_staff(row)),
        },
        "approved": good_out(row) if row.has_edit else None,
    }


def _appeal_out(row: Row[Any]) -> AppealOut | None:
    if row.appeal_state is None:
        return None
    return {
        "state": row.appeal_state,
        "text": row.appeal_text,
        "answer": row.appeal_answer,
        "created_at": format_moment(row.appeal_created_at),
        "decided_at": format_moment_or_none(row.appeal_decided_at),
    }


def _is_down_by_staff(row: Row[Any]) -> bool:
    return bool(row.taken_down) and row.takedown_cause == TakedownCause.STAFF.value


def goods_by_ids(ids: Sequence[int]) -> dict[int, GoodOut]:
    """Those of the goods `ids` that are for sale, by id, in one statement."""
    return {row.id: good_out(row) for row in rows(_GOODS_BY_IDS, {"ids": list(ids)})}


def categories() -> list[CategoryGoodsOut]:
    """All categories in their order, each with how many of its goods are for sale; see `COUNTED_EXACTLY`."""
    counts = {row.code: row.goods for row in rows(_CATEGORIES)}
    return [
        {
            "code": category.value,
            "text": CATEGORY_TEXT[category],
            "order": place,
            "goods_on_sale": min(counts[category], COUNTED_EXACTLY),
            "count_is_exact": counts[category] <= COUNTED_EXACTLY,
        }
        for place, category in enumerate(Category, start=1)
    ]


def browse(query: BrowseQuery) -> tuple[list[GoodOut], int]:
    """One page of the goods for sale, and their total number.

    Raises NO_SUCH_USER where only those of an owner are wanted whom nobody may see.
    """
    conditions: list[ColumnElement[bool]] = [IS_FOR_SALE]
    if query.owner is not None:
        conditions.append(Good.owner_id == query.owner)
    if query.category is not None:
        conditions.append(Good.category == query.category)
    if query.trade_mode is not None:
        conditions.append(Good.trade_mode.in_((query.trade_mode, TradeMode.ANY)))
    if query.price_min is not None:
        conditions.append(Good.price >= query.price_min)
    if query.price_max is not None:
        conditions.append(Good.price <= query.price_max)
    items, total = _page(conditions, _ORDER[query.sort], query)
    if query.owner is not None and not total:  # who has something for sale is there
        refuse_unknown(query.owner)
    return items, total


def goods_of_seller(*, owner_id: int, query: SellerGoodsQuery) -> tuple[list[GoodOut], int]:
    """One page of what anybody may see of one seller's goods, newest first, and their total number.

    What is taken down is not seen, and so nothing of a suspended seller. Raises NO_SUCH_USER.
    """
    wanted: ColumnElement[int] = literal_column(
        str(query.good_status.value)
    )  # a literal for the partial index, as above
    conditions = [Good.owner_id == owner_id, Good.status == wanted, ~Good.deleted, ~Good.taken_down]
    items, total = _page(conditions, _ORDER[Sort.NEWEST], query)
    if not total:
        refuse_unknown(owner_id)
    return items, total


def my_goods(*, owner_id: int, query: MyGoodsQuery) -> tuple[list[MyGoodOut], int]:
    """One page of the owner's goods that are not deleted, newest first, and their total number.

    Each as everybody sees it once it is public, and beside it where its edit stands.
    """
    conditions = [Good.owner_id == owner_id, ~Good.deleted]
    if query.good_status is not None:
        conditions.append(Good.status == query.good_status)
    found, total = _page_of(_WRITTEN_GOODS, conditions, (Good.id.desc(),), query)
    return [{**good_out(row), "edit": _edit_out(row) if row.has_edit else None} for row in found], total


def _edit_out(row: Row[Any]) -> EditOut:
    return {
        "revision": row.written_revision,
        "state": REVIEW_STATE[_STATUS_OF_EDIT[row.edit_state]],
        "title": row.edit_title,
        "price": format_yuan(row.edit_price),
        "submitted_at": format_moment(row.edit_submitted_at),
    }


def visible_picture(*, picture_id: int, reader_id: int | None, granted: bool = False) -> VisiblePicture:
    """The picture, if the reader may see its good, is a party of an order that shows it, or was `granted` a look.

    A picture that an edit removed from its good, or that nothing uses yet, is treated like one of a good that is not
    public. Raises Refused(NO_SUCH_PICTURE).
    """
    row = row_or_none(_PICTURE, {"picture_id": picture_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_PICTURE)
    public = row.position is not None and is_public(row)
    if (
        not public
        and not granted
        and not _is_party(row, reader_id)
        and not _may_see_hidden(row.owner_id, reader_id, subject="picture", subject_id=row.id)
    ):
        raise Refused(Answer.NO_SUCH_PICTURE)
    return VisiblePicture(row.sha256, row.content_type, row.width, row.height, row.created_at, public)


def is_public(good: Any) -> bool:
    """Whether anybody may see the good, a `Good` or a row with `status`, `deleted` and `taken_down`."""
    return good.status in PUBLIC_STATUSES and not good.deleted and not good.taken_down


def _may_see_hidden(owner_id: int, reader_id: int | None, *, subject: str, subject_id: int) -> bool:
    if reader_id is None:
        return False
    return reader_id == owner_id or reads_as_staff(
        reader_id, permission=Permission.GOODS, subject=subject, subject_ids=[subject_id]
    )


def _is_party(picture: Row[Any], reader_id: int | None) -> bool:
    if reader_id is None:
        return False
    parameters = {"good_id": picture.good_id, "picture_id": picture.id, "reader_id": reader_id}
    return row_or_none(_IS_PARTY, parameters) is not None


def _page(
    conditions: Sequence[ColumnElement[bool]], order: Sequence[SQLColumnExpression[Any]], query: PageQuery
) -> tuple[list[GoodOut], int]:
    found, total = _page_of(GOODS, conditions, order, query)
    return [good_out(row) for row in found], total


def _page_of(
    goods: Select[*tuple[Any, ...]],
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[SQLColumnExpression[Any]],
    query: PageQuery,
) -> tuple[Sequence[Row[Any]], int]:
    counted = row_or_none(select(func.count()).select_from(Good).where(*conditions))
    total: int = counted[0] if counted else 0
    if query.offset >= total:
        return [], total
    page = goods.where(*conditions).order_by(*order).limit(query.size).offset(query.offset)
    return rows(page), total
