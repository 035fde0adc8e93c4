"""The URLs of goods and pictures."""

import functools

from flask import Response
from werkzeug.datastructures import FileStorage

from app.answers import Answer
from app.categories import CATEGORY_TEXT
from app.goods import queries, service
from app.goods.picture_links import PictureQuery, seconds_granted
from app.goods.pictures import read_rendition, rendition_of
from app.goods.schemas import (
    BrowseQuery,
    CategoryGoodsOut,
    ChangeIn,
    ChoicesOut,
    GoodOut,
    MyGoodOut,
    MyGoodsQuery,
    PictureOut,
    PricedGoodOut,
    ReleaseIn,
    ReplaceIn,
    SellerGoodsQuery,
)
from app.goods.storage import picture_storage
from app.listings.queries import price_reference
from app.paging import Page, page_of
from app.web.api import Api
from app.web.auth import Actor, Auth
from app.web.pictures import hidden_cache, picture_response
from statemachine.good import TRADE_TEXT

api = Api("goods", __name__, tag="商品", about="releasing, editing and reading goods, their pictures")

_CHOICES: ChoicesOut = {
    "categories": [{"code": int(code), "text": text} for code, text in CATEGORY_TEXT.items()],
    "trade_modes": [{"code": int(code), "text": text} for code, text in TRADE_TEXT.items()],
}

_PUBLIC_CACHE = "public, max-age=31536000, immutable"  # the bytes under a picture's URL never change
_CATEGORIES_CACHED = 60  # seconds


@api.get("/api/good_release/", auth=Auth.USER, out=ChoicesOut)
def choices(*, actor: Actor) -> ChoicesOut:  # noqa: ARG001 - in the API spec (`api-notes.txt`) this URL needs a login
    """The choices of the release form."""
    return _CHOICES


@api.post(
    "/api/good_release/",
    auth=Auth.USER,
    body=ReleaseIn,
    files="pictures",
    out=GoodOut,
    answer=Answer.GOOD_RELEASED,
    malformed=Answer.RELEASE_MALFORMED,
    refuses=(Answer.RELEASE_FAILED, Answer.NO_SUCH_USER, Answer.ACCOUNT_SUSPENDED),
    limit="rate_limit_release",
)
def release(*, actor: Actor, body: ReleaseIn, files: list[FileStorage]) -> GoodOut:
    """Put a good up for sale; it is public once it passed review.

    Its pictures are those that `picture_ids` names, uploaded before, and then the files. At most nine together.
    """
    return service.release_good(
        owner_id=actor.id,
        fields=body.fields(),
        picture_ids=body.picture_ids,
        uploads=[file.stream for file in files],
    )


@api.post(
    "/api/pictures/",
    auth=Auth.USER,
    files="picture",
    one_file=True,
    file_aliases=("file", "pictures"),
    out=PictureOut,
    answer=Answer.PICTURE_UPLOADED,
    refuses=(Answer.NO_SUCH_USER, Answer.ACCOUNT_SUSPENDED),
    limit="rate_limit_pictures",
)
def upload_picture(*, actor: Actor, files: list[FileStorage]) -> PictureOut:
    """Upload one picture, to be named in `picture_ids` of a release, an edit, a refund request, a dispute or statement.

    It is used once. Unused it is deleted after a day. Nobody but its uploader and staff sees it before.
    """
    return service.upload_picture(user_id=actor.id, upload=files[0].stream)


@api.get(
    "/api/good/<id:good_id>/",
    auth=Auth.OPTIONAL,
    out=GoodOut,
    answer=Answer.GOOD_FOUND,
    refuses=(Answer.NO_SUCH_GOOD,),
)
def good(*, actor: Actor | None, good_id: int) -> GoodOut:
    """One good. A good that is not public exists only for its owner and staff."""
    return queries.visible_good(good_id=good_id, reader_id=actor.id if actor else None)


@api.get(
    "/api/categories/",
    out=list[CategoryGoodsOut],
    answer=Answer.CATEGORIES_FOUND,
    cache_seconds=_CATEGORIES_CACHED,
)
def categories() -> list[CategoryGoodsOut]:
    """The categories of goods, in their order, and how many goods of each are for sale."""
    return queries.categories()


@api.get(
    "/api/goods/",
    query=BrowseQuery,
    out=Page[GoodOut],
    answer=Answer.GOOD_FOUND,
    empty=Answer.NO_GOODS,
    refuses=(Answer.NO_SUCH_USER,),
)
def browse(*, query: BrowseQuery) -> Page[GoodOut]:
    """The goods that are for sale; with `owner` those of one seller."""
    items, total = queries.browse(query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/user/<id:user_id>/goods/",
    query=SellerGoodsQuery,
    out=Page[GoodOut],
    answer=Answer.GOOD_FOUND,
    empty=Answer.NO_GOODS,
    refuses=(Answer.NO_SUCH_USER,),
)
def goods_of_seller(*, user_id: int, query: SellerGoodsQuery) -> Page[GoodOut]:
    """A seller's goods, newest first: those for sale, or with `good_status` those in trade (3) or sold (4)."""
    items, total = queries.goods_of_seller(owner_id=user_id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/my_goods/",
    auth=Auth.USER,
    query=MyGoodsQuery,
    out=Page[MyGoodOut],
    answer=Answer.GOOD_FOUND,
    empty=Answer.NO_GOODS,
)
def my_goods(*, actor: Actor, query: MyGoodsQuery) -> Page[MyGoodOut]:
    """The caller's own goods, newest first, as others see them; `edit` tells of one that is not approved."""
    items, total = queries.my_goods(owner_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/good_edit/<id:good_id>/",
    auth=Auth.USER,
    out=PricedGoodOut,
    answer=Answer.GOOD_FOUND,
    refuses=(Answer.NO_SUCH_GOOD,),
)
def own_good(*, actor: Actor, good_id: int) -> PricedGoodOut:
    """A good of the caller's as written last, with what moderation found, and what things like it cost elsewhere.

    While an edit is in review, or was refused, `approved` is what everybody sees.
    """
    good = queries.own_good(good_id=good_id, owner_id=actor.id)
    return {**good, "price_reference": price_reference(title=good["title"], category=good["category"])}


@api.put(
    "/api/good_edit/<id:good_id>/",
    auth=Auth.USER,
    body=ReplaceIn,
    files="pictures",
    out=GoodOut,
    answer=Answer.GOOD_EDITED,
    malformed=Answer.EDIT_MALFORMED,
    refuses=(Answer.NO_SUCH_GOOD, Answer.EDIT_FAILED),
    limit="rate_limit_release",
)
def replace(*, actor: Actor, good_id: int, body: ReplaceIn, files: list[FileStorage]) -> GoodOut:
    """Fill in a good's form anew; it goes back to review.

    What was public stays so, as it was approved, until the edit is approved too. Where nothing but price and freight
    becomes another, and the price at most ten times as high or low as when it was reviewed, that is so at once.

    Its pictures are then those that `keep_pictures` names; those of `picture_ids`, its own and uploaded ones in any
    order; and the files. With none of the three, the pictures stay.
    """
    return service.edit_good(
        owner_id=actor.id,
        good_id=good_id,
        changes=body.changes(),
        keep_pictures=body.keep_pictures,
        picture_ids=body.picture_ids,
        uploads=[file.stream for file in files],
    )


@api.patch(
    "/api/good_edit/<id:good_id>/",
    auth=Auth.USER,
    body=ChangeIn,
    files="pictures",
    out=GoodOut,
    answer=Answer.GOOD_EDITED,
    malformed=Answer.EDIT_MALFORMED,
    refuses=(Answer.NO_SUCH_GOOD, Answer.EDIT_FAILED),
    limit="rate_limit_release",
)
def change(*, actor: Actor, good_id: int, body: ChangeIn, files: list[FileStorage]) -> GoodOut:
    """Change some fields of a good; it goes back to review, or is changed at once, as with PUT. Pictures likewise."""
    return service.edit_good(
        owner_id=actor.id,
        good_id=good_id,
        changes=body.changes(),
        keep_pictures=body.keep_pictures,
        picture_ids=body.picture_ids,
        uploads=[file.stream for file in files],
    )


@api.delete(
    "/api/good_edit/<id:good_id>/",
    auth=Auth.USER,
    answer=Answer.GOOD_DELETED,
    refuses=(Answer.NO_SUCH_GOOD, Answer.DELETE_FAILED),
)
def delete(*, actor: Actor, good_id: int) -> None:
    """Take a good away; not while an order of it is open."""
    service.delete_good(owner_id=actor.id, good_id=good_id)


@api.get(
    "/api/pic/<id:pic_id>/",
    auth=Auth.OPTIONAL,
    query=PictureQuery,
    refuses=(Answer.NO_SUCH_PICTURE,),
    media=("image/jpeg", "image/webp"),
    conditional=True,
)
def picture(*, actor: Actor | None, pic_id: int, query: PictureQuery) -> Response:
    """The bytes of a picture, visible as its good is; a thumbnail where a smaller width is asked for.

    `until` and `sign` are those of a link in an answer (`links`): it shows this width without a token, for minutes.
    """
    granted = seconds_granted(queries.picture_url(pic_id), query)
    found = queries.visible_picture(
        picture_id=pic_id, reader_id=actor.id if actor else None, granted=granted is not None
    )
    rendition = rendition_of(
        sha256=found.sha256, content_type=found.content_type, width=found.width, height=found.height, wanted=query.w
    )
    return picture_response(
        functools.partial(read_rendition, picture_storage(), rendition),
        content_type=rendition.content_type,
        key=rendition.key,
        cache=_PUBLIC_CACHE if found.public else hidden_cache(granted),
        created_at=found.created_at,
    )
